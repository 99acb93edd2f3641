"""`pyramid`: communities at several resolutions, coarse to fine, their rows summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.budget import Budget
from hashrec.bucketing.graph import GraphHash
from hashrec.bucketing.leiden import LeidenHash
from hashrec.bucketing.method import BucketMethod, Found, Sides
from hashrec.errors import UsageError
from hashrec.progress import SILENT, Progress

__all__ = ["Pyramid"]

Share = Annotated[float, Field(gt=0, le=1)]


class Pyramid(BucketMethod):
    """v = E[c_1(id)] + E[c_2(id)] + ...: one community of each level, all in one table.

    A coarse level costs few rows and learns from many interactions; a fine one tells its members
    apart, and is left the rest to learn. Ids differ as soon as they differ on one level, so the
    same rows make far more vectors than a single clustering has communities. This is ours; what
    it is worth beside the others stands in docs/experiments.md.

    Attributes:
        shares: of the rows for each level, coarse to fine; they are scaled to sum to 1.
        user_exponent, item_exponent, edgeless: as in `graph`.
    """

    name: ClassVar[str] = "pyramid"

    shares: Annotated[tuple[Share, ...], Field(min_length=1, max_length=8)] = (0.05, 0.15, 0.3, 0.5)
    user_exponent: Annotated[float, Field(ge=0, le=2)] = 1.0
    item_exponent: Annotated[float, Field(ge=0, le=2)] = 0.5

    def assign(self, sides: Sides, budget: Budget, seed: int, progress: Progress = SILENT) -> Found:
        levels = [
            self._level().assign(sides, part, seed, progress) for part in self._parts(sides, budget)
        ]
        users = stacked([level.users for level in levels])
        items = stacked([level.items for level in levels])
        if sides.tied:
            items = replace(users, side="item")
        return Found(users, items, {"levels": [level.facts for level in levels]})

    def _level(self) -> GraphHash:
        # Ids without edges are told apart by nothing on any level: hashing them costs no row.
        return LeidenHash(
            user_exponent=self.user_exponent, item_exponent=self.item_exponent, edgeless="hash"
        )

    def _parts(self, sides: Sides, budget: Budget) -> list[Budget]:
        """The budget of each level; the last takes what rounding leaves."""
        users, items = budget.users, budget.items
        if users is None or items is None:
            return [Budget(total) for total in self._split("rows", budget.total, 2)]
        pairs = zip(
            self._split("user_rows", users, 1), self._split("item_rows", items, 1), strict=True
        )
        return [Budget(u + i, u, i) for u, i in pairs]

    def _split(self, name: str, rows: int, least: int) -> list[int]:
        ends = np.round(np.cumsum(self.shares) / sum(self.shares) * rows).astype(int)
        parts = [int(part) for part in np.diff(ends, prepend=0)]
        if min(parts) < least:
            raise UsageError(
                "too few rows for these levels", name=name, expected=f"{least} a level or more",
                got=f"{rows} rows in levels of {parts}", fix="give more rows or fewer shares",
            )  # fmt: skip
        return parts


def stacked(levels: Sequence[Assignment]) -> Assignment:
    """One table of all the levels' rows, in order; every id uses a row of each."""
    starts = np.cumsum([0, *(level.rows for level in levels)])
    columns = [
        level.buckets + np.int32(start) for level, start in zip(levels, starts[:-1], strict=True)
    ]
    rules: list[Any] = [
        rule.shifted(int(start))  # type: ignore[attr-defined]
        for level, start in zip(levels, starts[:-1], strict=True)
        for rule in level.rules
    ]
    return replace(
        levels[0],
        buckets=np.concatenate(columns, axis=1),
        rows=int(starts[-1]),
        rules=tuple(rules),
    )
