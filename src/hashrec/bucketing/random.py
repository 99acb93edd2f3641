"""`random`: a hash of the raw id."""

from __future__ import annotations

from typing import ClassVar

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.method import Side, SideMethod
from hashrec.bucketing.ruled import hashes, ruled

__all__ = ["RandomHash"]


class RandomHash(SideMethod):
    """Row = h(raw id): needs no list of ids, and an id keeps its row whatever else is there."""

    name: ClassVar[str] = "random"

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        return ruled(side, rows, *hashes(side, 1, seed, rows))
