"""A second stage: what codes found, ranked anew by better vectors of the same items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.progress import SILENT, Progress
from hashrec.search.index import Index, require_count
from hashrec.search.results import TopK

__all__ = ["TwoStage", "rerank"]


@dataclass(frozen=True, eq=False)
class TwoStage:
    """Two indexes of the same items, asked like one: `depth` candidates of the first, ranked anew
    by the second, which reads the vectors of these alone and may lie on disk (`load_index`)."""

    first: Index
    second: Index
    depth: int

    def __post_init__(self) -> None:
        if len(self.first.codes) != len(self.second.codes):
            raise UsageError(
                "the two stages hold different items",
                expected=f"{len(self.first.codes)} in both",
                got=str(len(self.second.codes)),
            )
        require_count(self.depth, "depth")

    def search(
        self,
        queries: tuple[Codes, Codes] | npt.ArrayLike,
        k: int,
        *,
        exclude: Any = None,
        allow: npt.ArrayLike | None = None,
        progress: Progress = SILENT,
    ) -> TopK:
        """As `Index.search`, of max(k, depth) candidates; `ties` counts none. `queries`: vectors,
        or a pair of codes, for each stage its own."""
        require_count(k, "k")
        one: Any = queries
        other: Any = queries
        if isinstance(queries, tuple) and all(isinstance(stage, Codes) for stage in queries):
            one, other = queries
        found = self.first.search(
            one, max(k, self.depth), exclude=exclude, allow=allow, progress=progress
        )
        return rerank(found, self.second, other, k)


def rerank(found: TopK, index: Index, queries: Codes | npt.ArrayLike, k: int) -> TopK:
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
