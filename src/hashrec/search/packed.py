"""Searches over packed codes: blocks of queries, ranges of items, and a first guess at the bar.

An engine scans: it compares every item with every query's bar and considers what reaches it. What
all of them share is here. Before a large catalogue is scanned for the best k, a sample of it is,
and says where the k-th best score is likely to be, so that the scan need not climb there from
nothing. A guess is only a guess: a query that ends with fewer than k is scanned again without one.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.kernels import for_kernels, parallel_kernel
from hashrec.search.index import Index, Rows, Scores
from hashrec.search.query import FixedQueries
from hashrec.search.results import Hits, TopK
from hashrec.search.selection import Selection
from hashrec.search.weights import bit_weights, scored, sum_bits

__all__ = ["PackedIndex", "Work", "place_in_sample", "require_packed"]

# Ranges of items a thread, so that none waits long for the last.
_RANGES = 4
# Items a range has at least.
_RANGE_ITEMS = 4096
# One item in so many is in the sample, if there are so many at all.
_SAMPLED = 16
_WORTH_A_GUESS = 8192
_RUN = 8
# Queries of a block: what they need stays in the nearer caches.
_QUERIES = 1024
# Heaps of a block, all ranges together.
_HEAP_BYTES = 64 << 20
# Places that a query has for hits at first; those that have more are asked again.
_PLACES = 256


@dataclass
class Work:
    """What searches for the best k have done so far.

    Attributes:
        queries: answered. guessed: of these, started from a guess at the bar. again: of these,
            scanned a second time because the guess was too high.
        checked: items of whole catalogues whose exact score was looked at, by engines that only
            look at what a bound lets through; of thresholds, too.
    """

    queries: int = 0
    guessed: int = 0
    again: int = 0
    checked: int = 0


def place_in_sample(k: int, sampled: int) -> int:
    """Of the k best, k / sampled are in the sample, give or take a root of that: the place two
    such roots further down."""
    share = k / sampled
    return int(np.ceil(share + 2 * np.sqrt(share) + 2))


def first_places(k: int, exclude: Csr, n_items: int, rows: Rows | None) -> TopK:
    """What queries find that score everything zero: the first k that are eligible, and ties."""
    n = exclude.n_rows
    positions, scores = np.full((n, k), -1, np.int32), np.full((n, k), -np.inf, np.float32)
    counts, ties = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for query in range(n):
        seen = exclude.row(query)
        if rows is None:
            first = np.arange(min(n_items, k + len(seen)), dtype=np.int32)
            eligible = n_items - len(seen)
        else:
            first = rows[: k + len(seen)]
            eligible = len(rows) - int(np.isin(seen, rows, assume_unique=True).sum())
        listed = first[~np.isin(first, seen, assume_unique=True)][:k]
        counts[query], ties[query] = len(listed), eligible - len(listed) if len(listed) else 0
        positions[query, : len(listed)], scores[query, : len(listed)] = listed, 0
    return TopK(positions, scores, counts, ties)


def require_packed(codes: Codes, engine: str) -> None:
    """Raises ValueError for floats."""
    if not codes.packed:
        raise ValueError(f"{engine} reads packed codes, not floats of {codes.bits} bits")


class PackedIndex(Index):
    """Exact search on codes of 1 to 8 bits. Engines say how to scan."""

    def __init__(self, codes: Codes) -> None:
        require_packed(codes, self.name)
        super().__init__(codes)
        self.work = Work()
        self._data = for_kernels(codes.data)
        no_scales = np.zeros(0, np.float32)
        self._scales = no_scales if codes.scales is None else for_kernels(codes.scales)

    @abstractmethod
    def _ask(self, queries: Codes, fixed: FixedQueries) -> Any:
        """The queries as `_scan` wants them."""

    @abstractmethod
    def _scan(
        self,
        asked: Any,
        exclude: Csr,
        rows: Rows,
        bounds: npt.NDArray[np.int64],
        selection: Selection,
    ) -> int:
        """Considers every item that may reach its bar, range by range; returns how many were
        checked.

        Args:
            rows: (m,) int32, the items to be scanned; none: all. bounds: (splits + 1,) int64,
                where ranges begin and end, in `rows` or in all items.
        """

    def _search(self, queries: Codes, k: int, exclude: Csr, rows: Rows | None) -> TopK:
        fixed = FixedQueries.of(queries, self.codes)
        silent = ~(fixed.values.any(axis=1) | (fixed.bases != 0))
        if not silent.any() or not self.exact:
            return self._search_all(queries, fixed, k, exclude, rows)
        # Who says nothing scores everything zero: no scan could say more.
        zero, rest = np.flatnonzero(silent), np.flatnonzero(~silent)
        found = first_places(k, exclude.take(zero), len(self.codes), rows)
        if not len(rest):
            return found
        few = queries.take(rest)
        others = self._search_all(
            few, FixedQueries.of(few, self.codes), k, exclude.take(rest), rows
        )
        return TopK.join([found, others], k).take(np.argsort(np.concatenate([zero, rest])))

    def _search_all(
        self, queries: Codes, fixed: FixedQueries, k: int, exclude: Csr, rows: Rows | None
    ) -> TopK:
        asked = self._ask(queries, fixed)
        floors = self._guess(asked, len(queries), k, exclude, rows)
        top = self._select(
            asked, Selection.empty(floors, self._splits(len(floors), rows), k), exclude, rows
        ).top()
        guessed = floors > -np.inf
        short = np.flatnonzero(guessed & (top.counts < k))
        if len(short):
            few, seen = queries.take(short), exclude.take(short)
            asked = self._ask(few, FixedQueries.of(few, self.codes))
            everything = np.full(len(short), -np.inf, np.float32)
            heaps = Selection.empty(everything, self._splits(len(short), rows), k)
            top.put(short, self._select(asked, heaps, seen, rows).top())
        self.work.queries += len(queries)
        self.work.guessed += int(guessed.sum())
        self.work.again += len(short)
        return top

    def _search_threshold(
        self, queries: Codes, thresholds: Scores, exclude: Csr, rows: Rows | None, limit: int | None
    ) -> Hits:
        hits = self._hits(queries, thresholds, exclude, rows, limit or _PLACES)
        if limit or not (hits.totals > _PLACES).any():
            return hits
        done = np.flatnonzero(hits.totals <= _PLACES)
        order, parts = [done], [hits.take(done)]
        # With others of their kind, or one who wants everything would take room for all.
        size = np.ceil(np.log2(np.maximum(hits.totals, _PLACES))).astype(np.int64)
        for kind in np.unique(size[hits.totals > _PLACES]):
            alike = np.flatnonzero((size == kind) & (hits.totals > _PLACES))
            places = int(hits.totals[alike].max())
            pieces = -(-len(alike) // self._most_queries(places, len(alike), rows))
            for few in np.array_split(alike, pieces):
                seen = exclude.take(few)
                parts.append(self._hits(queries.take(few), thresholds[few], seen, rows, places))
                order.append(few)
        return Hits.join(parts).take(np.argsort(np.concatenate(order)))

    def _score(self, queries: Codes, pairs: Csr) -> Scores:
        return self._score_rows(queries, pairs.offsets, pairs.indices)

    def _score_rows(
        self, queries: Codes, offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.int32]
    ) -> Scores:
        """Scores of rows of the data, a ragged list a query."""
        fixed = FixedQueries.of(queries, self.codes)
        weights, bases = bit_weights(fixed, self.codes)
        out = np.empty(len(rows), np.float32)
        _score_rows(
            self._data, self._scales, weights.astype(np.int32), bases, fixed.scales, offsets, rows,
            out,
        )  # fmt: skip
        return out

    def _hits(
        self, queries: Codes, floors: Scores, exclude: Csr, rows: Rows | None, places: int
    ) -> Hits:
        """The best `places` of each query."""
        asked = self._ask(queries, FixedQueries.of(queries, self.codes))
        heaps = Selection.empty(floors, self._splits(len(floors), rows), places, steady=True)
        return self._select(asked, heaps, exclude, rows).hits()

    def _guess(self, asked: Any, n: int, k: int, exclude: Csr, rows: Rows | None) -> Scores:
        """(n,) float32: what a few more items reach than are wanted, or -inf where nobody knows.

        A sample is searched for the score of one place, and that search begins with a guess, too.
        """
        nothing = np.full(n, -np.inf, np.float32)
        if (len(self.codes) if rows is None else len(rows)) < _WORTH_A_GUESS:
            return nothing
        sample = self._sample if rows is None else rows[::_SAMPLED]
        place = place_in_sample(k, _SAMPLED)
        if 4 * place > len(sample):
            return nothing
        floors = self._guess(asked, n, place, exclude, sample)
        ranges = min(numba.get_num_threads(), self._splits(n, sample))
        heaps = Selection.empty(floors, ranges, place)
        return self._select(asked, heaps, exclude, sample).top().scores[:, -1]

    @cached_property
    def _sample(self) -> Rows:
        """Runs of neighbours, who share the lines of memory that are fetched for one of them."""
        starts = np.arange(0, len(self.codes) - _RUN + 1, _SAMPLED * _RUN)
        return np.add.outer(starts, np.arange(_RUN)).ravel().astype(np.int32)

    def _select(self, asked: Any, heaps: Selection, exclude: Csr, rows: Rows | None) -> Selection:
        length = len(self.codes) if rows is None else len(rows)
        if length:
            bounds = np.linspace(0, length, heaps.counts.shape[0] + 1).astype(np.int64)
            chosen = np.zeros(0, np.int32) if rows is None else rows
            self.work.checked += self._scan(asked, exclude, chosen, bounds, heaps)
        return heaps

    def _splits(self, n: int, rows: Rows | None) -> int:
        """Into how many ranges the items are cut, for n queries."""
        length = len(self.codes) if rows is None else len(rows)
        return max(1, min(_RANGES * int(numba.get_num_threads()), length // _RANGE_ITEMS))

    def _most_queries(self, places: int, n: int, rows: Rows | None) -> int:
        """How many of n queries have room for so many places each."""
        for size in (min(n, _QUERIES), 1):
            heaps = 8 * max(places, 1) * self._splits(size, rows)
            if size * heaps <= _HEAP_BYTES:
                return max(size, 1)
        return max(1, _HEAP_BYTES // heaps)

    def _blocks(self, n_queries: int, places: int | None) -> list[slice]:
        size = self._most_queries(_PLACES if places is None else places, n_queries, None)
        return [slice(a, min(a + size, n_queries)) for a in range(0, n_queries, size)]


@parallel_kernel
def _score_rows(  # type: ignore[no-untyped-def]
    data, item_scales, weights, bases, query_scales, offsets, items, out
):
    for query in numba.prange(len(weights)):
        for entry in range(offsets[query], offsets[query + 1]):
            item = np.int64(items[entry])
            total = sum_bits(data, item, weights, query, bases)
            out[entry] = scored(total, query_scales[query], item_scales, item)
