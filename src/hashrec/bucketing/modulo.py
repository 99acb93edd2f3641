"""`modulo`: the position modulo the rows. What papers call random hashing."""

from __future__ import annotations

from typing import ClassVar

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.method import Side, SideMethod
from hashrec.bucketing.ruled import ruled
from hashrec.bucketing.rules import Numbered

__all__ = ["Modulo"]


class Modulo(SideMethod):
    """Row = position mod rows: as even as can be, and as blind."""

    name: ClassVar[str] = "modulo"

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        return ruled(side, rows, Numbered(1, rows))
