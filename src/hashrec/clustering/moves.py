"""Moves of communities between communities: one at a time, from a queue."""

from __future__ import annotations

import numpy as np

from hashrec.clustering.bipartite import Labels
from hashrec.clustering.network import Network
from hashrec.clustering.tally import tally
from hashrec.kernels import kernel

__all__ = ["local_moves"]

# A gain must be worth this share of a node's strength: less may be rounding, and a node that
# moves for rounding's sake may move for ever.
_MARGIN = 1e-12


def local_moves(network: Network, labels: Labels, rate: float) -> int:
    """Moves nodes, in place, until none gains by moving; returns the number of moves.

    A node x in t gains w(x, t) - rate (U_x I_t + I_x U_t), U and I being the strengths of users
    and items and rate the resolution over the total weight. A node whose neighbour has moved is
    looked at again (V. A. Traag, L. Waltman, N. J. van Eck, Scientific Reports 9, 5233, 2019).

    Args:
        labels: (n,) int32 in [0, n), where each node starts; np.arange(n) for alone.
    """
    return int(
        _local_moves(
            network.offsets,
            network.indices,
            network.weights,
            network.users,
            network.items,
            labels,
            rate,
        )
    )


@kernel
def _local_moves(  # type: ignore[no-untyped-def]
    offsets, indices, weights, users, items, labels, rate
):  # fmt: skip
    n = len(labels)
    user_load, item_load, count_of = np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int32)
    for node in range(n):
        user_load[labels[node]] += users[node]
        item_load[labels[node]] += items[node]
        count_of[labels[node]] += 1
    vacant, n_vacant = np.empty(n, dtype=np.int32), 0
    for label in range(n - 1, -1, -1):
        if count_of[label] == 0:
            vacant[n_vacant] = label
            n_vacant += 1
    queue, waiting = np.arange(n).astype(np.int32), np.ones(n, dtype=np.bool_)
    head, length, moves = 0, n, 0
    total, seen = np.zeros(n), np.empty(n, dtype=np.int32)
    while length > 0:
        node, old = queue[head], labels[queue[head]]
        head = head + 1 if head + 1 < n else 0
        length -= 1
        waiting[node] = False
        start, end = offsets[node], offsets[node + 1]
        count = tally(start, end, indices, weights, labels, -1, total, seen, 0)
        user_load[old] -= users[node]
        item_load[old] -= items[node]
        best = old
        gain = total[old] - rate * (users[node] * item_load[old] + items[node] * user_load[old])
        gain += _MARGIN * (users[node] + items[node])
        for at in range(count):
            label = seen[at]
            here = total[label] - rate * (
                users[node] * item_load[label] + items[node] * user_load[label]
            )
            if here > gain:
                best, gain = label, here
        for at in range(count):
            total[seen[at]] = 0.0
        if gain < 0.0 and best == old and count_of[old] > 1:
            n_vacant -= 1
            best = vacant[n_vacant]
        user_load[best] += users[node]
        item_load[best] += items[node]
        if best == old:
            continue
        moves += 1
        labels[node] = best
        count_of[old] -= 1
        count_of[best] += 1
        if count_of[old] == 0:
            vacant[n_vacant] = old
            n_vacant += 1
        for entry in range(start, end):
            neighbour = indices[entry]
            if labels[neighbour] != best and not waiting[neighbour]:
                waiting[neighbour] = True
                place = head + length
                queue[place if place < n else place - n] = neighbour
                length += 1
    return moves
