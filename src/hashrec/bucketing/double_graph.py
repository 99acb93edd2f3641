"""`double-graph`: the row of the community and a hashed row of the same table, summed."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from hashrec.bucketing.arrivals import Arrivals
from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.budget import Budget
from hashrec.bucketing.graph import GraphHash
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.method import Found, Sides
from hashrec.progress import SILENT, Progress

__all__ = ["DoubleGraphHash"]


class DoubleGraphHash(GraphHash):
    """v = E[h(id)] + E[community(id)]: the community's vector, told apart by a hash.

    DoubleGraphHash of the GraphHash paper, which uses it for click-through rates.
    """

    name: ClassVar[str] = "double-graph"

    def assign(self, sides: Sides, budget: Budget, seed: int, progress: Progress = SILENT) -> Found:
        found = super().assign(sides, budget, seed, progress)
        users = _with_hash(found.users, seed)
        items = replace(users, side="item") if sides.tied else _with_hash(found.items, seed)
        return replace(found, users=users, items=items)


def _with_hash(assignment: Assignment, seed: int) -> Assignment:
    rule = Hashed(seed, f"{assignment.side} double", assignment.rows)
    hashed = rule.place(Arrivals(assignment.ids, 0))[:, None]
    return replace(
        assignment,
        buckets=np.concatenate([hashed, assignment.buckets], axis=1),
        rules=(rule, *assignment.rules),
    )
