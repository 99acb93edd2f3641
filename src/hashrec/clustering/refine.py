"""Leiden's refinement: the well-connected parts of each community."""

from __future__ import annotations

import numpy as np

from hashrec.clustering.bipartite import Labels
from hashrec.clustering.network import Network
from hashrec.clustering.tally import tally
from hashrec.kernels import kernel

__all__ = ["refined"]


def refined(network: Network, labels: Labels, rate: float) -> Labels:
    """Parts of communities: (n,) int32 in [0, n), each part inside one community and connected.

    Every node begins alone; in order, a node still alone that is well connected to the rest of
    its community joins the part in it that gains most, if any gains (Traag et al., 2019; they
    draw the part at random in proportion to a power of the gain, we take the best: the same
    partition every time, at the cost of their asymptotic guarantee).
    """
    return np.asarray(
        _refined(
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
def _refined(  # type: ignore[no-untyped-def]
    offsets, indices, weights, users, items, labels, rate
):  # fmt: skip
    n = len(labels)
    parts = np.arange(n).astype(np.int32)
    size = np.ones(n, dtype=np.int32)
    part_users, part_items = users.copy(), items.copy()
    all_users, all_items = np.zeros(n), np.zeros(n)
    for node in range(n):
        all_users[labels[node]] += users[node]
        all_items[labels[node]] += items[node]
    total, seen = np.zeros(n), np.empty(n, dtype=np.int32)
    for node in range(n):
        own = labels[node]
        if parts[node] != node or size[node] > 1:
            continue
        count = tally(offsets[node], offsets[node + 1], indices, weights, parts, -1, total, seen, 0)
        inside = 0.0
        best, gain = node, 0.0
        for at in range(count):
            part = seen[at]
            if labels[part] == own:  # a part bears the number of its first node
                inside += total[part]
                here = total[part] - rate * (
                    users[node] * part_items[part] + items[node] * part_users[part]
                )
                if here > gain:
                    best, gain = part, here
            total[part] = 0.0
        rest = users[node] * (all_items[own] - items[node]) + items[node] * (
            all_users[own] - users[node]
        )
        if best != node and inside >= rate * rest:
            parts[node] = best
            size[node] = 0
            size[best] += 1
            part_users[best] += users[node]
            part_items[best] += items[node]
    return parts
