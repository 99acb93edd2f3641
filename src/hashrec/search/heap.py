"""The best k of a stream, with ties counted: the selection inside every compiled scan.

At most k (score, position) pairs; once there are k, a heap with the worst at its root. Worse means
a lower score, or the same score and a higher position. Whatever does not stay is counted if its
score equals the worst that did: that number is what makes metrics exact under ties.
"""

from __future__ import annotations

import numpy as np

from hashrec.kernels import inner_kernel, kernel

__all__ = ["contains", "finish", "offer"]


@inner_kernel
def contains(row, position):  # type: ignore[no-untyped-def]
    """Whether the ascending `row` holds `position`. No branches, which nobody could foresee."""
    low, length = 0, len(row)
    if length == 0:
        return False
    while length > 1:
        half = length // 2
        low += half * (row[low + half - 1] < position)
        length -= half
    return row[low] == position


@inner_kernel
def _worse(scores, positions, one, other):  # type: ignore[no-untyped-def]
    if scores[one] != scores[other]:
        return scores[one] < scores[other]
    return positions[one] > positions[other]


@inner_kernel
def _swap(scores, positions, one, other):  # type: ignore[no-untyped-def]
    scores[one], scores[other] = scores[other], scores[one]
    positions[one], positions[other] = positions[other], positions[one]


@inner_kernel
def _sink(scores, positions, parent, count):  # type: ignore[no-untyped-def]
    """Moves an entry down to where it belongs among the first `count`."""
    while True:
        child = 2 * parent + 1
        if child >= count:
            return
        if child + 1 < count and _worse(scores, positions, child + 1, child):
            child += 1
        if not _worse(scores, positions, child, parent):
            return
        _swap(scores, positions, parent, child)
        parent = child


@kernel
def _pile(scores, positions, count):  # type: ignore[no-untyped-def]
    """Makes a heap of the first `count`."""
    for parent in range(count // 2 - 1, -1, -1):
        _sink(scores, positions, parent, count)


@inner_kernel
def offer(scores, positions, count, ties, score, position):  # type: ignore[no-untyped-def]
    """Offers one eligible item to the `count` entries there are; returns the new (count, ties).

    They are a heap, with the worst in front, as soon as there is no room for more.
    """
    if count < len(scores):
        scores[count], positions[count] = score, position
        if count + 1 == len(scores):
            _pile(scores, positions, count + 1)
        return count + 1, ties
    worst = scores[0]
    if score < worst:
        return count, ties
    if score == worst and position > positions[0]:
        return count, ties + 1
    scores[0], positions[0] = score, position
    _sink(scores, positions, 0, count)
    # The evicted one had score `worst`; so had all counted before. They still tie, or none does.
    return count, (ties + 1 if scores[0] == worst else 0)


@kernel
def finish(scores, positions, count):  # type: ignore[no-untyped-def]
    """Sorts the entries in place, best first, and blanks what was never filled."""
    if count < len(scores):
        _pile(scores, positions, count)
    for last in range(count - 1, 0, -1):
        _swap(scores, positions, 0, last)
        _sink(scores, positions, 0, last)
    for unused in range(count, len(scores)):
        scores[unused], positions[unused] = -np.inf, -1
