"""What a compiled scan selects into: heaps of the best, for every query and range of items."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.kernels import inner_kernel, parallel_kernel
from hashrec.search.heap import contains, finish, key_of, offer, score_of, unpack
from hashrec.search.results import Hits, TopK

__all__ = ["Selection", "consider"]


@dataclass(frozen=True, eq=False)
class Selection:
    """Heaps to be filled by a scan, one for each query and split of the items.

    Attributes:
        floors: (n,) float32; what scores less is not wanted.
        steady: the bar stays at the floor, so that everything above it is counted; else it rises
            to the worst of a full heap.
        keys: (splits, n, k) int64, see `heap`. counts: (splits, n) int64, filled places.
        ties: (splits, n) int64, see `heap`. totals: (splits, n) int64, eligible items considered.
            Splits come first, because threads that write to neighbours slow each other down.
    """

    floors: npt.NDArray[np.float32]
    steady: bool
    keys: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    ties: npt.NDArray[np.int64]
    totals: npt.NDArray[np.int64]

    @classmethod
    def empty(
        cls, floors: npt.NDArray[np.float32], splits: int, k: int, *, steady: bool = False
    ) -> Selection:
        """Heaps of `k` places with nothing in them."""
        n = len(floors)
        numbers = [np.zeros((splits, n), np.int64) for _ in range(3)]
        return cls(floors, steady, np.empty((splits, n, k), np.int64), *numbers)

    def into(self, exclude: Csr) -> tuple[object, ...]:
        """What `consider` takes, in its order."""
        return (
            self.floors, self.steady, exclude.offsets, exclude.indices, self.keys, self.counts,
            self.ties, self.totals,
        )  # fmt: skip

    def top(self) -> TopK:
        """The best of all splits. To be called once, when everything was considered."""
        _merge(self.keys, self.counts, self.ties)
        return TopK(*unpack(self.keys[0]), self.counts[0].copy(), self.ties[0].copy())

    def hits(self) -> Hits:
        """The same as ragged rows."""
        totals, best = self.totals.sum(axis=0), self.top()
        filled = np.arange(best.positions.shape[1]) < best.counts[:, None]
        offsets = np.concatenate([[0], np.cumsum(best.counts)]).astype(np.int64)
        return Hits(offsets, best.positions[filled], best.scores[filled], totals)


@inner_kernel
def consider(  # type: ignore[no-untyped-def]
    query, split, item, score, floors, steady, seen_offsets, seen, keys, counts, ties, totals
):
    """Takes an item whose score reaches the bar, unless it is excluded; returns the new bar."""
    heap = keys[split, query]
    if not contains(seen[seen_offsets[query] : seen_offsets[query + 1]], item):
        totals[split, query] += 1
        counts[split, query], ties[split, query] = offer(
            heap, counts[split, query], ties[split, query], key_of(score, item)
        )
    if steady or counts[split, query] < len(heap):
        return floors[query]
    return max(floors[query], score_of(heap[0]))


@parallel_kernel
def _merge(keys, counts, ties):  # type: ignore[no-untyped-def]
    """Folds every query's splits into its first, then sorts it."""
    splits, n, _ = keys.shape
    for query in numba.prange(n):
        heap = keys[0, query]
        count, tied = counts[0, query], ties[0, query]
        for split in range(1, splits):
            for place in range(counts[split, query]):
                count, tied = offer(heap, count, tied, keys[split, query, place])
            # What a full split left over ties with the merged worst only if its own worst does.
            if ties[split, query] and keys[split, query, 0] >> 32 == heap[0] >> 32:
                tied += ties[split, query]
        finish(heap, count)
        counts[0, query], ties[0, query] = count, tied
