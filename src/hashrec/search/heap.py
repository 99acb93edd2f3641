"""The best k of a stream, with ties counted: the selection inside every compiled scan.

A heap of k (score, position) pairs with the worst at the root. Worse means a lower score, or the
same score and a higher position. Whatever does not stay is counted if its score equals the worst
that did: that number is what makes metrics exact under ties.
"""

from __future__ import annotations

import numpy as np

from hashrec.kernels import kernel

__all__ = ["contains", "finish", "offer"]


@kernel
def contains(row, position):  # type: ignore[no-untyped-def]
    """Whether the ascending `row` holds `position`."""
    low, high = 0, len(row)
    while low < high:
        middle = (low + high) // 2
        if row[middle] < position:
            low = middle + 1
        else:
            high = middle
    return low < len(row) and row[low] == position


@kernel
def _worse(scores, positions, one, other):  # type: ignore[no-untyped-def]
    if scores[one] != scores[other]:
        return scores[one] < scores[other]
    return positions[one] > positions[other]


@kernel
def _swap(scores, positions, one, other):  # type: ignore[no-untyped-def]
    scores[one], scores[other] = scores[other], scores[one]
    positions[one], positions[other] = positions[other], positions[one]


@kernel
def _sink(scores, positions, count):  # type: ignore[no-untyped-def]
    """Moves the root down to where it belongs among the first `count`."""
    parent = 0
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
def offer(scores, positions, count, ties, score, position):  # type: ignore[no-untyped-def]
    """Offers one eligible item to the heap of `count` entries; returns the new (count, ties)."""
    if count < len(scores):
        scores[count], positions[count] = score, position
        child = count
        while child > 0 and _worse(scores, positions, child, (child - 1) // 2):
            _swap(scores, positions, child, (child - 1) // 2)
            child = (child - 1) // 2
        return count + 1, ties
    worst = scores[0]
    if score < worst:
        return count, ties
    if score == worst and position > positions[0]:
        return count, ties + 1
    scores[0], positions[0] = score, position
    _sink(scores, positions, count)
    # The evicted one had score `worst`; so had all counted before. They still tie, or none does.
    return count, (ties + 1 if scores[0] == worst else 0)


@kernel
def finish(scores, positions, count):  # type: ignore[no-untyped-def]
    """Sorts the heap in place, best first, and blanks what was never filled."""
    for last in range(count - 1, 0, -1):
        _swap(scores, positions, 0, last)
        _sink(scores, positions, last)
    for unused in range(count, len(scores)):
        scores[unused], positions[unused] = -np.inf, -1
