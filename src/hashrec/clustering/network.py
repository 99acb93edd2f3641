"""The graph of communities: a node holds users and items; one symmetric CSR."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from hashrec.clustering.bipartite import BipartiteGraph, Labels, Partition, Strength, load
from hashrec.clustering.tally import tally
from hashrec.kernels import kernel, parallel_kernel

__all__ = ["Network", "aggregate", "coarsen"]

_NO_WEIGHTS32 = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Network:
    """Communities and the weight between them, both directions; what is inside one is left out.

    Attributes:
        offsets: (n + 1,) int64; indices: int32. Row c holds every other community that edges of
            c's users or items lead to. weights: int32 where edges weigh one, which is exact and
            half the memory, else float64.
        users, items: (n,) float64, the strength of each community's users and items.
    """

    offsets: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    weights: npt.NDArray[np.int32] | npt.NDArray[np.float64]
    users: Strength
    items: Strength

    def __len__(self) -> int:
        return len(self.users)


def aggregate(graph: BipartiteGraph, partition: Partition) -> Network:
    """The network of the communities of `partition`."""
    k = partition.n_communities
    user_starts, user_order = members(partition.users, k)
    item_starts, item_order = members(partition.items, k)
    by_user, by_item = graph.by_user, graph.by_item
    user_weights = _NO_WEIGHTS32 if graph.user_weights is None else graph.user_weights
    item_weights = _NO_WEIGHTS32 if graph.item_weights is None else graph.item_weights
    parts = (
        by_user.offsets, by_user.indices, user_weights, partition.items, user_starts, user_order,
        by_item.offsets, by_item.indices, item_weights, partition.users, item_starts, item_order,
    )  # fmt: skip
    lengths = np.zeros(k + 1, dtype=np.int64)
    _count_rows(*parts, *_scratch(k), lengths)
    offsets = np.cumsum(lengths)
    indices = np.empty(offsets[-1], dtype=np.int32)
    counts = graph.user_weights is None
    weights = np.empty(offsets[-1], dtype=np.int32 if counts else np.float64)
    _fill_rows(*parts, *_scratch(k), offsets, indices, weights)
    return Network(
        offsets,
        indices,
        weights,
        load(partition.users, graph.user_strength, k),
        load(partition.items, graph.item_strength, k),
    )


def coarsen(network: Network, labels: Labels, k: int) -> Network:
    """The network of communities of communities: `labels` in [0, k)."""
    starts, order = members(labels, k)
    total, seen = np.zeros(k, dtype=np.float64), np.empty(k, dtype=np.int32)
    lengths = np.zeros(k + 1, dtype=np.int64)
    parts = (network.offsets, network.indices, network.weights, labels, starts, order, total, seen)
    _count_coarse(*parts, lengths)
    offsets = np.cumsum(lengths)
    indices = np.empty(offsets[-1], dtype=np.int32)
    weights = np.empty(offsets[-1], dtype=network.weights.dtype)
    _fill_coarse(*parts, offsets, indices, weights)
    return Network(
        offsets,
        indices,
        weights,
        load(labels, network.users, k),
        load(labels, network.items, k),
    )


@kernel
def members(labels, k):  # type: ignore[no-untyped-def]
    """(k + 1,) starts and (n,) nodes sorted by label, ascending within: a counting sort."""
    starts = np.zeros(k + 1, dtype=np.int64)
    for node in range(len(labels)):
        starts[labels[node] + 1] += 1
    for label in range(k):
        starts[label + 1] += starts[label]
    place, order = starts[:-1].copy(), np.empty(len(labels), dtype=np.int32)
    for node in range(len(labels)):
        order[place[labels[node]]] = node
        place[labels[node]] += 1
    return starts, order


def _scratch(k: int) -> tuple[Strength, Labels]:
    threads = numba.get_num_threads()
    return np.zeros((threads, k), dtype=np.float64), np.empty((threads, k), dtype=np.int32)


@kernel
def _tally_members(  # type: ignore[no-untyped-def]
    community, offsets, indices, weights, labels, starts, order, total, seen, count
):  # fmt: skip
    for at in range(starts[community], starts[community + 1]):
        node = order[at]
        count = tally(
            offsets[node], offsets[node + 1], indices, weights, labels, community, total, seen,
            count,
        )  # fmt: skip
    return count


@parallel_kernel
def _count_rows(  # type: ignore[no-untyped-def]
    u_offsets, u_indices, u_weights, item_labels, u_starts, u_order,
    i_offsets, i_indices, i_weights, user_labels, i_starts, i_order, totals, seens, lengths,
):  # fmt: skip
    for community in numba.prange(len(u_starts) - 1):
        total, seen = totals[numba.get_thread_id()], seens[numba.get_thread_id()]
        count = _tally_members(
            community, u_offsets, u_indices, u_weights, item_labels, u_starts, u_order, total,
            seen, 0,
        )  # fmt: skip
        count = _tally_members(
            community, i_offsets, i_indices, i_weights, user_labels, i_starts, i_order, total,
            seen, count,
        )  # fmt: skip
        lengths[community + 1] = count
        for at in range(count):
            total[seen[at]] = 0.0


@parallel_kernel
def _fill_rows(  # type: ignore[no-untyped-def]
    u_offsets, u_indices, u_weights, item_labels, u_starts, u_order,
    i_offsets, i_indices, i_weights, user_labels, i_starts, i_order, totals, seens,
    offsets, indices, weights,
):  # fmt: skip
    for community in numba.prange(len(u_starts) - 1):
        total, seen = totals[numba.get_thread_id()], seens[numba.get_thread_id()]
        count = _tally_members(
            community, u_offsets, u_indices, u_weights, item_labels, u_starts, u_order, total,
            seen, 0,
        )  # fmt: skip
        count = _tally_members(
            community, i_offsets, i_indices, i_weights, user_labels, i_starts, i_order, total,
            seen, count,
        )  # fmt: skip
        _pour(total, seen, count, offsets[community], indices, weights)


@kernel
def _pour(total, seen, count, start, indices, weights):  # type: ignore[no-untyped-def]
    """Writes the tally as one row and forgets it."""
    for at in range(count):
        indices[start + at] = seen[at]
        weights[start + at] = total[seen[at]]
        total[seen[at]] = 0.0


@kernel
def _count_coarse(  # type: ignore[no-untyped-def]
    offsets, indices, weights, labels, starts, order, total, seen, lengths
):  # fmt: skip
    for community in range(len(starts) - 1):
        count = _tally_members(
            community, offsets, indices, weights, labels, starts, order, total, seen, 0
        )
        lengths[community + 1] = count
        for at in range(count):
            total[seen[at]] = 0.0


@kernel
def _fill_coarse(  # type: ignore[no-untyped-def]
    offsets, indices, weights, labels, starts, order, total, seen, out_offsets, out, out_weights
):  # fmt: skip
    for community in range(len(starts) - 1):
        count = _tally_members(
            community, offsets, indices, weights, labels, starts, order, total, seen, 0
        )
        _pour(total, seen, count, out_offsets[community], out, out_weights)
