"""What a compiled scan selects into: heaps of the best, for every query and range of items."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.kernels import inner_kernel, parallel_kernel
from hashrec.search.heap import contains, finish, offer
from hashrec.search.results import Hits, TopK

__all__ = ["Selection", "consider"]


@dataclass(frozen=True, eq=False)
class Selection:
    """Heaps to be filled by a scan, one for each query and split of the items.

    Attributes:
        floors: (n,) float32; what scores less is not wanted.
        steady: the bar stays at the floor, so that everything above it is counted; else it rises
            to the worst of a full heap.
        scores, positions: (n, splits, k). counts: (n, splits) int64, filled places.
        ties: (n, splits) int64, see `heap`. totals: (n, splits) int64, eligible items considered.
    """

    floors: npt.NDArray[np.float32]
    steady: bool
    scores: npt.NDArray[np.float32]
    positions: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    ties: npt.NDArray[np.int64]
    totals: npt.NDArray[np.int64]

    @classmethod
    def empty(
        cls, floors: npt.NDArray[np.float32], splits: int, k: int, *, steady: bool = False
    ) -> Selection:
        """Heaps of `k` places with nothing in them."""
        n = len(floors)
        numbers = [np.zeros((n, splits), np.int64) for _ in range(3)]
        scores, positions = np.empty((n, splits, k), np.float32), np.empty((n, splits, k), np.int32)
        return cls(floors, steady, scores, positions, *numbers)

    def into(self, exclude: Csr) -> tuple[object, ...]:
        """What `consider` takes, in its order."""
        return (
            self.floors, self.steady, exclude.offsets, exclude.indices, self.scores, self.positions,
            self.counts, self.ties, self.totals,
        )  # fmt: skip

    def top(self) -> TopK:
        """The best of all splits. To be called once, when everything was considered."""
        _merge(self.scores, self.positions, self.counts, self.ties)
        return TopK(
            self.positions[:, 0].copy(), self.scores[:, 0].copy(), self.counts[:, 0].copy(),
            self.ties[:, 0].copy(),
        )  # fmt: skip

    def hits(self) -> Hits:
        """The same as ragged rows."""
        totals, best = self.totals.sum(axis=1), self.top()
        filled = np.arange(best.positions.shape[1]) < best.counts[:, None]
        offsets = np.concatenate([[0], np.cumsum(best.counts)]).astype(np.int64)
        return Hits(offsets, best.positions[filled], best.scores[filled], totals)


@inner_kernel
def consider(  # type: ignore[no-untyped-def]
    query, split, item, score, floors, steady, seen_offsets, seen, scores, positions, counts, ties,
    totals,
):  # fmt: skip
    """Takes an item whose score reaches the bar, unless it is excluded; returns the new bar."""
    heap = scores[query, split]
    if not contains(seen[seen_offsets[query] : seen_offsets[query + 1]], item):
        totals[query, split] += 1
        counts[query, split], ties[query, split] = offer(
            heap, positions[query, split], counts[query, split], ties[query, split], score, item
        )
    if steady or counts[query, split] < len(heap):
        return floors[query]
    return max(floors[query], heap[0])


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
