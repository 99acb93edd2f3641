"""`full`: every id its own row. What all others are compared with."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.method import Side, SideMethod
from hashrec.bucketing.rules import Numbered

__all__ = ["Full"]


class Full(SideMethod):
    """One row an id, whatever the budget. An id that comes later shares a row by its number."""

    name: ClassVar[str] = "full"

    @property
    def needs_rows(self) -> bool:
        return False

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        buckets = np.arange(len(side), dtype=np.int32)[:, None]
        return Assignment(side.name, side.ids, buckets, len(side), (Numbered(1, len(side)),))
