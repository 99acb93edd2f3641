"""The oracle: every score, then a full sort. Slow, obvious, and the judge of all other engines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.search.index import Index, Rows, Scores
from hashrec.search.query import FixedQueries, combine
from hashrec.search.results import Hits, TopK

__all__ = ["ExactIndex"]


class ExactIndex(Index):
    """Takes codes of any kind."""

    name = "exact"

    # Codes are decoded once a block, so blocks are long.
    _block_bytes = 512 << 20

    def _search(self, queries: Codes, k: int, exclude: Csr, rows: Rows | None) -> TopK:
        scores = self._all_scores(queries)
        n = len(queries)
        positions = np.full((n, k), -1, np.int32)
        best = np.full((n, k), -np.inf, np.float32)
        counts, ties = np.zeros(n, np.int64), np.zeros(n, np.int64)
        for row in range(n):
            order = _ranked(scores[row], exclude.row(row), rows, k)
            top = order[:k]
            counts[row] = len(top)
            positions[row, : len(top)], best[row, : len(top)] = top, scores[row, top]
            ties[row] = np.sum(scores[row, order[k:]] == scores[row, top[-1]]) if len(top) else 0
        return TopK(positions, best, counts, ties)

    def _search_threshold(
        self, queries: Codes, thresholds: Scores, exclude: Csr, rows: Rows | None, limit: int | None
    ) -> Hits:
        scores = self._all_scores(queries)
        found, totals = [], []
        for row in range(len(queries)):
            order = _ranked(scores[row], exclude.row(row), rows, len(self.codes))
            reached = order[scores[row, order] >= thresholds[row]]
            found.append(reached[:limit])
            totals.append(len(reached))
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in found])]).astype(np.int64)
        positions = np.concatenate([*found, np.zeros(0, np.int64)]).astype(np.int32)
        owner = np.repeat(np.arange(len(found)), np.diff(offsets))
        return Hits(offsets, positions, scores[owner, positions], np.array(totals, np.int64))

    def _score(self, queries: Codes, pairs: Csr) -> Scores:
        return self._all_scores(queries)[pairs.row_of_entry, pairs.indices]

    def _all_scores(self, queries: Codes) -> Scores:
        """(n_queries, n_items) float32."""
        if not self.codes.packed:
            return _float_scores(queries.decode(), self.codes.decode())
        fixed = FixedQueries.of(queries, self.codes)
        # All products and sums are integers below 2^31, so float64 holds them in any order.
        sums = fixed.values.astype(np.float64) @ self.codes.levels().astype(np.float64).T
        sums += fixed.bases[:, None]
        scales = np.ones(len(self.codes), np.float32)
        return combine(
            sums, fixed.scales, scales if self.codes.scales is None else self.codes.scales
        )


def _ranked(
    scores: Scores, seen: npt.NDArray[np.int32], rows: Rows | None, k: int
) -> npt.NDArray[np.int64]:
    """Eligible positions, best first, equal scores by position: at least the k best and all that
    score as the last of them."""
    eligible = np.ones(len(scores), np.bool_)
    if rows is not None:
        eligible = np.isin(np.arange(len(scores)), rows)
    eligible[seen] = False
    found = np.flatnonzero(eligible)
    if k < len(found):
        cut = np.partition(scores[found], len(found) - k)[len(found) - k]
        found = found[scores[found] >= cut]
    return found[np.argsort(-scores[found], kind="stable")]


def _float_scores(users: Scores, items: Scores) -> Scores:
    """Products in float64, where they are exact, added in the order of the dimensions."""
    total = np.zeros((len(users), len(items)))
    for dimension in range(users.shape[1]):
        total += np.outer(
            users[:, dimension].astype(np.float64), items[:, dimension].astype(np.float64)
        )
    return total.astype(np.float32) + np.float32(0)
