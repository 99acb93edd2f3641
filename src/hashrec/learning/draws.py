"""Draws without a generator: number n of stream `key` is a hash of both.

The hash is the finaliser of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014) over a
Weyl sequence, a generator that passes BigCrush; keys start streams far apart.
"""

from __future__ import annotations

import numba
import numpy as np

from hashrec.kernels import kernel, parallel_kernel

__all__ = ["draw_listed", "draw_uniform", "draw_weighted", "stream"]

_TRIES = 32
_STEP, _FIRST, _SECOND = (
    np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
)  # fmt: skip
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 1.0 / (1 << 53)


def stream(*parts: int) -> int:
    """A key below 2^64 from whole numbers: seed, epoch, step, purpose."""
    key = 0
    for part in parts:
        key = _mixed((key ^ (part & 0xFFFFFFFFFFFFFFFF)) + int(_STEP))
    return key


def _mixed(word: int) -> int:
    word &= 0xFFFFFFFFFFFFFFFF
    word = (word ^ (word >> 30)) * int(_FIRST) & 0xFFFFFFFFFFFFFFFF
    word = (word ^ (word >> 27)) * int(_SECOND) & 0xFFFFFFFFFFFFFFFF
    return word ^ (word >> 31)


@kernel
def _unit(key, number):  # type: ignore[no-untyped-def]
    """A float64 in [0, 1)."""
    word = key + (np.uint64(number) + np.uint64(1)) * _STEP
    word = (word ^ (word >> _30)) * _FIRST
    word = (word ^ (word >> _27)) * _SECOND
    return ((word ^ (word >> _31)) >> _11) * _UNIT


@kernel
def _met(offsets, indices, user, item):  # type: ignore[no-untyped-def]
    """Whether `item` stands in the sorted row of `user`."""
    low, high = offsets[user], offsets[user + 1]
    while low < high:
        middle = (low + high) // 2
        if indices[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low < offsets[user + 1] and indices[low] == item


@parallel_kernel
def draw_uniform(offsets, indices, users, n_items, reject, key, out):  # type: ignore[no-untyped-def]
    """Fills out (n, k) with items in [0, n_items)."""
    width = out.shape[1]
    for row in numba.prange(len(users)):
        for column in range(width):
            place = (row * width + column) * _TRIES
            for attempt in range(_TRIES):
                item = int(_unit(key, place + attempt) * n_items)
                if not reject or not _met(offsets, indices, users[row], item):
                    break
            out[row, column] = item


@parallel_kernel
def draw_weighted(offsets, indices, users, cumulative, reject, key, out):  # type: ignore[no-untyped-def]
    """Fills out (n, k) with items in proportion to the steps of `cumulative`."""
    width, total = out.shape[1], cumulative[-1]
    for row in numba.prange(len(users)):
        for column in range(width):
            place = (row * width + column) * _TRIES
            for attempt in range(_TRIES):
                at = _unit(key, place + attempt) * total
                item = np.searchsorted(cumulative, at, side="right")
                if not reject or not _met(offsets, indices, users[row], item):
                    break
            out[row, column] = item


@parallel_kernel
def draw_listed(lists, users, share, key, out):  # type: ignore[no-untyped-def]
    """Puts, with chance `share`, one of the user's listed items in the place of what is there."""
    width, longest = out.shape[1], lists.shape[1]
    for row in numba.prange(len(users)):
        listed = lists[users[row]]
        n = longest
        while n > 0 and listed[n - 1] < 0:
            n -= 1
        for column in range(width):
            # A stream of its own: the draws below are independent of those of draw_uniform.
            place = 2 * (row * width + column)
            if n > 0 and _unit(~key, place) < share:
                out[row, column] = listed[int(_unit(~key, place + 1) * n)]
