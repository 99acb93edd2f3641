"""`balanced`: item buckets more alike in size, and a second bucket for every user."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from hashrec.bucketing.arrivals import Arrivals
from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.budget import Budget
from hashrec.bucketing.graph import GraphHash
from hashrec.bucketing.method import Found, Side, Sides
from hashrec.bucketing.neighbours import Neighbours, best_of_each
from hashrec.progress import SILENT, Progress

__all__ = ["Balanced", "with_second"]


class Balanced(GraphHash):
    """Balanced co-clustering after BACO (arXiv 2604.18351), found with our own moves.

    Chance expects an edge in proportion to the user's degree and to the item's to a smaller
    power, so popular items do not shrink their communities (item buckets are more alike in size,
    user buckets less); and a user's vector is the mean of the rows of the two communities where
    they gain most. Differs from BACO: Louvain instead of five rounds of label propagation, the
    resolution found for the budget, and the second index is not charged to the rows but reported
    with `index_bytes`.

    Attributes:
        second: which ids get a second bucket.
    """

    name: ClassVar[str] = "balanced"

    item_exponent: Annotated[float, Field(ge=0, le=2)] = 0.5
    second: Literal["users", "both"] = "users"

    def assign(self, sides: Sides, budget: Budget, seed: int, progress: Progress = SILENT) -> Found:
        found = super().assign(sides, budget, seed, progress)
        users = with_second(found.users, sides.users)
        if sides.tied:
            return replace(found, users=users, items=replace(users, side="item"))
        items = found.items
        return replace(
            found,
            users=users,
            items=with_second(items, sides.items) if self.second == "both" else items,
        )


def with_second(assignment: Assignment, side: Side) -> Assignment:
    """The mean of each id's row and the row where it gains most of all others its neighbours are
    in; its own row again for those whose neighbours are in no other."""
    (rule,) = assignment.rules
    assert isinstance(rule, Neighbours)
    node, row, gain = rule.gains(Arrivals(side.ids, 0, side.edges, side.weights))
    other = row != assignment.buckets[node, 0]
    node, row, gain = node[other], row[other], gain[other]
    first = best_of_each(node, row, gain)
    second = assignment.buckets[:, 0].copy()
    second[node[first]] = row[first]
    return replace(
        assignment,
        buckets=np.stack([assignment.buckets[:, 0], second], axis=1),
        combiner="mean",
        rules=(rule, replace(rule, rank=1)),
    )
