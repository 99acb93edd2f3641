"""Ragged rows of positions: who has seen what, who must be shown what, who is next to whom.

The one sparse structure that both wings of the house share. It knows nothing of users, graphs or
bits; it is offsets and indices, checked once and then frozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Csr"]


@dataclass(frozen=True, eq=False)
class Csr:
    """Rows of sorted, distinct positions.

    Attributes:
        offsets: (n_rows + 1,) int64; row r is `indices[offsets[r]:offsets[r + 1]]`.
        indices: (n_entries,) int32, ascending and without repeats inside each row.
        n_columns: every index is in [0, n_columns).
    """

    offsets: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    n_columns: int

    def __post_init__(self) -> None:
        if self.offsets.dtype != np.int64 or self.indices.dtype != np.int32:
            raise TypeError("Csr wants int64 offsets and int32 indices")
        if self.offsets.ndim != 1 or len(self.offsets) == 0 or self.offsets[0] != 0:
            raise ValueError("offsets must be one-dimensional and start with 0")
        if self.offsets[-1] != len(self.indices) or np.any(np.diff(self.offsets) < 0):
            raise ValueError("offsets must not fall, and must end with the number of indices")
        if len(self.indices) and not 0 <= self.indices.min() <= self.indices.max() < self.n_columns:
            raise ValueError(f"indices must lie in [0, {self.n_columns})")
        steps = np.diff(self.indices)
        inner = np.ones(len(steps), dtype=bool)
        starts = self.offsets[1:-1]
        inner[starts[(starts > 0) & (starts < len(self.indices))] - 1] = False
        if np.any(steps[inner] <= 0):
            raise ValueError("indices must ascend without repeats inside each row")

    @classmethod
    def from_pairs(
        cls, rows: npt.ArrayLike, columns: npt.ArrayLike, *, n_rows: int, n_columns: int
    ) -> Csr:
        """From (row, column) pairs in any order; repeated pairs become one."""
        row, column = np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)
        for what, values, limit in (("rows", row, n_rows), ("columns", column, n_columns)):
            if len(values) and not 0 <= values.min() <= values.max() < limit:
                found = f"got {values.min()} to {values.max()}"
                raise ValueError(f"{what} must lie in [0, {limit}), {found}")
        key = np.unique(row * n_columns + column)
        row, column = np.divmod(key, max(n_columns, 1))
        return cls(_offsets(row, n_rows), column.astype(np.int32), n_columns)

    @classmethod
    def of(cls, matrix: Any) -> Csr:
        """Where a scipy sparse matrix is not zero. Raises TypeError for anything else."""
        if not hasattr(matrix, "tocoo"):
            raise TypeError(f"expected a Csr or a sparse matrix, got {type(matrix).__name__}")
        entries = matrix.tocoo()
        kept = entries.data != 0
        n_rows, n_columns = entries.shape
        return cls.from_pairs(
            entries.row[kept], entries.col[kept], n_rows=n_rows, n_columns=n_columns
        )

    @classmethod
    def from_lists(cls, rows: list[list[int]], *, n_columns: int) -> Csr:
        """From one list of positions a row."""
        lengths = [len(row) for row in rows]
        flat = [column for row in rows for column in row]
        return cls.from_pairs(
            np.repeat(np.arange(len(rows)), lengths), flat, n_rows=len(rows), n_columns=n_columns
        )

    @classmethod
    def empty(cls, n_rows: int, n_columns: int) -> Csr:
        """`n_rows` rows with nothing in them."""
        return cls(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32), n_columns)

    @property
    def n_rows(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n_rows,) how many entries each row has."""
        return np.diff(self.offsets)

    @property
    def row_of_entry(self) -> npt.NDArray[np.int64]:
        """(n_entries,) the row each entry stands in."""
        return np.repeat(np.arange(self.n_rows), self.lengths)

    def row(self, row: int) -> npt.NDArray[np.int32]:
        """The positions in one row: a view."""
        return self.indices[self.offsets[row] : self.offsets[row + 1]]

    def take(self, rows: npt.ArrayLike) -> Csr:
        """The named rows, in the order named, repeats allowed."""
        chosen = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        shift = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], lengths)
        return Csr(offsets, self.indices[shift + np.arange(offsets[-1])], self.n_columns)

    def transpose(self) -> Csr:
        """Columns as rows: a stable counting sort, so rows stay ascending inside each column."""
        order = np.argsort(self.indices, kind="stable")
        offsets = _offsets(self.indices, self.n_columns)
        return Csr(offsets, self.row_of_entry[order].astype(np.int32), self.n_rows)

    def column_counts(self) -> npt.NDArray[np.int64]:
        """(n_columns,) in how many rows each column stands."""
        return np.bincount(self.indices, minlength=self.n_columns).astype(np.int64)


def _offsets(sorted_or_not: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.int64]:
    """(n + 1,) running counts of the values 0..n-1."""
    counts = np.bincount(sorted_or_not, minlength=n)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
