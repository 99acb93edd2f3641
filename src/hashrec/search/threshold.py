"""From rows of scores to everything at or above a threshold."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.kernels import parallel_kernel
from hashrec.search.heap import contains
from hashrec.search.results import Hits

__all__ = ["collect"]

Scores = npt.NDArray[np.float32]


def collect(scores: Scores, thresholds: Scores, exclude: Csr) -> Hits:
    """Eligible items of each row of (n, n_items) `scores` at or above its threshold, sorted."""
    counts = np.zeros(len(scores), np.int64)
    _count(scores, thresholds, exclude.offsets, exclude.indices, counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    positions = np.empty(offsets[-1], np.int32)
    best = np.empty(offsets[-1], np.float32)
    _fill(scores, thresholds, exclude.offsets, exclude.indices, offsets, positions, best)
    return Hits(offsets, positions, best)


@parallel_kernel
def _count(scores, thresholds, seen_offsets, seen, counts):  # type: ignore[no-untyped-def]
    for row in numba.prange(len(scores)):
        seen_row = seen[seen_offsets[row] : seen_offsets[row + 1]]
        count = 0
        for item in range(scores.shape[1]):
            if scores[row, item] >= thresholds[row] and not contains(seen_row, item):
                count += 1
        counts[row] = count


@parallel_kernel
def _fill(  # type: ignore[no-untyped-def]
    scores, thresholds, seen_offsets, seen, offsets, positions, best
):  # fmt: skip
    for row in numba.prange(len(scores)):
        seen_row = seen[seen_offsets[row] : seen_offsets[row + 1]]
        found = positions[offsets[row] : offsets[row + 1]]
        values = best[offsets[row] : offsets[row + 1]]
        count = 0
        for item in range(scores.shape[1]):
            if scores[row, item] >= thresholds[row] and not contains(seen_row, item):
                found[count], values[count] = item, scores[row, item]
                count += 1
        # Items came in ascending position, so a stable sort keeps that order among equals.
        order = np.argsort(-values, kind="mergesort")
        found[:], values[:] = found[order], values[order]
