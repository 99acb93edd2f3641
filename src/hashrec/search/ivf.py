"""Approximate search in inverted lists: only the lists that a query points to are scanned.

A list holds items that lie together, by k-means (`lists.py`) or by any labels, say the buckets of
the interaction graph. A query ranks lists by its product with their means, and scans the best few,
best first, as `fast` scans everything: scores are exact, ties in order, what is excluded is left
out before selection; only items of other lists are missed. `probes` is the dial: all lists is
exact.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numba
import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes, IntCodes, Rotation
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.kernels import for_kernels, parallel_kernel
from hashrec.search.fast import Bounded, FastIndex
from hashrec.search.index import Rows, Scores, require_count
from hashrec.search.lists import centres_of, cluster
from hashrec.search.lookup import LANES, MOST_ROW_BYTES, survey_one
from hashrec.search.packed import PackedIndex, Work, place_in_sample, require_packed
from hashrec.search.popcount import popcount
from hashrec.search.query import FixedQueries
from hashrec.search.results import TopK
from hashrec.search.scan import ScanIndex
from hashrec.search.selection import Selection
from hashrec.search.settle import settle
from hashrec.search.tables import lowered
from hashrec.search.tiles import BLOCK, CHUNK_BYTES, aligned, fetch, fill, gather_scales, tile_items

__all__ = ["IvfIndex", "Lists"]

_MOST_LISTS = 8192
# One block in so many says where the bar will be.
_SAMPLED = 8


@dataclass(frozen=True, eq=False)
class Lists:
    """Items in the order of their lists.

    Attributes:
        codes: of all items, list after list, in each by position.
        order: (n,) int32, the position of each row. offsets: (lists + 1,) int64, where lists begin.
        centres: of (lists) means, 4-bit codes in the items' space.
    """

    codes: Codes
    order: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    centres: Codes

    @classmethod
    def of(cls, codes: Codes, labels: npt.NDArray[Any]) -> Lists:
        """From (n,) labels, any numbers from 0 on; lists without items are left out."""
        _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
        order = np.argsort(numbers, kind="stable").astype(np.int32)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        sorted_codes = codes.take(order)
        means = centres_of(sorted_codes, offsets)
        own = Rotation("none", codes.dim, 0)
        return cls(sorted_codes, order, offsets, IntCodes(bits=4, clip="max").quantise(means, own))

    def require_whole(self) -> None:
        """Raises ValueError where parts do not fit each other."""
        n, n_lists = len(self.codes), len(self.centres)
        if self.order.shape != (n,) or self.order.dtype != np.int32:
            raise ValueError(f"the order of {n} items is {self.order.shape} {self.order.dtype}")
        if self.offsets.shape != (n_lists + 1,) or self.offsets.dtype != np.int64:
            raise ValueError(f"{n_lists} lists have offsets of {self.offsets.shape}")
        if self.offsets[0] != 0 or self.offsets[-1] != n or (np.diff(self.offsets) < 0).any():
            raise ValueError(f"offsets of lists do not rise from 0 to {n}")
        if n and not 0 <= self.order.min() <= self.order.max() < n:
            raise ValueError(f"the order of {n} items names others")
        if self.centres.dim != self.codes.dim:
            raise ValueError(f"centres of {self.centres.dim} dimensions, not {self.codes.dim}")


@dataclass(frozen=True, eq=False)
class _Asked:
    """Queries, and (n, probes) int32 the lists of each, best first."""

    queries: Bounded
    lists: npt.NDArray[np.int32]


class IvfIndex(PackedIndex):
    """Approximate search on codes of 1 to 8 bits: in the best `probes` lists of each query.

    `codes` stand in the order of the lists; positions in results and exclusions are the items' own.
    """

    name: ClassVar[str] = "ivf"
    exact: ClassVar[bool] = False

    _none_forbidden: ClassVar[npt.NDArray[np.bool_]] = np.zeros(0, np.bool_)

    def __init__(
        self,
        codes: Codes,
        lists: Lists | int | npt.NDArray[np.integer[Any]] | None = None,
        *,
        probes: int = 16,
        seed: int = 0,
    ) -> None:
        """Of so many clusters by k-means (without `lists` about 4 sqrt(n)), of (n,) labels of the
        items, or of lists as they are.

        Raises UsageError for labels of another length, or fewer than one list or probe.
        """
        require_packed(codes, self.name)
        if not isinstance(lists, Lists):
            lists = Lists.of(codes, self._labels(codes, lists, seed))
        lists.require_whole()
        if len(lists.codes) != len(codes):
            raise UsageError(
                "lists hold other items", expected=str(len(codes)), got=str(len(lists.codes))
            )
        super().__init__(lists.codes)
        self.lists = lists
        self._order, self._offsets = for_kernels(lists.order), for_kernels(lists.offsets)
        wide = lists.centres.data.shape[1] > MOST_ROW_BYTES
        self._coarse = (ScanIndex if wide else FastIndex)(lists.centres)
        self._probe(probes)

    @staticmethod
    def _labels(codes: Codes, lists: Any, seed: int) -> npt.NDArray[Any]:
        if lists is None:
            lists = max(1, min(_MOST_LISTS, round(4 * len(codes) ** 0.5)))
        if np.ndim(lists) == 0:
            require_count(lists, "lists")
            return cluster(codes, min(lists, len(codes)), seed) if len(codes) else np.zeros(0, int)
        labels = np.asarray(lists)
        if labels.shape != (len(codes),) or labels.dtype.kind not in "iu":
            raise UsageError(
                "labels do not match items",
                expected=f"({len(codes)},) integers",
                got=f"{labels.shape} {labels.dtype}",
            )
        return labels

    def _probe(self, probes: int) -> None:
        require_count(probes, "probes")
        self.probes = probes

    def with_probes(self, probes: int) -> IvfIndex:
        """The same lists with another dial."""
        other = copy(self)
        other.work = Work()
        other._probe(probes)
        return other

    def ranked(self, queries: Codes | npt.ArrayLike) -> npt.NDArray[np.int32]:
        """(n, lists) int32, all lists in the order in which each query would probe them."""
        return self._coarse.search(self._queries(queries), len(self.lists.centres)).positions

    def recall(self, queries: Codes | npt.ArrayLike, found: TopK) -> npt.NDArray[np.float64]:
        """(lists,) the share of what an exact search `found` that 1, 2, ... probes would find."""
        n_lists, ranked = len(self.lists.centres), self.ranked(queries)
        if len(ranked) != len(found):
            raise UsageError(
                "what was found is of other queries", expected=str(len(ranked)), got=str(len(found))
            )
        place = np.empty_like(ranked)
        np.put_along_axis(place, ranked, np.arange(n_lists, dtype=np.int32)[None], axis=1)
        filled = np.arange(found.positions.shape[1]) < found.counts[:, None]
        owner = np.nonzero(filled)[0]
        needed = place[owner, self._list_of[found.positions[filled]]]
        counts = np.bincount(needed, minlength=n_lists)
        return np.cumsum(counts) / max(len(needed), 1)

    @cached_property
    def _row_of(self) -> npt.NDArray[np.int32]:
        """(n,) the row of each position."""
        rows = np.empty(len(self._order), np.int32)
        rows[self._order] = np.arange(len(rows), dtype=np.int32)
        return rows

    @cached_property
    def _list_of(self) -> npt.NDArray[np.int32]:
        """(n,) the list of each position."""
        lengths = np.diff(self.lists.offsets)
        return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)[self._row_of]

    def _ask(self, queries: Codes, fixed: FixedQueries) -> _Asked:
        lists = self._coarse.search(queries, self.probes).positions
        return _Asked(Bounded.of(fixed, self.codes), lists)

    def _guess(self, asked: _Asked, n: int, k: int, exclude: Csr, rows: Rows | None) -> Scores:
        """From one block in so many of the lists that will be scanned."""
        floors = np.full(n, -np.inf, np.float32)
        scanned = asked.lists.shape[1] * len(self.codes) / max(len(self.lists.centres), 1)
        place = place_in_sample(k, _SAMPLED)
        if rows is not None or 4 * place * _SAMPLED > scanned:
            return floors
        heaps = Selection.empty(floors, 1, place)
        self.work.checked += self._scan_blocks(
            asked, exclude, self._none_forbidden, heaps, BLOCK, _SAMPLED * BLOCK
        )
        return heaps.top().scores[:, -1]

    def _splits(self, n: int, rows: Rows | None) -> int:
        """Lists are shared out only where there are fewer queries than threads can take."""
        wanted = -(-4 * int(numba.get_num_threads()) // max(n, 1))
        return max(1, min(wanted, self.probes))

    def _scan(
        self,
        asked: _Asked,
        exclude: Csr,
        rows: Rows,
        bounds: npt.NDArray[np.int64],
        selection: Selection,
    ) -> int:
        allowed = self._none_forbidden
        if len(rows):
            allowed = np.zeros(len(self.codes), np.bool_)
            allowed[rows] = True
        most = tile_items(self._data.shape[1])
        return self._scan_blocks(asked, exclude, allowed, selection, most, most)

    def _scan_blocks(
        self,
        asked: _Asked,
        exclude: Csr,
        allowed: npt.NDArray[np.bool_],
        selection: Selection,
        most: int,
        step: int,
    ) -> int:
        """Scans `most` items of every `step` of each list."""
        checked = np.zeros(selection.counts.shape, np.int64)
        _scan_lists(
            self._data, self._scales, self._order, self._offsets, asked.lists, allowed, most,
            step, *asked.queries.into(), checked, *selection.into(exclude),
        )  # fmt: skip
        return int(checked.sum())

    def _score(self, queries: Codes, pairs: Csr) -> Scores:
        return self._score_rows(queries, pairs.offsets, self._row_of[pairs.indices])


@parallel_kernel
def _scan_lists(  # type: ignore[no-untyped-def]
    data, item_scales, order, offsets, lists, allowed, most, step, entries, starts, units, weights,
    bases, query_scales, checked,
    floors, steady, seen_offsets, seen, keys, counts, ties, totals,
):  # fmt: skip
    splits, n = counts.shape
    chunks = entries.shape[1]
    every = np.zeros(0, np.int32)
    for task in numba.prange(n * splits):
        query, split = task // splits, task % splits
        column, tile = np.zeros(most, np.uint64), aligned(most // BLOCK * chunks * CHUNK_BYTES)
        scales, masks = np.ones(most, np.float32), np.zeros(LANES, np.uint32)
        table, start = entries[query : query + 1], starts[query : query + 1]
        exact, looked_at = floors[query], np.int64(0)
        bar = np.full(1, lowered(exact, units[query], query_scales[query]), np.float32)
        for probe in range(split, lists.shape[1], splits):
            end = offsets[lists[query, probe] + 1]
            for first in range(offsets[lists[query, probe]], end, step):
                count = min(most, end - first)
                fetch(order, first, count)  # in time for the few that will be looked at
                fill(data, every, first, count, column, tile)
                gather_scales(item_scales, every, first, count, scales)
                for block in range(0, count, BLOCK):
                    at = block // BLOCK * chunks * CHUNK_BYTES
                    if not survey_one(tile, at, table, 0, chunks, start, bar, scales, block, masks):
                        continue
                    mask = np.int64(masks[0])
                    looked_at += popcount(np.uint64(mask))
                    exact = settle(
                        mask, first + block, end, every, order, allowed, data, item_scales,
                        weights, bases, query_scales, query, split, exact, floors, steady,
                        seen_offsets, seen, keys, counts, ties, totals,
                    )  # fmt: skip
                    bar[0] = lowered(exact, units[query], query_scales[query])
        checked[split, query] = looked_at
