"""From a partition to exactly the rows allowed: communities merged, or nodes set apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashrec.clustering import BipartiteGraph, Partition
from hashrec.clustering.network import Network, aggregate
from hashrec.errors import UsageError
from hashrec.kernels import kernel

__all__ = ["Target", "bounded", "met"]

Mask = npt.NDArray[np.bool_]
_NO_WEIGHTS = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Target:
    """How many rows are wanted of a partition.

    Attributes:
        rows: of the sides counted, at most the nodes counted.
        users, items: which nodes count: those with edges, of the sides that the budget is for.
        largest: (users, items), the most nodes of a side that may share a row.
        tied: users and items are the same ids; then users count for both.
    """

    rows: int
    users: Mask
    items: Mask
    largest: tuple[int, int]
    tied: bool = False

    @property
    def least(self) -> int:
        """The fewest rows that the bound on sizes allows."""
        sides = zip((self.users, self.items), self.largest, strict=True)
        return sum(-(-int(mask.sum()) // most) for mask, most in sides)

    @property
    def nodes(self) -> int:
        """How many nodes count: with a row each, the most rows there can be."""
        return int(self.users.sum() + self.items.sum())

    def count(self, partition: Partition) -> int:
        """Rows the partition needs: its distinct labels on each side counted."""
        return sum(int(np.count_nonzero(held)) for held in self.held(partition))

    def held(self, partition: Partition) -> tuple[Mask, Mask]:
        """(k,) which communities have a row for users, and which for items."""
        k = partition.n_communities
        return (
            np.bincount(partition.users[self.users], minlength=k) > 0,
            np.bincount(partition.items[self.items], minlength=k) > 0,
        )


def met(
    graph: BipartiteGraph, partition: Partition, resolution: float, target: Target
) -> Partition:
    """The partition with as many rows as the target says, or one fewer.

    Too few: nodes leave. Too many: communities merge, those first whose union costs the least
    modularity; a merger may save two rows where one was too many. Raises UsageError where the
    bound on sizes allows no such partition.
    """
    if target.least > target.rows:
        raise UsageError(
            "the bound on bucket sizes contradicts the budget",
            name="largest",
            expected=f"at least {target.least} rows for it",
            got=f"{target.rows} rows",
        )
    partition = bounded(partition, target)
    surplus = target.count(partition) - target.rows
    while surplus > 0:
        merged = _merged(graph, partition, resolution, target, surplus)
        if merged is None:  # no two communities fit together any more
            partition = _regrouped(partition, target)
            break
        partition = merged
        surplus = target.count(partition) - target.rows
    return _set_apart(graph, partition, target, -surplus) if surplus < 0 else partition


def _merged(
    graph: BipartiteGraph, partition: Partition, resolution: float, target: Target, surplus: int
) -> Partition | None:
    """Disjoint pairs of communities merged until `surplus` rows are saved, as far as one go can."""
    network = aggregate(graph, partition)
    k = len(network)
    sizes = np.stack(
        [
            np.bincount(labels[counted], minlength=k)
            for labels, counted in (
                (partition.users, target.users), (partition.items, target.items)
            )
        ]
    )  # fmt: skip
    first, second = _pairs(network, resolution / graph.total, sizes)
    saved = ((sizes[:, first] > 0) & (sizes[:, second] > 0)).sum(axis=0)
    into = np.arange(k, dtype=np.int32)
    useful = saved > 0
    done = _match(
        first[useful], second[useful], saved[useful], surplus, sizes, np.array(target.largest), into
    )
    if not done:
        return None
    return Partition.of(into[partition.users], into[partition.items])


def _pairs(
    network: Network, rate: float, sizes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs to try, the cheapest first: every community with its best neighbour; then, side by
    side, the smallest with the next. Where the two smallest do not fit together, no two do."""
    rows = np.repeat(np.arange(len(network)), np.diff(network.offsets))
    gains = network.weights - rate * (
        network.users[rows] * network.items[network.indices]
        + network.items[rows] * network.users[network.indices]
    )
    order = np.lexsort((network.indices, -gains, rows))
    best = order[network.offsets[:-1][np.diff(network.offsets) > 0]]
    best = best[np.argsort(-gains[best], kind="stable")]
    first, second = [rows[best]], [network.indices[best].astype(np.int64)]
    for side in sizes:
        chain = np.argsort(side, kind="stable")
        chain = chain[side[chain] > 0]
        first.append(chain[:-1])
        second.append(chain[1:])
    return np.concatenate(first), np.concatenate(second)


@kernel
def _match(  # type: ignore[no-untyped-def]
    first, second, saved, surplus, sizes, largest, into
):  # fmt: skip
    """Merges pairs in order, each community at most once; returns the rows saved."""
    taken = np.zeros(len(into), dtype=np.bool_)
    done = 0
    for at in range(len(first)):
        one, other = first[at], second[at]
        if done >= surplus:
            break
        if taken[one] or taken[other]:
            continue
        if (
            sizes[0, one] + sizes[0, other] > largest[0]
            or sizes[1, one] + sizes[1, other] > largest[1]
        ):
            continue
        taken[one] = taken[other] = True
        into[other] = one
        done += saved[at]
    return done


def _regrouped(partition: Partition, target: Target) -> Partition:
    """The nodes counted, in the order of their communities, cut into runs of equal length: the
    last resort of a bound so tight that communities do not fit together."""
    counts = [int(mask.sum()) for mask in (target.users, target.items)]
    least = [-(-n // most) for n, most in zip(counts, target.largest, strict=True)]
    spare, linked = target.rows - sum(least), max(sum(counts), 1)
    users = least[0] + spare * counts[0] // linked
    users = min(max(users, target.rows - counts[1]), counts[0])  # a side takes no row for nobody
    rows = users, target.rows - users
    labels = []
    for side, counted, n, runs, shift in zip(
        (partition.users, partition.items), (target.users, target.items), counts, rows,
        (0, rows[0]), strict=True,
    ):  # fmt: skip
        nodes = np.flatnonzero(counted)
        order = nodes[np.argsort(side[nodes], kind="stable")]
        cut = side.astype(np.int64) + sum(rows)  # those not counted stay as they are
        cut[order] = shift + np.arange(n) * runs // max(n, 1)
        labels.append(cut)
    return Partition.of(*labels)


def _set_apart(
    graph: BipartiteGraph, partition: Partition, target: Target, wanted: int
) -> Partition:
    """`wanted` nodes get a row of their own: those least at home in their community.

    At home is the share of a node's edges that stay inside; of equals the busiest goes first. In
    every community the node with most edges inside stays, so no row is lost.
    """
    inside = (
        _inside(graph.by_user.offsets, graph.by_user.indices,
                _NO_WEIGHTS if graph.user_weights is None else graph.user_weights,
                partition.users, partition.items),
        _inside(graph.by_item.offsets, graph.by_item.indices,
                _NO_WEIGHTS if graph.item_weights is None else graph.item_weights,
                partition.items, partition.users),
    )  # fmt: skip
    strengths = graph.user_strength, graph.item_strength
    if target.tied:
        inside, strengths = (inside[0] + inside[1],) * 2, (strengths[0] + strengths[1],) * 2
    users, items = partition.users.copy(), partition.items.copy()
    candidates = []
    sides = ((users, target.users, strengths[0]), (items, target.items, strengths[1]))
    for number, ((labels, counted, strength), kept) in enumerate(zip(sides, inside, strict=True)):
        free = _not_the_anchor(labels, kept, counted)
        share = kept[free] / strength[free]
        candidates.append(np.column_stack([share, -strength[free], free + number * len(users)]))
    ordered = np.concatenate(candidates)
    ordered = ordered[np.lexsort(ordered.T[::-1])][:wanted, 2].astype(np.int64)
    labels = np.concatenate([users, items])
    labels[ordered] = partition.n_communities + np.arange(len(ordered))
    return Partition.of(labels[: len(users)], labels[len(users) :])


def _not_the_anchor(
    labels: npt.NDArray[np.int32], kept: npt.NDArray[np.float64], counted: Mask
) -> npt.NDArray[np.int64]:
    """The nodes counted, less the one most at home in each community."""
    nodes = np.flatnonzero(counted)
    order = nodes[np.lexsort((nodes, -kept[nodes], labels[nodes]))]
    first = np.ones(len(order), dtype=bool)
    first[1:] = labels[order][1:] != labels[order][:-1]
    return np.sort(order[~first])


@kernel
def _inside(offsets, indices, weights, labels, other_labels):  # type: ignore[no-untyped-def]
    """(n,) float64: the weight of each node's edges inside its community."""
    found = np.zeros(len(labels))
    for node in range(len(labels)):
        for entry in range(offsets[node], offsets[node + 1]):
            if other_labels[indices[entry]] == labels[node]:
                found[node] += 1.0 if len(weights) == 0 else weights[entry]
    return found


def bounded(partition: Partition, target: Target) -> Partition:
    """Sides of communities that are too large, cut into runs of positions, each a community."""
    labels, fresh = [], partition.n_communities
    for side, counted, most in zip(
        (partition.users, partition.items), (target.users, target.items), target.largest,
        strict=True,
    ):  # fmt: skip
        rank = _rank_inside(side, counted)
        part = rank // most
        extra, numbers = np.unique(
            side[part > 0].astype(np.int64) * (rank.max(initial=0) + 1) + part[part > 0],
            return_inverse=True,
        )
        cut = side.astype(np.int64)
        cut[part > 0] = fresh + numbers
        fresh += len(extra)
        labels.append(cut)
    return Partition.of(*labels) if fresh > partition.n_communities else partition


def _rank_inside(labels: npt.NDArray[np.int32], counted: Mask) -> npt.NDArray[np.int64]:
    """(n,) each counted node's place among those of its label; 0 for the others."""
    rank = np.zeros(len(labels), dtype=np.int64)
    nodes = np.flatnonzero(counted)
    order = nodes[np.argsort(labels[nodes], kind="stable")]
    sorted_labels = labels[order]
    starts = np.searchsorted(sorted_labels, sorted_labels)
    rank[order] = np.arange(len(order)) - starts
    return rank
