"""The fused scan over packed codes: unpack, score, exclude and select in one pass.

Queries go in groups of lanes. Items of 1, 2 and 4 bits are read a nibble at a time: for each
nibble of the row, a table holds what each of its 16 values adds to each query's sum, so scoring
is one vector addition a nibble for a whole group of queries. Other widths are unpacked and
multiplied. One-bit queries need no table: the sum is dim - 2 popcount(item xor query).

An item is looked up in a query's excluded row only when its score would enter the result, which
is rare, so exclusion costs nothing, and it always comes before selection.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.kernels import kernel, parallel_kernel
from hashrec.search.heap import contains, finish, offer
from hashrec.search.index import Index
from hashrec.search.popcount import popcount
from hashrec.search.query import FixedQueries, integral
from hashrec.search.results import Hits, TopK
from hashrec.search.threshold import collect

__all__ = ["ScanIndex"]

Scores = npt.NDArray[np.float32]

# Queries scored together. 32 int32 lanes are two or four vector registers; the tables of eight
# nibbles are then 16 KB and stay in the first cache beside a stretch of sums.
_LANES = 32
# Items scored between two rounds of selection: their sums for all lanes fill 128 KB.
_STRETCH = 1024
# Bytes of a row whose tables are held at once: eight nibbles.
_CHUNK = 4


class ScanIndex(Index):
    """Exact search on codes of 1 to 8 bits."""

    name = "scan"

    def __init__(self, codes: Codes) -> None:
        if not codes.packed:
            raise ValueError(f"the scan reads packed codes, not floats of {codes.bits} bits")
        super().__init__(codes)
        self._words = _as_words(codes) if codes.bits == 1 else None

    def _search(self, queries: Codes, k: int, exclude: Csr) -> TopK:
        n = len(queries)
        splits = self._splits(n)
        scores = np.empty((n, splits, k), np.float32)
        positions = np.empty((n, splits, k), np.int32)
        counts, ties = np.zeros((n, splits), np.int64), np.zeros((n, splits), np.int64)
        heaps = scores, positions, counts, ties
        bounds = np.linspace(0, len(self.codes), splits + 1).astype(np.int64)
        if self._words is not None and queries.bits == 1 and integral(queries, self.codes):
            fixed = FixedQueries.of(queries, self.codes)
            words, dim = _as_words(queries), self.codes.dim
            _scan_bits(
                self._words, self.scales, words, fixed.scales, dim, bounds,
                exclude.offsets, exclude.indices, *heaps,
            )  # fmt: skip
        else:
            fixed = FixedQueries.of(queries, self.codes)
            _scan_sums(
                self.codes.data, self.codes.bits, self.scales, *self._lanes(fixed), fixed.scales,
                bounds, exclude.offsets, exclude.indices, *heaps,
            )  # fmt: skip
        _merge(*heaps)
        return TopK(
            positions[:, 0].copy(), scores[:, 0].copy(), counts[:, 0].copy(), ties[:, 0].copy()
        )

    def _search_threshold(self, queries: Codes, thresholds: Scores, exclude: Csr) -> Hits:
        fixed = FixedQueries.of(queries, self.codes)
        scores = np.empty((len(queries), len(self.codes)), np.float32)
        _score_all(
            self.codes.data, self.codes.bits, self.scales, *self._lanes(fixed), fixed.scales, scores
        )
        return collect(scores, thresholds, exclude)

    def _score(self, queries: Codes, pairs: Csr) -> Scores:
        fixed = FixedQueries.of(queries, self.codes)
        out = np.empty(len(pairs.indices), np.float32)
        _score_pairs(
            self.codes.data, self.codes.bits, self.scales, fixed.values, fixed.bases,
            fixed.scales, pairs.offsets, pairs.indices, out,
        )  # fmt: skip
        return out

    def _lanes(self, fixed: FixedQueries) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """(groups, padded dim, lanes) int32, queries side by side, padded with zeros; and their
        bases, (groups, lanes) int32."""
        n, dim = fixed.values.shape
        lanes = min(_LANES, max(n, 1))
        groups = -(-n // lanes)
        padded = np.zeros((groups * lanes, _padded_dim(self.codes)), np.int32)
        padded[:n, :dim] = fixed.values
        bases = np.zeros(groups * lanes, np.int32)
        bases[:n] = fixed.bases
        side_by_side = padded.reshape(groups, lanes, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(side_by_side), bases.reshape(groups, lanes)

    def _splits(self, n_queries: int) -> int:
        """Into how many item ranges to split, so that few queries still use every thread."""
        tasks = -(-n_queries // _LANES)
        wanted = 4 * numba.get_num_threads()
        return int(max(1, min(-(-wanted // max(tasks, 1)), len(self.codes) // _STRETCH)))


def _padded_dim(codes: Codes) -> int:
    """Dimensions that a whole number of chunks covers; rows are read as if zero beyond."""
    chunks = -(-codes.data.shape[1] // _CHUNK)
    return chunks * _CHUNK * 8 // codes.bits if codes.bits in (1, 2, 4) else codes.dim


def _as_words(codes: Codes) -> npt.NDArray[np.uint64]:
    """(n, words) uint64: one-bit rows zero-padded to whole words; a view where they fit."""
    data = np.asarray(codes.data, np.uint8)
    short = -data.shape[1] % 8
    if short:
        data = np.pad(data, ((0, 0), (0, short)))
    return np.ascontiguousarray(data).view(np.uint64)


@kernel
def _build_tables(lanes, byte, bits, tables):  # type: ignore[no-untyped-def]
    """tables[m, v, :] = what value v of nibble m adds; nibbles from `byte` on, _CHUNK bytes."""
    per_nibble = 4 // bits
    mask, top = (1 << bits) - 1, (1 << bits) - 1
    for nibble in range(2 * _CHUNK):
        first = (byte * 2 + nibble) * per_nibble
        for value in range(16):
            table = tables[nibble, value]
            table[:] = 0
            for slot in range(per_nibble):
                level = 2 * ((value >> (slot * bits)) & mask) - top
                query = lanes[first + slot]
                for lane in range(len(table)):
                    table[lane] += level * query[lane]


@kernel
def _sum_nibbles(packed, bits, first, last, lanes, tables, sums):  # type: ignore[no-untyped-def]
    """sums[i, lane] for items first..last of 1, 2 or 4 bits."""
    width = packed.shape[1]
    n_lanes = lanes.shape[1]
    for byte in range(0, width, _CHUNK):
        _build_tables(lanes, byte, bits, tables)
        for item in range(first, last):
            row = packed[item]
            # Beyond the row's end the query is zero, so any value of the byte adds nothing.
            a = row[byte]
            b = row[byte + 1] if byte + 1 < width else a
            c = row[byte + 2] if byte + 2 < width else a
            d = row[byte + 3] if byte + 3 < width else a
            t0, t1 = tables[0, a & 15], tables[1, a >> 4]
            t2, t3 = tables[2, b & 15], tables[3, b >> 4]
            t4, t5 = tables[4, c & 15], tables[5, c >> 4]
            t6, t7 = tables[6, d & 15], tables[7, d >> 4]
            total = sums[item - first]
            for lane in range(n_lanes):
                total[lane] += (
                    t0[lane] + t1[lane] + t2[lane] + t3[lane]
                    + t4[lane] + t5[lane] + t6[lane] + t7[lane]
                )  # fmt: skip


@kernel
def _level(row, bits, dimension):  # type: ignore[no-untyped-def]
    """The odd integer level of one dimension of a packed row."""
    start = dimension * bits
    byte, shift = start >> 3, start & 7
    word = np.int64(row[byte])
    if shift + bits > 8:
        word |= np.int64(row[byte + 1]) << 8
    return np.int32(2 * ((word >> shift) & ((1 << bits) - 1)) - ((1 << bits) - 1))


@kernel
def _sum_levels(packed, bits, first, last, lanes, sums):  # type: ignore[no-untyped-def]
    """sums[i, lane] for items of any width, one dimension at a time."""
    dim, n_lanes = lanes.shape
    for item in range(first, last):
        row, total = packed[item], sums[item - first]
        for dimension in range(dim):
            level, query = _level(row, bits, dimension), lanes[dimension]
            for lane in range(n_lanes):
                total[lane] += level * query[lane]


@kernel
def _sum_stretch(  # type: ignore[no-untyped-def]
    packed, bits, first, last, lanes, bases, tables, sums
):
    sums[:] = bases
    if bits == 1 or bits == 2 or bits == 4:
        _sum_nibbles(packed, bits, first, last, lanes, tables, sums)
    else:
        _sum_levels(packed, bits, first, last, lanes, sums)


@parallel_kernel
def _scan_sums(  # type: ignore[no-untyped-def]
    packed, bits, item_scales, lanes, bases, query_scales, bounds, seen_offsets, seen,
    scores, positions, counts, ties,
):  # fmt: skip
    n, splits = counts.shape
    groups, _, n_lanes = lanes.shape
    for task in numba.prange(groups * splits):
        group, split = task // splits, task % splits
        start = group * n_lanes
        live = min(n_lanes, n - start)
        tables = np.empty((2 * _CHUNK, 16, n_lanes), np.int32)
        sums = np.empty((_STRETCH, n_lanes), np.int32)
        row_scores = np.empty(n_lanes, np.float32)
        bar = np.full(n_lanes, -np.inf, np.float32)
        scales = np.zeros(n_lanes)
        scales[:live] = query_scales[start : start + live]
        bar[live:] = np.inf  # the padding lanes score zero and must never enter
        for first in range(bounds[split], bounds[split + 1], _STRETCH):
            last = min(first + _STRETCH, bounds[split + 1])
            _sum_stretch(packed, bits, first, last, lanes[group], bases[group], tables, sums)
            for item in range(first, last):
                item_scale = np.float64(item_scales[item])
                total = sums[item - first]
                hit = False
                for lane in range(n_lanes):
                    score = np.float32(total[lane] * (scales[lane] * item_scale))
                    row_scores[lane] = score
                    hit |= score >= bar[lane]
                if not hit:
                    continue
                for lane in range(live):
                    score = row_scores[lane]
                    query = start + lane
                    if score < bar[lane] or contains(
                        seen[seen_offsets[query] : seen_offsets[query + 1]], item
                    ):
                        continue
                    count, tied = offer(
                        scores[query, split], positions[query, split],
                        counts[query, split], ties[query, split], score, item,
                    )  # fmt: skip
                    counts[query, split], ties[query, split] = count, tied
                    if count == scores.shape[2]:
                        bar[lane] = scores[query, split, 0]


@parallel_kernel
def _scan_bits(  # type: ignore[no-untyped-def]
    items, item_scales, queries, query_scales, dim, bounds, seen_offsets, seen,
    scores, positions, counts, ties,
):  # fmt: skip
    n, splits = counts.shape
    n_words = items.shape[1]
    for task in numba.prange(n * splits):
        query, split = task // splits, task % splits
        word_row = queries[query]
        seen_row = seen[seen_offsets[query] : seen_offsets[query + 1]]
        heap, heap_positions = scores[query, split], positions[query, split]
        count, tied = 0, 0
        bar = np.float32(-np.inf)
        stretch = np.empty(_STRETCH, np.float32)
        for first in range(bounds[split], bounds[split + 1], _STRETCH):
            last = min(first + _STRETCH, bounds[split + 1])
            for item in range(first, last):
                differing = 0
                for word in range(n_words):
                    differing += popcount(items[item, word] ^ word_row[word])
                scale = query_scales[query] * np.float64(item_scales[item])
                stretch[item - first] = np.float32((dim - 2 * differing) * scale)
            for item in range(first, last):
                score = stretch[item - first]
                if score < bar or contains(seen_row, item):
                    continue
                count, tied = offer(heap, heap_positions, count, tied, score, item)
                if count == len(heap):
                    bar = heap[0]
        counts[query, split], ties[query, split] = count, tied


@parallel_kernel
def _merge(scores, positions, counts, ties):  # type: ignore[no-untyped-def]
    """Folds every query's splits into its first, then sorts it."""
    n, splits, k = scores.shape
    for query in numba.prange(n):
        heap, heap_positions = scores[query, 0], positions[query, 0]
        count, tied = counts[query, 0], ties[query, 0]
        for split in range(1, splits):
            for entry in range(counts[query, split]):
                count, tied = offer(
                    heap, heap_positions, count, tied,
                    scores[query, split, entry], positions[query, split, entry],
                )  # fmt: skip
            # A split's own leftovers tie with the merged worst only if its worst is that worst;
            # a split that was not full left nothing over.
            if count == k and ties[query, split] and scores[query, split, 0] == heap[0]:
                tied += ties[query, split]
        finish(heap, heap_positions, count)
        counts[query, 0], ties[query, 0] = count, tied


@parallel_kernel
def _score_all(  # type: ignore[no-untyped-def]
    packed, bits, item_scales, lanes, bases, query_scales, out
):
    """Every score: (n_queries, n_items) float32."""
    n, n_items = out.shape
    groups, _, n_lanes = lanes.shape
    stretches = -(-n_items // _STRETCH)
    for task in numba.prange(groups * stretches):
        group, first = task // stretches, (task % stretches) * _STRETCH
        last = min(first + _STRETCH, n_items)
        tables = np.empty((2 * _CHUNK, 16, n_lanes), np.int32)
        sums = np.empty((_STRETCH, n_lanes), np.int32)
        _sum_stretch(packed, bits, first, last, lanes[group], bases[group], tables, sums)
        for lane in range(min(n_lanes, n - group * n_lanes)):
            query = group * n_lanes + lane
            for item in range(first, last):
                scale = query_scales[query] * np.float64(item_scales[item])
                out[query, item] = np.float32(sums[item - first, lane] * scale)


@parallel_kernel
def _score_pairs(  # type: ignore[no-untyped-def]
    packed, bits, item_scales, values, bases, query_scales, offsets, items, out
):  # fmt: skip
    for query in numba.prange(len(values)):
        for entry in range(offsets[query], offsets[query + 1]):
            row = packed[items[entry]]
            total = np.int64(bases[query])
            for dimension in range(values.shape[1]):
                total += np.int64(_level(row, bits, dimension)) * values[query, dimension]
            scale = query_scales[query] * np.float64(item_scales[items[entry]])
            out[entry] = np.float32(total * scale)
