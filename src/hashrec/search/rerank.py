"""A second stage: what codes found, ranked anew by better vectors of the same items."""

from __future__ import annotations

import numpy as np

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.search.index import Index
from hashrec.search.results import TopK

__all__ = ["rerank"]


def rerank(found: TopK, index: Index, queries: Codes, k: int) -> TopK:
    """The `k` best of each row of `found` by the scores of `index`, equal ones by position.

    Args:
        found: candidates. index: of the same items, other vectors. queries: (n) of its space.

    Items beyond the candidates are not looked at, so `ties` counts none.
    """
    n, width = found.positions.shape
    filled = np.arange(width) < found.counts[:, None]
    n_items = len(index.codes)
    candidates = np.sort(np.where(filled, found.positions, n_items), axis=1)
    offsets = np.concatenate([[0], np.cumsum(found.counts)]).astype(np.int64)
    pairs = Csr(offsets, candidates[filled].astype(np.int32), n_items)
    scores = np.full((n, width), -np.inf, np.float32)
    scores[filled] = index.score(queries, pairs)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    positions = np.where(filled, candidates, -1).astype(np.int32)
    return TopK(
        np.take_along_axis(positions, order, axis=1),
        np.take_along_axis(scores, order, axis=1),
        np.minimum(found.counts, k),
        np.zeros(n, np.int64),
    )
