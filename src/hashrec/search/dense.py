"""Float codes: blocked matrix products find the candidates, exact sums decide among them.

BLAS may add in any order, so its float32 scores are off by a little, differently for a batch
and for a single user. They are used only to discard: with an error bound B for every score of a
query, no item whose approximate score is more than 2 B below the k-th best approximate score
can be among the exact k best. What remains, usually the k and a handful more, is scored exactly
(float64 products in the order of the dimensions), and ties and order follow from that alone.
"""

from __future__ import annotations

from functools import cached_property

import numba
import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.kernels import kernel, parallel_kernel
from hashrec.search.heap import contains, finish, key_of, offer, score_of, unpack
from hashrec.search.index import Index, Rows, Scores
from hashrec.search.results import Hits, TopK
from hashrec.search.threshold import collect

__all__ = ["DenseIndex"]


class DenseIndex(Index):
    """Exact search on float32 and float16 codes."""

    name = "dense"

    def __init__(self, codes: Codes) -> None:
        if codes.packed:
            raise ValueError(f"matrix products need float codes, not {codes.bits} bits")
        super().__init__(codes)

    @cached_property
    def _items(self) -> Scores:
        return self.codes.decode()

    @cached_property
    def _longest(self) -> float:
        return float(np.sqrt(_squares(self._items).max(initial=0.0)))

    def _search(self, queries: Codes, k: int, exclude: Csr, rows: Rows | None) -> TopK:
        users, items = queries.decode(), self._among(rows)
        n, bounds = len(users), self._bounds(users)
        keys = np.empty((n, k), np.int64)
        counts, ties = np.zeros(n, np.int64), np.zeros(n, np.int64)
        _select(
            users @ items.T, users, items, _names(rows), bounds,
            exclude.offsets, exclude.indices, keys, counts, ties,
        )  # fmt: skip
        return TopK(*unpack(keys), counts, ties)

    def _search_threshold(
        self, queries: Codes, thresholds: Scores, exclude: Csr, rows: Rows | None, limit: int | None
    ) -> Hits:
        users, items = queries.decode(), self._among(rows)
        bounds = self._bounds(users)
        scores = users @ items.T
        _settle(scores, users, items, thresholds, bounds)
        return collect(scores, thresholds, exclude, rows, limit)

    def _among(self, rows: Rows | None) -> Scores:
        return self._items if rows is None else self._items[rows]

    def _score(self, queries: Codes, pairs: Csr) -> Scores:
        named, places = np.unique(pairs.indices, return_inverse=True)  # a mapped file is read there
        items, out = self.codes.take(named).decode(), np.empty(len(places), np.float32)
        _score_pairs(queries.decode(), items, pairs.offsets, places, out)
        return out

    def _bounds(self, users: Scores) -> npt.NDArray[np.float64]:
        """(n,) B: |approximate - exact| <= gamma_d sum |u_j v_j| <= gamma_d ||u|| max ||v||.

        gamma_d = d eps / (1 - d eps) holds for every order of summation (Higham 2002, 3.1); the
        two further eps are the roundings of both results to float32, the last term is for
        products that underflow.
        """
        dim, float32 = users.shape[1], np.finfo(np.float32)
        step = (dim + 2) * float(float32.eps) / 2
        norms = np.sqrt(_squares(users))
        if norms.max(initial=0.0) * self._longest > float32.max:
            raise UsageError("vectors are so long that their products overflow float32")
        bounds: npt.NDArray[np.float64] = step / (1 - step) * norms * self._longest
        bounds += dim * float(float32.tiny)
        return bounds


def _names(rows: Rows | None) -> Rows:
    """Positions of the columns of a block of scores; none: their own."""
    return np.zeros(0, np.int32) if rows is None else rows


def _squares(vectors: Scores) -> npt.NDArray[np.float64]:
    """(n,) squared lengths in float64, without a float64 copy of the vectors."""
    squares = np.zeros(len(vectors))
    np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64, out=squares)
    return squares


@kernel
def _exact(user, item):  # type: ignore[no-untyped-def]
    """The score: a product of two float32 is exact in float64, so only the order matters. Zero
    has no sign."""
    total = 0.0
    for dimension in range(len(user)):
        total += np.float64(user[dimension]) * np.float64(item[dimension])
    return np.float32(total) + np.float32(0)


@parallel_kernel
def _select(  # type: ignore[no-untyped-def]
    approximate, users, items, names, bounds, seen_offsets, seen, keys, counts, ties
):
    n, n_items = approximate.shape
    for row in numba.prange(n):
        rough = approximate[row]
        seen_row = seen[seen_offsets[row] : seen_offsets[row + 1]]
        heap = keys[row]
        count, bar = 0, np.float32(-np.inf)
        for item in range(n_items):
            name = names[item] if len(names) else item
            if (count < len(heap) or rough[item] > bar) and not contains(seen_row, name):
                # Which of two zeros comes first does not matter: only the bar is taken from these.
                count, _ = offer(heap, count, 0, key_of(rough[item], name))
                bar = score_of(heap[0])
        least = -np.inf
        if 0 < count == len(heap):
            least = np.float64(bar) - 2 * bounds[row]
        count, tied = 0, 0
        for item in range(n_items):
            name = names[item] if len(names) else item
            if np.float64(rough[item]) >= least and not contains(seen_row, name):
                score = _exact(users[row], items[item])
                count, tied = offer(heap, count, tied, key_of(score, name))
        finish(heap, count)
        counts[row], ties[row] = count, tied


@parallel_kernel
def _settle(scores, users, items, thresholds, bounds):  # type: ignore[no-untyped-def]
    """Makes every score that may reach its threshold exact; the others stay below it."""
    for row in numba.prange(len(scores)):
        bar = np.float64(thresholds[row]) - bounds[row]
        for item in range(scores.shape[1]):
            if np.float64(scores[row, item]) >= bar:
                scores[row, item] = _exact(users[row], items[item])


@parallel_kernel
def _score_pairs(users, items, offsets, indices, out):  # type: ignore[no-untyped-def]
    for row in numba.prange(len(users)):
        for entry in range(offsets[row], offsets[row + 1]):
            out[entry] = _exact(users[row], items[indices[entry]])
