"""The one interface of search, with its checks; engines do the work behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes, FloatCodes, Rotation, bring
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.progress import SILENT, Progress
from hashrec.search.results import Hits, TopK

__all__ = ["Index", "Rows", "Scores", "require_count"]

Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]

# Working memory of one block of queries. Large enough that blocks cost nothing, small enough to
# go unnoticed beside the index.
_BLOCK_BYTES = 64 << 20
# Positions are int32.
_MOST_ITEMS = 2**31 - 1


class Index(ABC):
    """Codes of items, ready to be searched.

    All engines whose type says `exact` return the same: the order is by score, then by position; an
    excluded item is never eligible; scores are float32 and never NaN. Against packed codes scores
    are those of `FixedQueries`; against float codes they are sums of float64 products in the order
    of the dimensions, rounded to float32.
    """

    name: ClassVar[str]
    exact: ClassVar[bool] = True

    _block_bytes: ClassVar[int] = _BLOCK_BYTES

    def __init__(self, codes: Codes) -> None:
        if len(codes) > _MOST_ITEMS or codes.dim < 1:
            raise UsageError(
                "these codes cannot be searched",
                expected=f"at most {_MOST_ITEMS} items of at least 1 dimension",
                got=f"{len(codes)} of {codes.dim}",
            )
        self.codes = codes

    def search(
        self,
        queries: Codes | npt.ArrayLike,
        k: int,
        *,
        exclude: Any = None,
        allow: npt.ArrayLike | None = None,
        progress: Progress = SILENT,
    ) -> TopK:
        """The `k` best items of each query that are allowed and not in its row of `exclude`.

        Args:
            queries: codes (any bits) in the items' rotated space; or (n, d) vectors in the space
                that the items were coded from.
            k: how many, at least 1; beyond the number of items the rows are cut to that number.
            exclude: (n_queries, n_items); seen items, left out before selection. A `Csr`, or a
                sparse matrix of scipy in which they are not zero.
            allow: (n_items,) bool, what may be found by anybody; all without it.

        Raises UsageError for k < 1, vectors that hold NaN or infinity, or shapes that do not meet.
        """
        require_count(k, "k")
        asked = self._queries(queries)
        seen, rows = self._checked(asked, exclude), self._allowed(allow)
        width = min(k, len(self.codes))
        progress.start("search", len(asked))
        parts = []
        for part in self._blocks(len(asked), width):
            block = np.arange(part.start, part.stop)
            parts.append(self._search(asked.take(block), width, seen.take(block), rows))
            progress.advance(len(block))
        return TopK.join(parts, width)

    def search_threshold(
        self,
        queries: Codes | npt.ArrayLike,
        threshold: float | npt.ArrayLike,
        *,
        exclude: Any = None,
        allow: npt.ArrayLike | None = None,
        limit: int | None = None,
        progress: Progress = SILENT,
    ) -> Hits:
        """Every allowed item that is not excluded and scores at least `threshold` (one, or one a
        query).

        The threshold is compared as float32, the precision of scores, and is inclusive: a score
        that a search returned, given back as threshold, finds that item again. With `limit` only
        the best so many are listed, in so much memory; `totals` counts all.
        """
        if limit is not None:
            require_count(limit, "limit")
        asked = self._queries(queries)
        seen, rows = self._checked(asked, exclude), self._allowed(allow)
        wanted = self._thresholds(threshold, len(asked))
        most = None if limit is None else min(limit, max(len(self.codes), 1))
        progress.start("search", len(asked))
        parts = []
        for part in self._blocks(len(asked), most):
            block = np.arange(part.start, part.stop)
            parts.append(
                self._search_threshold(
                    asked.take(block), wanted[part].copy(), seen.take(block), rows, most
                )
            )
            progress.advance(len(block))
        return Hits.join(parts)

    def score(self, queries: Codes | npt.ArrayLike, pairs: Csr) -> Scores:
        """The scores of named items: row q of `pairs` lists items for query q.

        Returns float32 aligned with `pairs.indices`, equal in every bit to what searches return.
        """
        asked = self._queries(queries)
        return self._score(asked, self._checked(asked, pairs))

    def _queries(self, queries: Codes | npt.ArrayLike) -> Codes:
        """Codes as they are; vectors brought to where the items are."""
        if not isinstance(queries, Codes):
            vectors = np.asarray(queries, np.float32)
            dim = self.codes.rotation.source_dim
            if vectors.ndim != 2 or vectors.shape[1] != dim:
                raise UsageError(
                    "these are no vectors of the items' space",
                    expected=f"an array of (n, {dim})",
                    got=f"an array of {vectors.shape}",
                )
            _require_finite(vectors)
            own = Rotation("none", dim, 0)
            return bring(FloatCodes().quantise(vectors, own), self.codes.rotation)
        _require_finite(queries.scales if queries.packed else queries.data)
        _require_scales(queries, "queries")
        return queries

    def _allowed(self, allow: npt.ArrayLike | None) -> Rows | None:
        """(m,) int32 positions that may be found, or None for all."""
        if allow is None:
            return None
        mask = np.asarray(allow)
        if mask.dtype != np.bool_ or mask.shape != (len(self.codes),):
            raise UsageError(
                "this is no mask of the items",
                expected=f"({len(self.codes)},) bool",
                got=f"{mask.shape} {mask.dtype}",
            )
        return np.flatnonzero(mask).astype(np.int32)

    @staticmethod
    def _thresholds(threshold: float | npt.ArrayLike, n: int) -> Scores:
        with np.errstate(over="ignore"):  # beyond float32 it is infinite, as scores are
            given = np.asarray(threshold).astype(np.float32)
        if given.shape not in ((), (1,), (n,)):
            raise UsageError(
                "thresholds do not match queries",
                expected=f"one number, or {n}",
                got=f"an array of {given.shape}",
            )
        if np.isnan(given).any():
            raise UsageError("threshold is not a number", expected="a number", got="NaN")
        return np.broadcast_to(given, (n,))

    @cached_property
    def _sound(self) -> bool:
        """Looked at when first searched: opening a mapped file reads nothing."""
        _require_scales(self.codes, "items")
        return True

    def _checked(self, queries: Codes, rows: Any) -> Csr:
        assert self._sound
        if queries.dim != self.codes.dim:
            raise UsageError(
                "queries and items differ in dimension",
                expected=str(self.codes.dim),
                got=str(queries.dim),
            )
        if rows is None:
            return Csr.empty(len(queries), len(self.codes))
        try:
            lists = rows if isinstance(rows, Csr) else Csr.of(rows)
        except TypeError as fault:
            raise UsageError("these are no rows of items", got=str(fault)) from fault
        if (lists.n_rows, lists.n_columns) != (len(queries), len(self.codes)):
            raise UsageError(
                "exclude, or pairs, do not match queries and items",
                expected=f"{len(queries)} x {len(self.codes)}",
                got=f"{lists.n_rows} x {lists.n_columns}",
            )
        return lists

    def _blocks(self, n_queries: int, places: int | None) -> list[slice]:
        """Stretches of queries that fit the working memory, with so many places for results each.

        Here: such that rows of scores of all items do.
        """
        row_bytes = 4 * max(len(self.codes), self.codes.dim, 1)
        size = max(1, min(8192, self._block_bytes // row_bytes))
        return [slice(a, min(a + size, n_queries)) for a in range(0, n_queries, size)]

    @abstractmethod
    def _search(self, queries: Codes, k: int, exclude: Csr, rows: Rows | None) -> TopK: ...

    @abstractmethod
    def _search_threshold(
        self, queries: Codes, thresholds: Scores, exclude: Csr, rows: Rows | None, limit: int | None
    ) -> Hits: ...

    @abstractmethod
    def _score(self, queries: Codes, pairs: Csr) -> Scores: ...


def require_count(number: object, name: str) -> None:
    """Raises UsageError for what is no whole number from 1 on."""
    whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
    if not whole or number < 1:  # type: ignore[operator]
        problem = f"{name} is too small" if whole else f"{name} is no number of items"
        raise UsageError(problem, expected="at least 1", got=repr(number))


def _require_finite(numbers: npt.NDArray[Any] | None) -> None:
    if numbers is not None and not np.isfinite(numbers).all():
        raise UsageError("queries hold NaN or infinity", expected="finite numbers")


def _require_scales(codes: Codes, whose: str) -> None:
    """Bounds stand on scales that are no less than zero."""
    if codes.scales is None or not len(codes.scales):
        return
    if not (codes.scales.min() >= 0 and codes.scales.max() < np.inf):
        raise UsageError(
            f"scales of {whose} are no lengths", expected="finite numbers, none negative"
        )
