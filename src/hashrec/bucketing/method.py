"""What a bucket method gets and gives."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.assignment import Assignment, SideName
from hashrec.bucketing.budget import Budget, split_evenly
from hashrec.component import Component
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.progress import SILENT, Progress

__all__ = ["BucketMethod", "Found", "Side", "SideMethod", "Sides"]


@dataclass(frozen=True, eq=False)
class Side:
    """The users, or the items, of a log.

    Attributes:
        name: `user` or `item`.
        ids: (n,) pa.Array of raw ids, sorted.
        edges: (n, n_opposite) whom each has met.
        weights: (n_edges,) float32 beside `edges.indices`, positive, or None where all are one.
        features: (n, f) float32 side features, or None.
    """

    name: SideName
    ids: Any
    edges: Csr
    weights: npt.NDArray[np.float32] | None = None
    features: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Sides:
    """Both sides of one bipartite graph; `items.edges` is the transpose of `users.edges`.

    `tied`: rows and columns are the same ids (a co-occurrence graph), to be given the same rows.
    """

    users: Side
    items: Side
    tied: bool = False

    @property
    def n(self) -> int:
        return len(self.users) + len(self.items)


@dataclass(frozen=True, eq=False)
class Found:
    """What a method found: the two assignments, and JSON-ready facts about how."""

    users: Assignment
    items: Assignment
    facts: dict[str, Any] = field(default_factory=dict)


class BucketMethod(Component):
    """Options of one method; `assign` does the work.

    Attributes:
        takes_features: of users and items; others would ignore them.
    """

    takes_features: ClassVar[bool] = False

    @property
    def needs_rows(self) -> bool:
        """Whether it must be told a budget."""
        return True

    @abstractmethod
    def assign(self, sides: Sides, budget: Budget, seed: int, progress: Progress = SILENT) -> Found:
        """Assignments within `budget` (whose rows never exceed the ids). Same seed, same bytes."""


class SideMethod(BucketMethod):
    """A method that looks at one side at a time; the budget is split in proportion to the ids."""

    def assign(self, sides: Sides, budget: Budget, seed: int, progress: Progress = SILENT) -> Found:
        user_rows, item_rows = split_evenly(budget, len(sides.users), len(sides.items))
        if sides.tied:
            return self._assign_tied(sides.users, budget, min(user_rows, item_rows), seed)
        items = self.assign_side(sides.items, item_rows, seed)
        users = self.assign_side(sides.users, user_rows, seed)
        return Found(users, items)

    def _assign_tied(self, side: Side, budget: Budget, rows: int, seed: int) -> Found:
        """One assignment for both; of an odd total, one row stays unused."""
        if budget.users != budget.items:
            raise UsageError(
                "tied sides share their rows",
                expected="user_rows = item_rows",
                got=f"{budget.users} and {budget.items}",
            )
        users = self.assign_side(side, rows, seed)
        return Found(users, replace(users, side="item"))

    @abstractmethod
    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        """The assignment of one side to `rows` rows, 1 <= rows <= len(side)."""
