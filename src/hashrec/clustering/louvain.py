"""Louvain and Leiden on a bipartite graph: moves, aggregation, moves of communities, down again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from hashrec.clustering.bipartite import BipartiteGraph, Labels, Partition
from hashrec.clustering.halves import half_passes
from hashrec.clustering.moves import local_moves
from hashrec.clustering.network import Network, aggregate, coarsen
from hashrec.clustering.refine import refined

__all__ = ["louvain"]

_ROUNDS = 10  # of half passes at the finest level; those left to move then are a few in a thousand


def louvain(
    graph: BipartiteGraph,
    resolution: float = 1.0,
    *,
    iterations: int = 2,
    refine: bool = False,
    tied: bool = False,
    start: Partition | None = None,
) -> Partition:
    """A partition of users and items at a local maximum of the modularity.

    V. D. Blondel et al., J. Stat. Mech. P10008, 2008, with the queue of V. A. Traag et al.,
    Scientific Reports 9, 5233, 2019. Each iteration starts at the finest level from what was
    found so far, so the second mends what aggregation froze in the first. Nothing is drawn at
    random and every sum has a fixed order: the same graph gives the same partition, on any number
    of threads.

    Args:
        resolution: larger makes more and smaller communities.
        iterations: at most; it ends sooner when one moves nothing.
        refine: aggregate well-connected parts of communities instead of whole ones (Leiden).
            The graph is then copied as a network: 24 bytes more an edge.
        tied: row p and column p are one node.
        start: where the first iteration begins; every node alone by default.

    Labels are numbered as they first occur, users before items. Nodes without edges stay where
    they start.
    """
    rate = resolution / graph.total
    first = _nodes(graph, tied)
    partition = first if start is None else start
    base = aggregate(graph, first) if tied or refine else None
    for _ in range(iterations):
        if base is None:
            moved, nodes = _fine_moves(graph, partition, resolution)
            labels = np.arange(nodes.n_communities, dtype=np.int32)
        else:
            moved, nodes, labels = 0, first, _labels_of(first, partition)
        source = partial(_aggregated, graph, nodes) if base is None else partial(_coarsened, base)
        climbed, labels = _climb(source, labels, rate, refine, fine=len(graph.by_user.indices))
        partition = Partition.of(labels[nodes.users], labels[nodes.items])
        if not moved + climbed:
            break
    return partition


def _nodes(graph: BipartiteGraph, tied: bool) -> Partition:
    """Every node alone, or with its other self."""
    users = np.arange(graph.n_users, dtype=np.int32)
    items = np.arange(graph.n_items, dtype=np.int32)
    return Partition(users, items if tied else items + np.int32(graph.n_users),
                     graph.n_users if tied else graph.n)  # fmt: skip


def _labels_of(nodes: Partition, partition: Partition) -> Labels:
    """(n_nodes,) the community of each node, which holds whole nodes."""
    labels = np.empty(nodes.n_communities, dtype=np.int32)
    labels[nodes.users], labels[nodes.items] = partition.users, partition.items
    return labels


def _fine_moves(
    graph: BipartiteGraph, partition: Partition, resolution: float
) -> tuple[int, Partition]:
    users, items = partition.users.copy(), partition.items.copy()
    moved = half_passes(graph, users, items, resolution, _ROUNDS)
    return moved, Partition.of(users, items)


def _aggregated(graph: BipartiteGraph, nodes: Partition, labels: Labels, k: int) -> Network:
    return aggregate(graph, Partition(labels[nodes.users], labels[nodes.items], k))


def _coarsened(base: Network, labels: Labels, k: int) -> Network:
    return base if k == len(base) else coarsen(base, labels, k)


def _climb(
    source: Callable[[Labels, int], Network], labels: Labels, rate: float, refine: bool, fine: int
) -> tuple[int, Labels]:
    """Moves, aggregates and moves again until nothing moves; labels of the nodes it began with.

    `source` makes the network of any communities of these nodes. Beyond `fine` entries a network
    is given up before the coarser one is made, again from the source: two would not fit.
    """
    whole = np.arange(len(labels), dtype=np.int32)  # the node of `network` each first node is in
    network, total = source(whole, len(whole)), 0
    while True:
        labels = labels.copy()
        moved = local_moves(network, labels, rate)
        total += moved
        parts = _dense(refined(network, labels, rate) if refine else labels)
        n_parts = int(parts.max(initial=-1)) + 1
        if n_parts == len(network) or (not moved and not refine):
            return total, (_connected(network, labels) if refine else labels)[whole]
        community = np.empty(n_parts, dtype=np.int32)
        community[parts] = labels
        whole = parts[whole]
        if len(network.indices) > fine:
            del network
            network = source(whole, n_parts)
        else:
            network = coarsen(network, parts, n_parts)
        labels = _dense(community) if refine else np.arange(n_parts, dtype=np.int32)


def _connected(network: Network, labels: Labels) -> Labels:
    """Labels in which communities that the last moves tore apart are several: a gain, if any."""
    n = len(network)
    rows = np.repeat(np.arange(n), np.diff(network.offsets))
    inside = labels[rows] == labels[network.indices]
    ends = rows[inside], network.indices[inside]
    links = scipy.sparse.coo_array((np.ones(len(ends[0]), dtype=np.bool_), ends), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int32)


def _dense(labels: Labels) -> Labels:
    """The labels as 0..k-1, in their order."""
    used = np.zeros(int(labels.max(initial=-1)) + 1, dtype=np.int32)
    used[labels] = 1
    return (np.cumsum(used, dtype=np.int32) - 1)[labels].astype(np.int32)
