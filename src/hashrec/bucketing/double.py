"""`double`: two hashes of the raw id into the same table, their rows summed."""

from __future__ import annotations

from typing import ClassVar

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.method import Side, SideMethod
from hashrec.bucketing.ruled import hashes, ruled

__all__ = ["DoubleHash"]


class DoubleHash(SideMethod):
    """v = E[h_1(id)] + E[h_2(id)]: two ids share a vector only if both of their rows agree.

    Zhang et al. 2020, "Model size reduction using frequency based double hashing for recommender
    systems".
    """

    name: ClassVar[str] = "double"

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        return ruled(side, rows, *hashes(side, 2, seed, rows))
