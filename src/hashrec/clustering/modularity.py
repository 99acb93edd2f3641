"""Barber's bipartite modularity, with a resolution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hashrec.clustering.bipartite import BipartiteGraph, Labels, Partition, load

__all__ = ["modularity", "modularity_oracle"]


def modularity(graph: BipartiteGraph, partition: Partition, resolution: float = 1.0) -> float:
    """Q = sum over u, i of [w_ui / m - resolution (s_u / m)(s_i / m)] where u and i share a label.

    m is the weight of all edges; s are the graph's strengths (degrees, for Barber's modularity;
    M. J. Barber, Physical Review E 76, 066102, 2007). Sums are float64, the labels' in order.
    """
    total, k = graph.total, partition.n_communities
    inside = 0.0
    step = 4_000_000  # edges at a time: labels of all edges at once would be the largest array
    offsets = graph.by_user.offsets
    row = 0
    while row < graph.n_users:
        end = max(int(np.searchsorted(offsets, offsets[row] + step, side="right")) - 1, row + 1)
        inside += _inside(graph, partition, row, end)
        row = end
    users = load(partition.users, graph.user_strength, k)
    items = load(partition.items, graph.item_strength, k)
    return inside / total - resolution * float(users @ items) / total**2


def _inside(graph: BipartiteGraph, partition: Partition, start: int, end: int) -> float:
    """The weight of edges inside communities, of the users from `start` up to `end`."""
    offsets = graph.by_user.offsets[start : end + 1]
    entries = slice(int(offsets[0]), int(offsets[-1]))
    users = np.repeat(partition.users[start:end], np.diff(offsets))
    same = users == partition.items[graph.by_user.indices[entries]]
    if graph.user_weights is None:
        return float(np.count_nonzero(same))
    return float(graph.user_weights[entries][same].sum(dtype=np.float64))


def modularity_oracle(
    weights: npt.NDArray[np.float64], users: Labels, items: Labels, resolution: float
) -> float:
    """The same from a dense (n_users, n_items) matrix of weights: slow, obvious, the judge."""
    total = weights.sum()
    expected = np.outer(weights.sum(axis=1), weights.sum(axis=0)) / total
    same = users[:, None] == items[None, :]
    return float((weights - resolution * expected)[same].sum() / total)
