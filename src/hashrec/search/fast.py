"""Exact search at the speed of a coarse one: bounds for all, exact scores for what they let by.

Small tables (`tables.py`) give every score an upper bound, many at once (`lookup.py`). An item
whose bound stays below a query's bar cannot be in its result and is not looked at again; all others
are scored exactly, in integers. So nothing needs to be proved afterwards: what is left out was out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.kernels import parallel_kernel
from hashrec.search.index import Rows
from hashrec.search.lookup import LANES, MOST_ROW_BYTES, survey, survey_one
from hashrec.search.packed import PackedIndex
from hashrec.search.popcount import popcount
from hashrec.search.query import FixedQueries
from hashrec.search.selection import Selection
from hashrec.search.settle import settle
from hashrec.search.tables import SmallTables, lowered
from hashrec.search.tiles import BLOCK, CHUNK_BYTES, aligned, fill, gather_scales, tile_items
from hashrec.search.weights import bit_weights

__all__ = ["Bounded", "FastIndex"]


@dataclass(frozen=True, eq=False)
class Bounded:
    """Queries with their bounds: `weights` (n, bits) modulo 2^32, `bases`, `scales`, `tables`."""

    weights: npt.NDArray[np.int32]
    bases: npt.NDArray[np.int64]
    scales: npt.NDArray[np.float64]
    tables: SmallTables

    @classmethod
    def of(cls, fixed: FixedQueries, items: Codes) -> Bounded:
        """For rows of `items`."""
        weights, bases = bit_weights(fixed, items)
        return cls(weights.astype(np.int32), bases, fixed.scales, SmallTables.of(weights, bases))

    def into(self) -> tuple[object, ...]:
        """What compiled scans take, in their order."""
        tables = self.tables
        return (
            tables.entries, tables.starts, tables.units, self.weights, self.bases, self.scales
        )  # fmt: skip


class FastIndex(PackedIndex):
    """Exact search on codes of 1 to 8 bits, by look-ups in vector registers."""

    name: ClassVar[str] = "fast"

    def __init__(self, codes: Codes) -> None:
        super().__init__(codes)
        if self._data.shape[1] > MOST_ROW_BYTES:
            raise ValueError(f"rows of {self._data.shape[1]} bytes are too long for {self.name}")

    def _ask(self, queries: Codes, fixed: FixedQueries) -> Bounded:
        return Bounded.of(fixed, self.codes)

    def _scan(
        self,
        asked: Bounded,
        exclude: Csr,
        rows: Rows,
        bounds: npt.NDArray[np.int64],
        selection: Selection,
    ) -> int:
        checked = np.zeros(len(bounds) - 1, np.int64)
        _scan_tiles(
            self._data, self._scales, rows, bounds, tile_items(self._data.shape[1]),
            *asked.into(), checked, *selection.into(exclude),
        )  # fmt: skip
        return int(checked.sum())


@parallel_kernel
def _scan_tiles(  # type: ignore[no-untyped-def]
    data, item_scales, rows, bounds, most, entries, starts, units, weights, bases, query_scales,
    checked, floors, steady, seen_offsets, seen, keys, counts, ties, totals,
):  # fmt: skip
    n, lanes = len(floors), len(starts)
    chunks = entries.shape[1]
    names, allowed = np.zeros(0, np.int32), np.zeros(0, np.bool_)
    for split in numba.prange(len(bounds) - 1):
        column, tile = np.zeros(most, np.uint64), aligned(most // BLOCK * chunks * CHUNK_BYTES)
        scales, masks = np.ones(most, np.float32), np.zeros(LANES, np.uint32)
        exact, bars = floors.copy(), np.full(lanes, np.inf, np.float32)
        for query in range(n):
            bars[query] = lowered(floors[query], units[query], query_scales[query])
        end, looked_at = bounds[split + 1], np.int64(0)
        for first in range(bounds[split], end, most):
            count = min(most, end - first)
            fill(data, rows, first, count, column, tile)
            gather_scales(item_scales, rows, first, count, scales)
            for group in range(0, n, LANES):
                for block in range(0, count, BLOCK):
                    at = block // BLOCK * chunks * CHUNK_BYTES
                    if n - group == 1:
                        hit = survey_one(
                            tile, at, entries, group, chunks, starts, bars, scales, block, masks
                        )
                    else:
                        hit = survey(
                            tile, at, entries, group, chunks, starts, bars, scales, block, masks
                        )
                    if hit == 0:
                        continue
                    for query in range(group, min(group + LANES, n)):
                        mask = np.int64(masks[query - group])
                        if mask == 0:
                            continue
                        looked_at += popcount(np.uint64(mask))
                        bar = settle(
                            mask, first + block, end, rows, names, allowed, data, item_scales,
                            weights, bases, query_scales, query, split, exact[query], floors,
                            steady, seen_offsets, seen, keys, counts, ties, totals,
                        )  # fmt: skip
                        if bar != exact[query]:
                            exact[query] = bar
                            bars[query] = lowered(bar, units[query], query_scales[query])
        checked[split] = looked_at
