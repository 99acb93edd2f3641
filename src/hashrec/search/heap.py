"""The best k of a stream, with ties counted: the selection inside every compiled scan.

A key holds score and position in one number, so that one comparison, and no branch, says which of
two is worse: a lower score, or the same score and a higher position. At most k keys; once there are
k, a heap with the worst at its root. Whatever does not stay is counted if its score equals the
worst that did: that number is what makes metrics exact under ties.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hashrec.kernels import inner_kernel, kernel

__all__ = ["contains", "finish", "key_of", "offer", "score_of", "unpack"]

_LOW = 0xFFFFFFFF
_MAGNITUDE = 0x7FFFFFFF


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
def key_of(score, position):  # type: ignore[no-untyped-def]
    """int64: 32 bits that rise with the float32 score, then 32 that fall with the position.

    The bits of positive floats rise with them as integers do, those of negative ones fall; a zero
    must be the positive one.
    """
    bits = np.float32(score).view(np.int32)
    rising = np.int64(bits ^ ((bits >> 31) & np.int32(_MAGNITUDE)))
    return (rising << 32) | (~np.int64(position) & _LOW)


@inner_kernel
def score_of(key):  # type: ignore[no-untyped-def]
    """The float32 score of a key."""
    rising = np.int32(key >> 32)
    return np.int32(rising ^ ((rising >> 31) & np.int32(_MAGNITUDE))).view(np.float32)


def unpack(
    keys: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Positions and scores of keys, in arrays of their shape."""
    rising = (keys >> 32).astype(np.int32)
    bits = rising ^ ((rising >> 31) & _MAGNITUDE)
    return (~keys).astype(np.int32), bits.view(np.float32)


@inner_kernel
def _sink(keys, parent, count):  # type: ignore[no-untyped-def]
    """Moves a key down to where it belongs among the first `count`."""
    key = keys[parent]
    while True:
        child = 2 * parent + 1
        if child >= count:
            break
        if child + 1 < count:
            child += keys[child + 1] < keys[child]
        if keys[child] >= key:
            break
        keys[parent] = keys[child]
        parent = child
    keys[parent] = key


@kernel
def _pile(keys, count):  # type: ignore[no-untyped-def]
    """Makes a heap of the first `count`."""
    for parent in range(count // 2 - 1, -1, -1):
        _sink(keys, parent, count)


@inner_kernel
def offer(keys, count, ties, key):  # type: ignore[no-untyped-def]
    """Offers one eligible item to the `count` keys there are; returns the new (count, ties).

    They are a heap, with the worst in front, as soon as there is no room for more.
    """
    if count < len(keys):
        keys[count] = key
        if count + 1 == len(keys):
            _pile(keys, count + 1)
        return count + 1, ties
    worst = keys[0]
    if key < worst:
        return count, ties + (key >> 32 == worst >> 32)
    keys[0] = key
    _sink(keys, 0, count)
    # The evicted one had the score of `worst`; so had all counted before. They still tie, or none.
    return count, (ties + 1 if keys[0] >> 32 == worst >> 32 else 0)


@kernel
def finish(keys, count):  # type: ignore[no-untyped-def]
    """Sorts the keys in place, best first, and blanks what was never filled."""
    if count < len(keys):
        _pile(keys, count)
    for last in range(count - 1, 0, -1):
        keys[0], keys[last] = keys[last], keys[0]
        _sink(keys, 0, last)
    keys[count:] = key_of(np.float32(-np.inf), -1)
