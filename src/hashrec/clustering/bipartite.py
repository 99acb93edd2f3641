"""What is clustered, and what a clustering is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.kernels import kernel

__all__ = ["BipartiteGraph", "Labels", "Partition", "Strength", "Weights", "load"]

Labels = npt.NDArray[np.int32]
Strength = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BipartiteGraph:
    """A weighted user x item graph, by row and by column, and what chance would expect of it.

    The null model expects weight s_u s_i / total between user u and item i. With s the weighted
    degrees this is Barber's.

    Attributes:
        by_user: (n_users, n_items). by_item: its transpose.
        user_weights, item_weights: (n_edges,) float32 beside the indices of each, or None where
            every edge weighs one.
        user_strength: (n_users,) float64, s_u. item_strength: (n_items,) float64, s_i. Both sum
            to `total`, the weight of all edges.
        user_power, item_power: (exponent, scale) with s = scale * degree ** exponent.
    """

    by_user: Csr
    by_item: Csr
    user_weights: Weights | None
    item_weights: Weights | None
    user_strength: Strength
    item_strength: Strength
    user_power: tuple[float, float] = (1.0, 1.0)
    item_power: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def build(
        cls,
        by_user: Csr,
        by_item: Csr,
        user_weights: Weights | None = None,
        item_weights: Weights | None = None,
        *,
        user_exponent: float = 1.0,
        item_exponent: float = 1.0,
    ) -> BipartiteGraph:
        """With strengths in proportion to (weighted degree) ** exponent; 0 for those without
        edges whatever the exponent."""
        users, user_scale = _strength(by_user, user_weights, user_exponent)
        items, item_scale = _strength(by_item, item_weights, item_exponent)
        return cls(
            by_user,
            by_item,
            user_weights,
            item_weights,
            users,
            items,
            (user_exponent, user_scale),
            (item_exponent, item_scale),
        )

    @property
    def n_users(self) -> int:
        return self.by_user.n_rows

    @property
    def n_items(self) -> int:
        return self.by_item.n_rows

    @property
    def n(self) -> int:
        return self.n_users + self.n_items

    @property
    def total(self) -> float:
        """The weight of all edges."""
        return float(self.user_strength.sum())


@dataclass(frozen=True, eq=False)
class Partition:
    """Every node's community.

    Attributes:
        users: (n_users,) int32. items: (n_items,) int32. Labels are 0..n_communities-1, all used,
            numbered as they first occur, users before items.
    """

    users: Labels
    items: Labels
    n_communities: int

    @classmethod
    def of(cls, users: npt.NDArray[np.integer], items: npt.NDArray[np.integer]) -> Partition:
        """From any labels that are not negative."""
        labels = np.concatenate([users, items])
        number = np.full(int(labels.max(initial=-1)) + 1, -1, dtype=np.int32)
        count = int(_number(labels, number))
        return cls(number[users], number[items], count)

    def fingerprint(self) -> str:
        """sha256 (hex) of the labels."""
        digest = hashlib.sha256(b"hashrec partition 1\n")
        digest.update(self.users.astype("<i4").tobytes())
        digest.update(self.items.astype("<i4").tobytes())
        return digest.hexdigest()


def load(labels: Labels, strength: Strength, k: int) -> Strength:
    """(k,) float64: the strength under each label."""
    return np.bincount(labels, strength, minlength=k).astype(np.float64, copy=False)


@kernel
def _number(labels, number):  # type: ignore[no-untyped-def]
    """Fills `number` with the order in which labels first occur; returns how many there are."""
    count = 0
    for label in labels:
        if number[label] < 0:
            number[label] = count
            count += 1
    return count


def _strength(rows: Csr, weights: Weights | None, exponent: float) -> tuple[Strength, float]:
    """(n,) scale * degree ** exponent, and the scale that keeps the sum that of the degrees."""
    degree = _degree(rows, weights)
    if exponent == 1.0:
        return degree, 1.0
    power = np.zeros(len(degree), dtype=np.float64)
    np.power(degree, exponent, out=power, where=degree > 0)
    scale = float(degree.sum() / max(power.sum(), np.finfo(np.float64).tiny))
    return power * scale, scale


def _degree(rows: Csr, weights: Weights | None) -> Strength:
    if weights is None:
        return rows.lengths.astype(np.float64)
    # Summed edge by edge in float64: a cumulative sum would round the small rows behind the large.
    degree = np.bincount(rows.row_of_entry, weights=weights, minlength=rows.n_rows)
    return degree.astype(np.float64, copy=False)
