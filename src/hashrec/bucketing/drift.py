"""Whether old buckets still fit: their modularity on today's graph against a fresh clustering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.arrivals import Arrivals
from hashrec.bucketing.buckets import Buckets
from hashrec.bucketing.neighbours import Neighbours
from hashrec.bucketing.reserved import Reserved
from hashrec.bucketing.sides import sides_of
from hashrec.clustering import BipartiteGraph, Partition, louvain, modularity
from hashrec.errors import UsageError
from hashrec.interactions import Interactions

__all__ = ["Drift", "drift"]


@dataclass(frozen=True)
class Drift:
    """What has become of a clustering.

    Attributes:
        gamma: the resolution at which both are measured: the one the buckets were found with.
        now: modularity of today's graph under the buckets, new ids placed by their rule.
        fresh: modularity of a clustering of today's graph.
        new_users, new_items: ids placed by rule.
    """

    gamma: float
    now: float
    fresh: float
    new_users: int
    new_items: int

    @property
    def lost(self) -> float:
        """The share of the fresh modularity that is missed; negative where the old is better."""
        return 1 - self.now / self.fresh if self.fresh > 0 else 0.0

    def pays(self, tolerance: float = 0.05) -> bool:
        """Whether clustering again would gain more than `tolerance` of the modularity."""
        return self.lost > tolerance

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "gamma": self.gamma,
            "modularity_now": self.now,
            "modularity_fresh": self.fresh,
            "lost": self.lost,
            "pays": self.pays(),
            "new_users": self.new_users,
            "new_items": self.new_items,
        }


def drift(
    buckets: Buckets,
    interactions: Interactions,
    *,
    weights: npt.ArrayLike | None = None,
    half_life: float | None = None,
) -> Drift:
    """Compares `buckets` with a fresh clustering of `interactions`, which hold all edges of today.

    Users are labelled by their row of the finest level and every item joins the label where it
    gains most, for the old buckets and for the fresh ones alike, so that merged or divided rows
    of the items do not count. `weights` and `half_life` as in `hashrec.buckets`: those that the
    buckets were found with. Raises UsageError for a method that clusters nothing.
    """
    rule = buckets.users.rules[-1]
    gamma = _gamma(buckets.facts)
    if gamma is None or not isinstance(rule, Neighbours):
        raise UsageError(
            "there is nothing to drift",
            name=buckets.method.name,
            expected="buckets found in the graph (graph, leiden, balanced, pyramid ...)",
        )
    sides = sides_of(interactions, weights=weights, half_life=half_life)
    graph = BipartiteGraph.build(
        sides.users.edges,
        sides.items.edges,
        sides.users.weights,
        sides.items.weights,
        user_exponent=rule.exponent,
        item_exponent=_item_exponent(buckets),
    )
    today = buckets.extend(interactions, weights=weights, half_life=half_life)
    here = today.users.positions(interactions.users.array)
    rows = today.users.buckets[here, _finest(today)]
    fresh = louvain(graph, gamma)
    return Drift(
        gamma,
        _modularity(graph, rows, gamma),
        _modularity(graph, fresh.users, gamma),
        len(today.users) - len(buckets.users),
        len(today.items) - len(buckets.items),
    )


def _gamma(facts: dict[str, Any]) -> float | None:
    """Of the method, or of its finest level."""
    levels = facts.get("levels")
    if levels:
        return _gamma(levels[-1])
    found = facts.get("gamma", facts.get("user_gamma"))
    return None if found is None else float(found)


def _finest(buckets: Buckets) -> int:
    """The column of the finest level; second choices (rank 1) are no level."""
    ranks = [getattr(rule, "rank", 0) for rule in buckets.users.rules]
    return max(way for way, rank in enumerate(ranks) if rank == 0)


def _item_exponent(buckets: Buckets) -> float:
    rule = buckets.items.rules[-1]
    return rule.exponent if isinstance(rule, Neighbours) else 1.0


def _modularity(graph: BipartiteGraph, labels: Any, gamma: float) -> float:
    """Of the users' labels, with every item where it gains most."""
    k = int(labels.max(initial=0)) + 1
    load = np.bincount(labels, graph.user_strength, minlength=k).astype(np.float64)
    rule = Neighbours(
        gamma / graph.total, labels.astype(np.int32), load, *graph.item_power, Reserved(k - 1)
    )
    ids = np.arange(graph.n_items)
    items = rule.place(Arrivals(ids, 0, graph.by_item, graph.item_weights))
    return modularity(graph, Partition.of(labels, items), gamma)
