"""What a search returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Hits", "TopK"]


@dataclass(frozen=True, eq=False)
class TopK:
    """The k best items of each query, best first; equal scores in ascending position.

    Attributes:
        positions: (n, k) int32, -1 at and after counts[q].
        scores: (n, k) float32, -inf at and after counts[q].
        counts: (n,) int64, k, or fewer where fewer items are eligible.
        ties: (n,) int64, how many more eligible items score exactly as the last one listed.
    """

    positions: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]
    ties: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)

    @classmethod
    def join(cls, parts: list[TopK], k: int) -> TopK:
        """Blocks of queries put back in a row."""
        if not parts:
            none = np.zeros(0, np.int64)
            return cls(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32), none, none)
        return cls(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.ties for part in parts]),
        )

    def take(self, rows: npt.NDArray[np.int64]) -> TopK:
        """The named rows, in the order named."""
        return TopK(self.positions[rows], self.scores[rows], self.counts[rows], self.ties[rows])

    def put(self, rows: npt.NDArray[np.int64], other: TopK) -> None:
        """Replaces the named rows, in place."""
        self.positions[rows], self.scores[rows] = other.positions, other.scores
        self.counts[rows], self.ties[rows] = other.counts, other.ties


@dataclass(frozen=True, eq=False)
class Hits:
    """Every item at or above a threshold, or the best so many of them, a ragged row a query,
    ordered like `TopK`.

    Attributes:
        offsets: (n + 1,) int64; query q owns [offsets[q], offsets[q + 1]).
        positions: int32. scores: float32.
        totals: (n,) int64, how many items reach the threshold, listed or not.
    """

    offsets: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    totals: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def join(cls, parts: list[Hits]) -> Hits:
        """Blocks of queries put back in a row."""
        lengths = [np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)]
        return cls(
            np.cumsum(np.concatenate(lengths)),
            np.concatenate([*(part.positions for part in parts), np.zeros(0, np.int32)]),
            np.concatenate([*(part.scores for part in parts), np.zeros(0, np.float32)]),
            np.concatenate([*(part.totals for part in parts), np.zeros(0, np.int64)]),
        )

    def take(self, rows: npt.NDArray[np.int64]) -> Hits:
        """The named rows, in the order named."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entry = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Hits(offsets, self.positions[entry], self.scores[entry], self.totals[rows])

    def first(self, limit: int) -> Hits:
        """At most `limit` of each row, the best."""
        lengths = np.diff(self.offsets)
        kept = np.arange(len(self.positions)) - np.repeat(self.offsets[:-1], lengths) < limit
        offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, limit))]).astype(np.int64)
        return Hits(offsets, self.positions[kept], self.scores[kept], self.totals)
