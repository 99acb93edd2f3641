"""The normalised bipartite adjacency as a frozen linear operator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.graph.propagate import Block, propagate

__all__ = ["BipartiteOperator"]


@dataclass(frozen=True, eq=False)
class BipartiteOperator:
    """N = D_u^-a R D_i^-b for the binary user x item matrix R and its degrees D.

    With a = b = 1/2 this is the symmetric normalisation of LightGCN and GF-CF. Nodes without
    edges have zero rows and columns, whatever the exponents.

    Attributes:
        by_user: R, (n_users, n_items); by_item: its transpose.
        user_scale: (n_users,) float32, d_u^-a or 0; item_scale: (n_items,) float32, d_i^-b or 0.
    """

    by_user: Csr
    by_item: Csr
    user_scale: npt.NDArray[np.float32]
    item_scale: npt.NDArray[np.float32]

    @classmethod
    def normalised(
        cls, by_user: Csr, *, user_exponent: float = 0.5, item_exponent: float = 0.5
    ) -> BipartiteOperator:
        """From the user x item matrix and the exponents a and b."""
        by_item = by_user.transpose()
        return cls(
            by_user,
            by_item,
            degree_power(by_user.lengths, -user_exponent),
            degree_power(by_item.lengths, -item_exponent),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(n_users, n_items)."""
        return self.by_user.n_rows, self.by_user.n_columns

    def to_users(self, item_block: Block, out: Block | None = None) -> Block:
        """N X: (n_items, width) float32 -> (n_users, width) float32, into `out` if given."""
        return propagate(self.by_user, item_block, self.user_scale, self.item_scale, out)

    def to_items(self, user_block: Block, out: Block | None = None) -> Block:
        """N^T X: (n_users, width) float32 -> (n_items, width) float32, into `out` if given."""
        return propagate(self.by_item, user_block, self.item_scale, self.user_scale, out)


def degree_power(degrees: npt.NDArray[np.int64], exponent: float) -> npt.NDArray[np.float32]:
    """(n,) float32: degree ** exponent, and 0 for degree 0 even where the exponent is negative."""
    power = np.zeros(len(degrees), dtype=np.float64)
    np.power(degrees, float(exponent), out=power, where=degrees > 0)
    return power.astype(np.float32)
