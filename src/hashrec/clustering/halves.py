"""Moves between whole sides: all users against fixed items, then all items against fixed users.

A user's gain in a community depends on the items there and on nothing else, so users never stand
in each other's way: a half pass over all of them in parallel does exactly what one after the
other would do, on any number of threads, and never lowers the modularity. Only nodes with a
neighbour that moved are looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from hashrec.clustering.bipartite import BipartiteGraph, Labels, Strength, load
from hashrec.clustering.tally import tally
from hashrec.csr import Csr
from hashrec.kernels import kernel, parallel_kernel

__all__ = ["half_passes"]

_STRETCHES = 64
_NO_WEIGHTS = np.zeros(0, dtype=np.float32)
_ALONE = -1
_MARGIN = 1e-12  # see moves.py


@dataclass
class _Side:
    """One side while it moves: labels and what is known of them change in place."""

    rows: Csr
    weights: npt.NDArray[np.float32]
    strength: Strength
    labels: Labels
    load: Strength  # (n_labels,) this side's strength under each label
    active: npt.NDArray[np.bool_]
    wish: Labels
    cuts: npt.NDArray[np.int64]


def half_passes(
    graph: BipartiteGraph, users: Labels, items: Labels, resolution: float, rounds: int
) -> int:
    """Moves nodes, in place, to where modularity gains most, until none moves or `rounds` are over.

    Labels are in [0, graph.n). Returns the number of moves. Each round is a half pass of users
    and one of items; a node leaves a community that costs it, for an empty one.
    """
    user_side = _side(graph.by_user, graph.user_weights, graph.user_strength, users, graph.n)
    item_side = _side(graph.by_item, graph.item_weights, graph.item_strength, items, graph.n)
    members = np.bincount(users, minlength=graph.n) + np.bincount(items, minlength=graph.n)
    members = members.astype(np.int32)
    vacant = _Vacant(members)
    rate = resolution / graph.total
    threads = numba.get_num_threads()
    totals = np.zeros((threads, graph.n), dtype=np.float64)
    seen = np.empty((threads, graph.n), dtype=np.int32)
    moves = 0
    for _ in range(rounds):
        moved = 0
        for side, other in ((user_side, item_side), (item_side, user_side)):
            _wish(
                side.rows.offsets, side.rows.indices, side.weights, side.strength, side.labels,
                side.active, other.labels, other.load, rate, side.cuts, totals, seen, side.wish,
            )  # fmt: skip
            moved += vacant.move(side, other)
        moves += moved
        if not moved:
            break
    return moves


class _Vacant:
    """The labels that nobody bears, for those who want to be alone."""

    def __init__(self, members: npt.NDArray[np.int32]) -> None:
        empty = np.flatnonzero(members == 0)[::-1]
        self._members = members
        self._labels = np.empty(len(members), dtype=np.int32)
        self._labels[: len(empty)] = empty
        self._count = len(empty)

    def move(self, side: _Side, other: _Side) -> int:
        """Grants the wishes of one side; wakes the neighbours of those who moved."""
        moved, self._count = _move(
            side.rows.offsets, side.rows.indices, side.strength, side.labels, side.wish, side.load,
            other.labels, other.active, self._members, self._labels, self._count,
        )  # fmt: skip
        return int(moved)


def _side(
    rows: Csr,
    weights: npt.NDArray[np.float32] | None,
    strength: Strength,
    labels: Labels,
    n_labels: int,
) -> _Side:
    cuts = np.searchsorted(rows.offsets, np.linspace(0, rows.offsets[-1], _STRETCHES + 1))
    cuts[0], cuts[-1] = 0, rows.n_rows
    return _Side(
        rows,
        _NO_WEIGHTS if weights is None else weights,
        strength,
        labels,
        load(labels, strength, n_labels),
        np.ones(rows.n_rows, dtype=np.bool_),
        np.empty(rows.n_rows, dtype=np.int32),
        cuts.astype(np.int64),
    )


@parallel_kernel
def _wish(  # type: ignore[no-untyped-def]
    offsets, indices, weights, strength, labels, active, other_labels, other_load, rate, cuts,
    totals, seen, wish,
):  # fmt: skip
    for stretch in numba.prange(len(cuts) - 1):
        total, met = totals[numba.get_thread_id()], seen[numba.get_thread_id()]
        for node in range(cuts[stretch], cuts[stretch + 1]):
            wish[node] = labels[node]
            if active[node]:
                active[node] = False
                count = tally(
                    offsets[node], offsets[node + 1], indices, weights, other_labels, _ALONE,
                    total, met, 0,
                )  # fmt: skip
                wish[node] = _best(
                    labels[node], rate * strength[node], other_load, total, met, count
                )


@kernel
def _best(current, rate, load, total, met, count):  # type: ignore[no-untyped-def]
    """The label of the largest gain; staying wins ties; forgets the tally."""
    best, gain = current, total[current] - rate * load[current]
    gain += _MARGIN * abs(gain)
    for at in range(count):
        label = met[at]
        here = total[label] - rate * load[label]
        if here > gain:
            best, gain = label, here
    for at in range(count):
        total[met[at]] = 0.0
    return best if gain >= 0.0 else _ALONE


@kernel
def _move(  # type: ignore[no-untyped-def]
    offsets, indices, strength, labels, wish, load, other_labels, other_active, members, vacant,
    n_vacant,
):  # fmt: skip
    moved = 0
    for node in range(len(labels)):
        old, new = labels[node], wish[node]
        if new == old or (new == _ALONE and members[old] == 1):
            continue
        if new == _ALONE:  # there are as many labels as nodes, so one is free
            n_vacant -= 1
            new = vacant[n_vacant]
        load[old] -= strength[node]
        load[new] += strength[node]
        members[old] -= 1
        members[new] += 1
        if members[old] == 0:  # nobody wishes for it: a label wished for has neighbours in it
            vacant[n_vacant] = old
            n_vacant += 1
        labels[node] = new
        moved += 1
        for entry in range(offsets[node], offsets[node + 1]):
            neighbour = indices[entry]
            if other_labels[neighbour] != new:
                other_active[neighbour] = True
    return moved, n_vacant
