"""The one interface of search, with its checks; engines do the work behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.progress import SILENT, Progress
from hashrec.search.results import Hits, TopK

__all__ = ["Index"]

Scores = npt.NDArray[np.float32]

# Working memory of one block of queries. Large enough that blocks cost nothing, small enough to
# go unnoticed beside the index.
_BLOCK_BYTES = 64 << 20


class Index(ABC):
    """Codes of items, ready to be searched.

    All engines return exactly the same: the order is by score, then by position; an excluded
    item is never eligible; scores are float32 and never NaN. Against packed codes scores are
    those of `FixedQueries`; against float codes they are sums of float64 products in the order
    of the dimensions, rounded to float32.
    """

    name: ClassVar[str]

    def __init__(self, codes: Codes) -> None:
        self.codes = codes
        self.scales: npt.NDArray[np.float32] = (
            np.ones(len(codes), np.float32) if codes.scales is None else codes.scales
        )

    def search(
        self, queries: Codes, k: int, *, exclude: Csr | None = None, progress: Progress = SILENT
    ) -> TopK:
        """The `k` best items of each query that are not in its row of `exclude`.

        Args:
            queries: codes (any bits) in the items' rotated space.
            k: how many, at least 1; beyond the number of items the rows are cut to that number.
            exclude: (n_queries, n_items); seen items, left out before selection.

        Raises UsageError for k < 1 or shapes that do not meet.
        """
        if k < 1:
            raise UsageError("k is too small", expected="at least 1", got=str(k))
        seen = self._checked(queries, exclude)
        width = min(k, len(self.codes))
        progress.start("search", len(queries))
        parts = []
        for rows in self._blocks(len(queries)):
            block = np.arange(rows.start, rows.stop)
            parts.append(self._search(queries.take(block), width, seen.take(block)))
            progress.advance(len(block))
        return TopK.join(parts, width)

    def search_threshold(
        self,
        queries: Codes,
        threshold: float | npt.ArrayLike,
        *,
        exclude: Csr | None = None,
        progress: Progress = SILENT,
    ) -> Hits:
        """Every item that is not excluded and scores at least `threshold` (one, or one a query).

        The threshold is compared as float32, the precision of scores, and is inclusive: a score
        that a search returned, given back as threshold, finds that item again.
        """
        seen = self._checked(queries, exclude)
        with np.errstate(over="ignore"):  # beyond float32 it is infinite, as scores are
            given = np.asarray(threshold).astype(np.float32)
        if given.shape not in ((), (1,), (len(queries),)):
            raise UsageError(
                "thresholds do not match queries",
                expected=f"one number, or {len(queries)}",
                got=f"an array of {given.shape}",
            )
        wanted = np.broadcast_to(given, (len(queries),))
        if np.isnan(wanted).any():
            raise UsageError("threshold is not a number", expected="a number", got="NaN")
        progress.start("search", len(queries))
        parts = []
        for rows in self._blocks(len(queries)):
            block = np.arange(rows.start, rows.stop)
            parts.append(
                self._search_threshold(queries.take(block), wanted[rows].copy(), seen.take(block))
            )
            progress.advance(len(block))
        return Hits.join(parts)

    def score(self, queries: Codes, pairs: Csr) -> Scores:
        """The scores of named items: row q of `pairs` lists items for query q.

        Returns float32 aligned with `pairs.indices`, equal in every bit to what searches return.
        """
        return self._score(queries, self._checked(queries, pairs))

    def _checked(self, queries: Codes, rows: Csr | None) -> Csr:
        if queries.dim != self.codes.dim:
            raise UsageError(
                "queries and items differ in dimension",
                expected=str(self.codes.dim),
                got=str(queries.dim),
            )
        if rows is None:
            return Csr.empty(len(queries), len(self.codes))
        if (rows.n_rows, rows.n_columns) != (len(queries), len(self.codes)):
            raise UsageError(
                "rows of items do not match queries and items",
                expected=f"{len(queries)} x {len(self.codes)}",
                got=f"{rows.n_rows} x {rows.n_columns}",
            )
        return rows

    def _blocks(self, n_queries: int) -> list[slice]:
        """Stretches of queries whose score rows fit the working memory."""
        row_bytes = 4 * max(len(self.codes), self.codes.dim, 1)
        size = max(1, min(8192, _BLOCK_BYTES // row_bytes))
        return [slice(a, min(a + size, n_queries)) for a in range(0, n_queries, size)]

    @abstractmethod
    def _search(self, queries: Codes, k: int, exclude: Csr) -> TopK: ...

    @abstractmethod
    def _search_threshold(self, queries: Codes, thresholds: Scores, exclude: Csr) -> Hits: ...

    @abstractmethod
    def _score(self, queries: Codes, pairs: Csr) -> Scores: ...
