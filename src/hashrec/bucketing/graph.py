"""`graph`: GraphHash. Ids that share a community of the interaction graph share a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from hashrec.bucketing.budget import Budget
from hashrec.bucketing.method import BucketMethod, Found, Sides
from hashrec.bucketing.resolution import Run, Runs, searched
from hashrec.bucketing.rows import Target, bounded, met
from hashrec.bucketing.tabled import Fate, tabled
from hashrec.clustering import (
    CLUSTERINGS,
    BipartiteGraph,
    Clustering,
    Partition,
    louvain,
    modularity,
)
from hashrec.clustering.engines import Louvain
from hashrec.errors import UsageError
from hashrec.progress import SILENT, Progress

__all__ = ["GraphHash"]


class GraphHash(BucketMethod):
    """Communities of maximal bipartite modularity, users and items together; a row each a side.

    X. Wu et al., "GraphHash: Graph Clustering Enables Parameter Efficiency in Recommender
    Systems", WWW 2025. The resolution is found for the budget: a larger one makes more, smaller
    communities; what is then missing or too many is mended by setting nodes apart or merging
    communities where that costs least. Nothing is drawn at random.

    Attributes:
        gamma: the resolution, instead of the search. Without a budget, the communities as found.
        edgeless: ids without edges, now and later: `reserved`, the last row of the table, kept
            for them alone; `hash`, any row, by their id.
        largest: the largest share of a side's ids that may share a row; cut beyond it. The row
            reserved for ids without edges is not bounded.
        engine: who clusters.
        user_exponent, item_exponent: chance expects an edge in proportion to (user degree) **
            user_exponent * (item degree) ** item_exponent. 1 and 1 are Barber's modularity, 0 and
            0 the constant Potts model, which counts heads instead of edges.
    """

    name: ClassVar[str] = "graph"

    gamma: Annotated[float, Field(gt=0)] | None = None
    edgeless: Literal["reserved", "hash"] = "reserved"
    largest: Annotated[float, Field(gt=0, le=1)] = 1.0
    engine: Clustering = Louvain()
    user_exponent: Annotated[float, Field(ge=0, le=2)] = 1.0
    item_exponent: Annotated[float, Field(ge=0, le=2)] = 1.0

    @field_validator("engine", mode="before")
    @classmethod
    def _from_registry(cls, value: Any) -> Any:
        return CLUSTERINGS.parse(value)

    @property
    def needs_rows(self) -> bool:
        return self.gamma is None

    def assign(self, sides: Sides, budget: Budget, seed: int, progress: Progress = SILENT) -> Found:
        users, items = sides.users, sides.items
        graph = BipartiteGraph.build(
            users.edges, items.edges, users.weights, items.weights,
            user_exponent=self.user_exponent, item_exponent=self.item_exponent,
        )  # fmt: skip
        runs = Runs(lambda gamma: self._cluster(graph, gamma, sides.tied))
        found: list[tuple[Run, Target]] = []
        for counts_users, counts_items, rows in self._demands(sides, budget):
            progress.start(f"clustering {graph.n:,} nodes", 1)
            target = self._target(sides, graph, counts_users, counts_items, rows)
            found.append((self._meeting(graph, runs, target, sides.tied, rows is None), target))
            progress.advance()
        (by_users, users_target), (by_items, items_target) = found[0], found[-1]
        fates = self._fates(sides, budget)
        user_side = tabled(users, graph, by_users, users_target.users, fates[0], seed)
        if sides.tied:
            item_side = replace(user_side, side="item")
        else:
            item_side = tabled(items, graph, by_items, items_target.items, fates[1], seed)
        return Found(user_side, item_side, _facts(graph, runs, [run for run, _ in found]))

    def _cluster(self, graph: BipartiteGraph, gamma: float, tied: bool) -> Partition:
        """One iteration is enough to count rows by; the run that is kept gets the others."""
        if isinstance(self.engine, Louvain) and not tied:
            return louvain(graph, gamma, iterations=1)
        return self.engine.cluster(graph, gamma, tied=tied)

    def _demands(self, sides: Sides, budget: Budget) -> list[tuple[bool, bool, int | None]]:
        """What is to be met: (users count, items count, rows), one or one for each side."""
        reserved = [int(fate == "reserved") for fate in self._fates(sides, budget)]
        if budget.free:
            return [(True, not sides.tied, None)]
        if sides.tied:
            if budget.users != budget.items:
                raise UsageError("tied sides share their rows", expected="user_rows = item_rows",
                                 got=f"{budget.users} and {budget.items}")  # fmt: skip
            return [(True, False, _left("rows", budget.total // 2, reserved[0], 1))]
        if budget.users is None or budget.items is None:
            return [(True, True, _left("rows", budget.total, sum(reserved), 2))]
        return [
            (True, False, _left("user_rows", budget.users, reserved[0], 1)),
            (False, True, _left("item_rows", budget.items, reserved[1], 1)),
        ]

    def _fates(self, sides: Sides, budget: Budget) -> tuple[Fate, Fate]:
        """What becomes of the edgeless ids of each side: `own` rows where there is one for each
        id, else what `edgeless` says."""
        per_side = budget.users is not None and budget.items is not None
        rows = (budget.users, budget.items) if per_side else (budget.total, budget.total)
        ids = (len(sides.users), len(sides.items)) if per_side else (sides.n, sides.n)
        fates: list[Fate] = [
            "own" if not budget.free and (wanted or 0) >= n else self.edgeless
            for wanted, n in zip(rows, ids, strict=True)
        ]
        return fates[0], fates[1]

    def _target(
        self, sides: Sides, graph: BipartiteGraph, users: bool, items: bool, rows: int | None
    ) -> Target:
        linked = graph.user_strength > 0, graph.item_strength > 0
        met_users = linked[0] | linked[1] if sides.tied else linked[0] & users
        met_items = linked[1] & items
        nodes = int(met_users.sum() + met_items.sum())
        largest = [max(1, int(self.largest * n)) for n in (graph.n_users, graph.n_items)]
        return Target(nodes if rows is None else min(rows, nodes), met_users, met_items,
                      (largest[0], largest[1]), sides.tied)  # fmt: skip

    def _meeting(
        self, graph: BipartiteGraph, runs: Runs, target: Target, tied: bool, free: bool
    ) -> Run:
        if self.gamma is not None:
            run = runs.done[0] if runs.done else runs.at(self.gamma)
        else:
            run = searched(graph, runs, target)
        partition = self._finished(graph, run, tied)
        if free:
            partition = bounded(partition, target)
        else:
            partition = met(graph, partition, run.resolution, target)
        if tied:
            partition = Partition.of(partition.users, partition.users)
        return Run(run.resolution, partition)

    def _finished(self, graph: BipartiteGraph, run: Run, tied: bool) -> Partition:
        if isinstance(self.engine, Louvain) and not tied and self.engine.iterations > 1:
            more = self.engine.iterations - 1
            return louvain(graph, run.resolution, iterations=more, start=run.partition)
        return run.partition


def _left(name: str, rows: int, reserved: int, least: int) -> int:
    """What a reserved row leaves."""
    if rows - reserved < least:
        raise UsageError(
            "too few rows", name=name, expected=f"at least {least + reserved}, the reserved row "
            "for ids without edges included", got=str(rows), fix="set edgeless to hash",
        )  # fmt: skip
    return rows - reserved


def _facts(graph: BipartiteGraph, runs: Runs, found: list[Run]) -> dict[str, Any]:
    """Resolution and modularity of what was kept, and of every clustering on the way."""
    facts: dict[str, Any] = {}
    for prefix, run in zip(("",) if len(found) == 1 else ("user_", "item_"), found, strict=True):
        facts[f"{prefix}gamma"] = run.resolution
        facts[f"{prefix}modularity"] = modularity(graph, run.partition, run.resolution)
        facts[f"{prefix}communities"] = run.partition.n_communities
    facts["runs"] = [
        {
            "gamma": run.resolution,
            "communities": run.partition.n_communities,
            "modularity": modularity(graph, run.partition, run.resolution),
        }
        for run in sorted(runs.done, key=lambda run: run.resolution)
    ]
    return facts
