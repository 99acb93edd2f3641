"""From communities to the rows of one side's table."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.arrivals import Arrivals
from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.method import Side
from hashrec.bucketing.neighbours import Neighbours
from hashrec.bucketing.reserved import Reserved
from hashrec.bucketing.resolution import Run
from hashrec.clustering import BipartiteGraph

__all__ = ["Fate", "tabled"]

Fate = Literal["reserved", "hash", "own"]


def tabled(
    side: Side,
    graph: BipartiteGraph,
    run: Run,
    counted: npt.NDArray[np.bool_],
    fate: Fate,
    seed: int,
) -> Assignment:
    """A row for each community that has members of this side, in the order of labels.

    Args:
        counted: (n,) the ids that have edges and so a community.
        fate: of the others: `reserved`, the last row, kept for them; `hash`, any row by their
            id; `own`, a row each. Those who come later without edges are hashed in the last case.
    """
    labels = run.partition.users if side.name == "user" else run.partition.items
    used, rows_of_counted = np.unique(labels[counted], return_inverse=True)
    lonely = np.flatnonzero(~counted)
    rows = len(used) + {"reserved": 1, "hash": 0, "own": len(lonely)}[fate]
    fallback = (
        Reserved(rows - 1) if fate == "reserved" else Hashed(seed, f"{side.name} edgeless", rows)
    )
    buckets = fallback.place(Arrivals(side.ids, 0))
    buckets[counted] = rows_of_counted
    if fate == "own":
        buckets[lonely] = len(used) + np.arange(len(lonely), dtype=np.int32)
    row_of = np.full(run.partition.n_communities, -1, dtype=np.int32)
    row_of[used] = np.arange(len(used), dtype=np.int32)
    rule = _rule(side, graph, run, row_of, rows, fallback)
    return Assignment(side.name, side.ids, buckets[:, None], rows, (rule,))


def _rule(
    side: Side,
    graph: BipartiteGraph,
    run: Run,
    row_of: npt.NDArray[np.int32],
    rows: int,
    fallback: Hashed | Reserved,
) -> Neighbours:
    others, strength = run.partition.items, graph.item_strength
    exponent, scale = graph.user_power
    if side.name == "item":
        others, strength = run.partition.users, graph.user_strength
        exponent, scale = graph.item_power
    homes = np.where(strength > 0, row_of[others], np.int32(-1))
    load = np.bincount(homes[homes >= 0], strength[homes >= 0], minlength=rows)
    return Neighbours(
        run.resolution / graph.total, homes, load.astype(np.float64), exponent, scale, fallback
    )
