"""Queries as small tables that never say too little.

A table says what each of the sixteen values of a nibble adds to a query's sum (`weights.py`), in
steps of one unit a query, rounded to the nearest. What rounding can take off, nibble by nibble, is
added to the start, so

    base + sum of weights of set bits  <=  unit (start + sum of entries).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from hashrec.kernels import inner_kernel, parallel_kernel
from hashrec.search.lookup import LANES, TABLE_BYTES, top_of
from hashrec.search.tiles import aligned, chunks_of, nibble_of
from hashrec.search.weights import sums_of_nibble

__all__ = ["SmallTables", "lowered"]

# Starts stay about this small, so that float32 holds starts with sums of entries without rounding.
_LARGEST_START = float(2**22)
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class SmallTables:
    """Tables of n queries, in groups of lanes.

    Attributes:
        entries: (lanes, chunks, 64) uint8, lanes being n rounded up to whole groups.
        starts: (lanes,) int32. units: (n,) float64.
    """

    entries: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int32]
    units: npt.NDArray[np.float64]

    @classmethod
    def of(cls, weights: npt.NDArray[np.int64], bases: npt.NDArray[np.int64]) -> SmallTables:
        """From (n, 8 row bytes) weights and (n,) bases."""
        n = len(weights)
        lanes = LANES * -(-n // LANES)
        row_bytes = weights.shape[1] // 8
        chunks = chunks_of(row_bytes)
        entries = aligned(lanes * chunks * TABLE_BYTES).reshape(lanes, chunks, TABLE_BYTES)
        starts, units = np.zeros(lanes, np.int32), np.ones(n)
        _round(weights, bases, top_of(row_bytes), entries, starts, units)
        return cls(entries, starts, units)


@parallel_kernel
def _round(weights, bases, top, entries, starts, units):  # type: ignore[no-untyped-def]
    chunks = entries.shape[1]
    for query in numba.prange(len(weights)):
        own, sums = weights[query], np.empty(16, np.int64)
        widest, floor = np.int64(0), bases[query]
        for first in range(0, len(own), 4):
            wide = np.int64(0)
            for weight in own[first : first + 4]:
                wide += abs(weight)
                floor += min(weight, 0)
            widest = max(widest, wide)
        # Wide enough for every table, and for the start to be a small number.
        unit = max(widest / top, abs(floor) / _LARGEST_START)
        if unit == 0.0:
            unit = 1.0
        per_unit, lost = 1 / unit, np.float64(floor)
        for chunk in range(chunks):
            for place in range(4):
                sums_of_nibble(own, nibble_of(chunk, place), sums)
                least, most = sums.min(), 0.0
                for value in range(16):
                    exact = np.float64(sums[value] - least)
                    entry = min(top, np.int64(exact * per_unit + 0.5))
                    entries[query, chunk, 16 * place + value] = entry
                    most = max(most, exact - entry * unit)
                lost += most
        # One more than the ceiling: far beyond what float64 loses in so few additions.
        starts[query] = np.int32(math.ceil(lost / unit) + 1)
        units[query] = unit


@inner_kernel
def lowered(bar, unit, scale):  # type: ignore[no-untyped-def]
    """What (start + entries) * item scale reaches, in float32, wherever a score reaches `bar`.

    A score is fl32(sum * scale * item scale), and sum <= unit (start + entries). So with b the
    least number that rounds to `bar`, the bound is at least b / (unit scale). The margins are for
    the roundings: of the score, of the product in float64, and of the float32 product that is
    compared, which may also underflow. `scale` is not negative.
    """
    if scale == 0 or bar == -np.inf:
        return np.float32(-np.inf)  # every score is zero, or none is too low
    least = min(np.float64(bar), _LARGEST)
    least -= abs(least) * 2.0**-22 + 2.0**-148
    bound = least / (unit * scale)
    bound -= abs(bound) * 2.0**-21 + 2.0**-125
    return np.float32(min(bound, _LARGEST))
