"""The portable scan: codes are read as they are packed, once for a group of queries.

A row is read a nibble at a time: for each nibble, a table holds what each of its 16 values adds to
each query's sum, so scoring is one vector addition a nibble for a whole group of queries, exact at
any width of codes. One-bit queries of one-bit items need no table: the sum is dim - 2 popcount(item
xor query).

Sums are compared with bars in float32, which may let a little too much by; that is then scored as
it should be. An item is looked up in a query's excluded row only when its score would enter the
result, which is rare, so exclusion costs nothing, and it always comes before selection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.kernels import kernel, parallel_kernel
from hashrec.search.index import Rows
from hashrec.search.lanes import LANES, NIBBLES, add_nibbles, any_reaches, bits_reach
from hashrec.search.packed import PackedIndex
from hashrec.search.popcount import lowest, popcount
from hashrec.search.query import FixedQueries, integral
from hashrec.search.selection import Selection, consider
from hashrec.search.tables import lowered
from hashrec.search.tiles import BLOCK, aligned, gather, gather_scales
from hashrec.search.weights import bit_weights, scored, sums_of_nibble

__all__ = ["ScanIndex"]

# Items scored between two rounds of selection: their sums for all lanes fill 128 KB.
_STRETCH = 1024


@dataclass(frozen=True, eq=False)
class _Asked:
    """`weights` (n, bits) and `bases`; for one-bit queries `words`, (n, words) uint64, instead."""

    weights: npt.NDArray[np.int64]
    bases: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint64] | None
    scales: npt.NDArray[np.float64]


class ScanIndex(PackedIndex):
    """Exact search on codes of 1 to 8 bits, on any processor."""

    name: ClassVar[str] = "scan"

    def _ask(self, queries: Codes, fixed: FixedQueries) -> _Asked:
        weights, bases = bit_weights(fixed, self.codes)
        bits = self.codes.bits == queries.bits == 1 and integral(queries, self.codes)
        return _Asked(weights, bases, words_of(fixed.values) if bits else None, fixed.scales)

    def _scan(
        self,
        asked: _Asked,
        exclude: Csr,
        rows: Rows,
        bounds: npt.NDArray[np.int64],
        selection: Selection,
    ) -> int:
        into = selection.into(exclude)
        if asked.words is not None:
            _scan_words(
                self._data, self._scales, rows, bounds, self.codes.dim, asked.words, asked.scales,
                *into,
            )  # fmt: skip
        else:
            _scan_sums(
                self._data, self._scales, rows, bounds, asked.weights, asked.bases, asked.scales,
                *into,
            )  # fmt: skip
        return 0


def words_of(signs: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """(n, words) uint64: a one where a sign is positive, zeros up to a whole word."""
    bits = np.packbits(signs > 0, axis=1, bitorder="little")
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)


@kernel
def _build_tables(weights, start, live, first, tables):  # type: ignore[no-untyped-def]
    """tables[m, v, lane] = what value v of nibble first + m adds, modulo 2^32."""
    sums = np.empty(16, np.int64)
    for nibble in range(NIBBLES):
        for lane in range(live):
            sums_of_nibble(weights[start + lane], first + nibble, sums)
            for value in range(16):
                tables[nibble, value, lane] = np.int32(sums[value])


@parallel_kernel
def _scan_sums(  # type: ignore[no-untyped-def]
    data, item_scales, rows, bounds, weights, bases, query_scales,
    floors, steady, seen_offsets, seen, keys, counts, ties, totals,
):  # fmt: skip
    splits, n = counts.shape
    groups = -(-n // LANES)
    for task in numba.prange(groups * splits):
        group, split = task // splits, task % splits
        start = group * LANES
        live = min(LANES, n - start)
        tables = aligned(NIBBLES * 16 * LANES * 4).view(np.int32).reshape(NIBBLES, 16, LANES)
        sums = aligned(_STRETCH * LANES * 4).view(np.int32).reshape(_STRETCH, LANES)
        column = np.empty(_STRETCH, np.uint64)
        own = np.zeros(LANES, np.int32)
        exact, bars = np.empty(LANES, np.float32), np.full(LANES, np.inf, np.float32)
        for lane in range(live):
            own[lane] = np.int32(bases[start + lane])
            exact[lane] = floors[start + lane]
            bars[lane] = lowered(exact[lane], 1.0, query_scales[start + lane])
        for first in range(bounds[split], bounds[split + 1], _STRETCH):
            count = min(_STRETCH, bounds[split + 1] - first)
            sums[:] = own
            for nibble in range(0, 2 * data.shape[1], NIBBLES):
                # Beyond a row's end the weights are zero, so any value there adds nothing.
                _build_tables(weights, start, live, nibble, tables)
                gather(data, rows, first, count, nibble // 2, column)
                for place in range(count):
                    add_nibbles(np.uint32(column[place]), tables, sums, place)
            for place in range(count):
                item = np.int64(rows[first + place]) if len(rows) else first + place
                item_scale = item_scales[item] if len(item_scales) else np.float32(1)
                if not any_reaches(sums, place, item_scale, bars):
                    continue
                for lane in range(live):
                    query = start + lane
                    score = scored(sums[place, lane], query_scales[query], item_scales, item)
                    if score < exact[lane]:
                        continue
                    exact[lane] = consider(
                        query, split, item, score, floors, steady, seen_offsets, seen, keys,
                        counts, ties, totals,
                    )  # fmt: skip
                    bars[lane] = lowered(exact[lane], 1.0, query_scales[query])


@parallel_kernel
def _scan_words(  # type: ignore[no-untyped-def]
    data, item_scales, rows, bounds, dim, words, query_scales,
    floors, steady, seen_offsets, seen, keys, counts, ties, totals,
):  # fmt: skip
    n, n_words = words.shape
    for split in numba.prange(len(bounds) - 1):
        columns, scales = np.zeros((n_words, _STRETCH), np.uint64), np.ones(_STRETCH, np.float32)
        exact, bars = floors.copy(), np.empty(n, np.float32)
        for query in range(n):
            bars[query] = lowered(exact[query], 1.0, query_scales[query])
        for first in range(bounds[split], bounds[split + 1], _STRETCH):
            count = min(_STRETCH, bounds[split + 1] - first)
            for word in range(n_words):
                gather(data, rows, first, count, 8 * word, columns[word])
            if dim % 64:  # what follows the last dimension is none
                columns[n_words - 1] &= (np.uint64(1) << np.uint64(dim % 64)) - np.uint64(1)
            gather_scales(item_scales, rows, first, count, scales)
            for query in range(n):
                for block in range(0, count, BLOCK):
                    reached = bits_reach(
                        columns, block, words, query, np.int32(dim), scales, bars[query]
                    )
                    mask = np.int64(reached)
                    while mask:
                        place = block + lowest(mask)
                        mask &= mask - 1
                        if place >= count:
                            break
                        item = np.int64(rows[first + place]) if len(rows) else first + place
                        differing = 0
                        for word in range(n_words):
                            differing += popcount(columns[word, place] ^ words[query, word])
                        total = dim - 2 * differing
                        score = scored(total, query_scales[query], item_scales, item)
                        if score < exact[query]:
                            continue
                        exact[query] = consider(
                            query, split, item, score, floors, steady, seen_offsets, seen, keys,
                            counts, ties, totals,
                        )  # fmt: skip
                        bars[query] = lowered(exact[query], 1.0, query_scales[query])
