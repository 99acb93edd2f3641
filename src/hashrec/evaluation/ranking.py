"""Rankings: what a search found for each user, and what stood level with the last one listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.csr import Csr
from hashrec.search import Index, TopK

__all__ = ["Ranking", "ranking_of"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best `k` items of each user, best first.

    Attributes:
        positions: (n_users, k) int32, item positions; -1 at and after `counts[u]`.
        scores: (n_users, k) float32, never rising along a row; equal scores stand in ascending
            position order. Never NaN where a position stands; elsewhere they mean nothing.
        counts: (n_users,) int32 or int64, how many of the k are filled: fewer than k only where
            fewer unseen items exist, and 0 where none does.
        ties: (n_users,) int64, how many further eligible items, not listed, have exactly the score
            of the last one listed. 0 where the list is not full, for then nothing was left out.
        relevant_ties: (n_users,) int64, how many of those unlisted items are test items.

    Raises:
        TypeError: an array has another dtype.
        ValueError: an array has another shape, or breaks a rule above. That a row repeats no item
            is not checked here.
    """

    positions: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.integer[Any]]
    ties: npt.NDArray[np.int64]
    relevant_ties: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check_lists(self)
        _check_ties(self)

    @property
    def n_users(self) -> int:
        return int(self.positions.shape[0])

    @property
    def k(self) -> int:
        """How many places a row has, filled or not."""
        return int(self.positions.shape[1])

    @property
    def filled(self) -> npt.NDArray[np.bool_]:
        """(n_users, k) which places hold an item."""
        return np.arange(self.k) < self.counts[:, None]

    def take(self, rows: npt.ArrayLike) -> Ranking:
        """The named users, in the order named."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Ranking(
            self.positions[chosen],
            self.scores[chosen],
            self.counts[chosen],
            self.ties[chosen],
            self.relevant_ties[chosen],
        )


def ranking_of(index: Index, found: TopK, k: int, queries: Codes, seen: Csr, truth: Csr) -> Ranking:
    """What a search of `index` found, as k places a user, and how many of the items level with the
    last one are test items (`truth`)."""
    relevant = np.zeros(len(found), np.int64)
    tied = np.flatnonzero(found.ties)
    if len(tied):
        relevant[tied] = _relevant_ties(
            index, queries.take(tied), seen.take(tied), truth.take(tied), found, tied
        )
    missing = k - found.positions.shape[1]  # k beyond the number of items
    return Ranking(
        np.pad(found.positions, ((0, 0), (0, missing)), constant_values=-1),
        np.pad(found.scores, ((0, 0), (0, missing)), constant_values=-np.inf),
        found.counts,
        found.ties,
        relevant,
    )


def _relevant_ties(
    index: Index, queries: Codes, seen: Csr, truth: Csr, found: TopK, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """(n_rows,) test items that score exactly like the last one listed and are not listed."""
    scores = index.score(queries, truth)
    owner, n_items = truth.row_of_entry, truth.n_columns
    last = found.scores[rows, found.counts[rows] - 1]
    key = owner * n_items + truth.indices
    listed = found.positions[rows]
    listed_key = (np.arange(len(rows))[:, None] * n_items + listed)[listed >= 0]
    seen_key = seen.row_of_entry * n_items + seen.indices
    outside = ~np.isin(key, listed_key) & ~np.isin(key, seen_key)
    return np.bincount(owner[outside & (scores == last[owner])], minlength=len(rows))


def _check_arrays(ranking: Ranking) -> None:
    if ranking.positions.dtype != np.int32 or ranking.scores.dtype != np.float32:
        raise TypeError("Ranking wants int32 positions and float32 scores")
    if ranking.counts.dtype not in (np.int32, np.int64):
        raise TypeError("Ranking wants int32 or int64 counts")
    if ranking.ties.dtype != np.int64 or ranking.relevant_ties.dtype != np.int64:
        raise TypeError("Ranking wants int64 ties and relevant_ties")
    if ranking.positions.ndim != 2 or ranking.scores.shape != ranking.positions.shape:
        raise ValueError("positions and scores must both be (n_users, k)")
    if any(
        one.shape != (ranking.n_users,)
        for one in (ranking.counts, ranking.ties, ranking.relevant_ties)
    ):
        raise ValueError("counts, ties and relevant_ties must have one entry a user")


def _check_lists(ranking: Ranking) -> None:
    if np.any((ranking.counts < 0) | (ranking.counts > ranking.k)):
        raise ValueError(f"counts must lie in [0, {ranking.k}]")
    filled, positions, scores = ranking.filled, ranking.positions, ranking.scores
    if not np.all(np.where(filled, positions >= 0, positions == -1)):
        raise ValueError("positions must be at least 0 before counts, and -1 from there on")
    if np.any(np.isnan(scores) & filled):
        raise ValueError("scores must not be NaN")
    ahead, behind = scores[:, :-1], scores[:, 1:]
    in_order = (ahead > behind) | ((ahead == behind) & (positions[:, :-1] < positions[:, 1:]))
    if not np.all(in_order | ~filled[:, 1:]):
        raise ValueError("scores must not rise, equal scores must stand in ascending positions")


def _check_ties(ranking: Ranking) -> None:
    if np.any((ranking.relevant_ties < 0) | (ranking.relevant_ties > ranking.ties)):
        raise ValueError("relevant_ties must lie between 0 and ties")
    if np.any((ranking.ties > 0) & (ranking.counts < max(ranking.k, 1))):
        raise ValueError("a list that is not full leaves nothing out: its ties must be 0")
