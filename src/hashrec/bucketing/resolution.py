"""The resolution that gives a number of rows: a secant where the curve is nearly straight."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from hashrec.bucketing.rows import Target
from hashrec.clustering import BipartiteGraph, Partition

__all__ = ["Run", "Runs", "searched"]

_TRIES = 3
_NEAR = 0.03  # so near, splitting or merging does the rest and costs little modularity


@dataclass(frozen=True, eq=False)
class Run:
    """One clustering."""

    resolution: float
    partition: Partition


@dataclass
class Runs:
    """Clusterings made so far, so that a second budget on the same graph can start from them."""

    cluster: Callable[[float], Partition]
    done: list[Run] = field(default_factory=list)

    def at(self, resolution: float) -> Run:
        self.done.append(Run(resolution, self.cluster(resolution)))
        return self.done[-1]


def searched(graph: BipartiteGraph, runs: Runs, target: Target) -> Run:
    """The run whose rows are nearest to the target, after at most three new ones.

    With f the rows over the nodes counted, logit f runs nearly straight over log resolution, with
    slope 1 (docs/experiments.md); the first guess is where that line lies for the density rho of
    the graph, resolution = 2 f / ((1 - f) rho).
    """
    wanted = _logit(target.rows / target.nodes)
    points = [_point(run, target) for run in runs.done]
    for _ in range(_TRIES):
        if any(_near(run, target) for run in runs.done):
            break
        step = _next(points, wanted) if points else _guess(graph, target)
        points.append(_point(runs.at(math.exp(step)), target))
    return min(runs.done, key=lambda run: abs(_point(run, target)[1] - wanted))


def _near(run: Run, target: Target) -> bool:
    return abs(target.count(run.partition) / target.rows - 1) <= _NEAR


def _guess(graph: BipartiteGraph, target: Target) -> float:
    share = target.rows / target.nodes
    pairs = max(graph.n_users * graph.n_items, 1)
    density = len(graph.by_user.indices) / pairs
    return math.log(2 / density) + _logit(share)


def _point(run: Run, target: Target) -> tuple[float, float]:
    """(log resolution, logit of the share of rows)."""
    return math.log(run.resolution), _logit(target.count(run.partition) / target.nodes)


def _next(points: list[tuple[float, float]], wanted: float) -> float:
    """From the nearest point along the slope between the two nearest, or along 1."""
    ordered = sorted(points, key=lambda point: abs(point[1] - wanted))
    x, y = ordered[0]
    slope = 1.0
    if len(ordered) > 1 and ordered[1][0] != x:
        slope = min(max((ordered[1][1] - y) / (ordered[1][0] - x), 0.3), 3.0)
    return x + (wanted - y) / slope


def _logit(share: float) -> float:
    inside = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(inside / (1 - inside))
