"""From rows of scores to everything at or above a threshold."""

from __future__ import annotations

import numba
import numpy as np

from hashrec.csr import Csr
from hashrec.kernels import parallel_kernel
from hashrec.search.heap import contains
from hashrec.search.index import Rows, Scores
from hashrec.search.results import Hits

__all__ = ["collect"]


def collect(
    scores: Scores, thresholds: Scores, exclude: Csr, rows: Rows | None, limit: int | None
) -> Hits:
    """Eligible items of each row of `scores` at or above its threshold, sorted.

    `scores`: (n, n_items), or (n, m) of the m items that `rows` names.
    """
    items = np.arange(scores.shape[1], dtype=np.int32) if rows is None else rows
    counts = np.zeros(len(scores), np.int64)
    _count(scores, items, thresholds, exclude.offsets, exclude.indices, counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    positions = np.empty(offsets[-1], np.int32)
    best = np.empty(offsets[-1], np.float32)
    _fill(scores, items, thresholds, exclude.offsets, exclude.indices, offsets, positions, best)
    hits = Hits(offsets, positions, best, counts)
    return hits if limit is None else hits.first(limit)


@parallel_kernel
def _count(scores, items, thresholds, seen_offsets, seen, counts):  # type: ignore[no-untyped-def]
    for row in numba.prange(len(scores)):
        seen_row = seen[seen_offsets[row] : seen_offsets[row + 1]]
        count = 0
        for place, item in enumerate(items):
            if scores[row, place] >= thresholds[row] and not contains(seen_row, item):
                count += 1
        counts[row] = count


@parallel_kernel
def _fill(  # type: ignore[no-untyped-def]
    scores, items, thresholds, seen_offsets, seen, offsets, positions, best
):  # fmt: skip
    for row in numba.prange(len(scores)):
        seen_row = seen[seen_offsets[row] : seen_offsets[row + 1]]
        found = positions[offsets[row] : offsets[row + 1]]
        values = best[offsets[row] : offsets[row + 1]]
        count = 0
        for place, item in enumerate(items):
            if scores[row, place] >= thresholds[row] and not contains(seen_row, item):
                found[count], values[count] = item, scores[row, place]
                count += 1
        # Items came in ascending position, so a stable sort keeps that order among equals.
        order = np.argsort(-values, kind="mergesort")
        found[:], values[:] = found[order], values[order]
