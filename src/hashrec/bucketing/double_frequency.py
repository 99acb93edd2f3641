"""`double-frequency`: the busiest ids have rows of their own, the others two hashed rows."""

from __future__ import annotations

from typing import ClassVar

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.frequency import Share, with_own_rows
from hashrec.bucketing.method import Side, SideMethod

__all__ = ["DoubleFrequency"]


class DoubleFrequency(SideMethod):
    """As `frequency`, the others as in `double`.

    An owned row stands in both ways and is summed with itself, as in papers: a learned row is
    free to be half as large, and all vectors are sums of two rows of one table.
    """

    name: ClassVar[str] = "double-frequency"

    share: Share = 0.5

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        return with_own_rows(side, rows, self.share, seed, ways=2)
