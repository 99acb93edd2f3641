"""Bases: the directions whose products with a vector a code's dimensions tell.

A code need not have one dimension for each of the encoder's. In a basis, a dimension of the code
is a share of the product with some direction, and several dimensions, bit planes of one number,
may share a direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.codes.products import products

__all__ = ["Basis"]

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Basis:
    """A linear map between an encoder's d dimensions and a code's `dim`.

    Decoded y stands for x = sum_j y_j directions[owner_j] + rest, so that q . x is a dot product of
    `apply(q)` and y, and a number q . rest which is the same for every item and ranks nothing.

    Attributes:
        directions: (k, d) float16, their largest number about one.
        owner: (dim,) uint16, rising: the direction of each dimension.
        rest: (d,) float32, what all items have in common and no dimension tells.
    """

    directions: npt.NDArray[np.float16]
    owner: npt.NDArray[np.uint16]
    rest: Vectors

    kind: ClassVar[str] = "basis"

    def __post_init__(self) -> None:
        if self.directions.ndim != 2 or self.directions.dtype != np.float16:
            raise ValueError(f"directions must be (k, d) float16, got {self.directions.dtype}")
        k, d = self.directions.shape
        if self.owner.dtype != np.uint16 or self.rest.dtype != np.float32 or len(self.rest) != d:
            raise ValueError(f"a basis of {d} dimensions needs uint16 owners and {d} float32 more")
        owners = self.owner.astype(np.int64)
        if (owners >= k).any() or (np.diff(owners) < 0).any():
            raise ValueError(f"owners must rise and be below {k}")
        for name, values in (("directions", self.directions), ("rest", self.rest)):
            if not np.isfinite(values).all():
                raise ValueError(f"the basis has {name} that are not finite")

    @property
    def dim(self) -> int:
        """Dimensions of the code."""
        return len(self.owner)

    @property
    def source_dim(self) -> int:
        """Dimensions of the encoder's space, d."""
        return len(self.rest)

    @property
    def n_bytes(self) -> int:
        """Bytes of all three, kept once for all rows."""
        return self.directions.nbytes + self.owner.nbytes + self.rest.nbytes

    def apply(self, queries: Vectors, *, steady: bool = True) -> Vectors:
        """(n, d) float32 -> (n, dim) float32: what a query multiplies each dimension by. Always
        steady (see `Rotation`)."""
        return products(queries, self.directions.T.astype(np.float32))[:, self.owner]

    def inverse(self, decoded: Vectors, *, steady: bool = True) -> Vectors:
        """(n, dim) float32 -> (n, d) float32, likewise."""
        sums = np.zeros((len(decoded), len(self.directions)), np.float32)
        for dimension, direction in enumerate(self.owner):  # in this order, always
            sums[:, direction] += decoded[:, dimension]
        return products(sums, self.directions.astype(np.float32)) + self.rest
