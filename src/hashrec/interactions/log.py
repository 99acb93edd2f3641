"""Interactions: who has met what, as a matrix between two lists of ids. Everything begins here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse

from hashrec.csr import Csr
from hashrec.interactions.entries import Times, kept
from hashrec.interactions.heldout import Heldout, held_out
from hashrec.interactions.ids import Ids
from hashrec.interactions.report import Report
from hashrec.interactions.splits import SPLITS, Split

__all__ = ["Interactions"]


@dataclass(frozen=True, eq=False)
class Interactions:
    """A log: distinct (user, item) pairs, and when.

    Attributes:
        users: raw ids of the rows.
        items: raw ids of the columns.
        matrix: users x items.
        times: (n_interactions,) int64 or float64 beside `matrix.indices`, or None. Numbers as
            they came; dates as microseconds since 1970.
        report: how it was read. A part made by `split` keeps the report of the whole.
    """

    users: Ids
    items: Ids
    matrix: Csr
    times: Times | None
    report: Report

    def __post_init__(self) -> None:
        if (self.matrix.n_rows, self.matrix.n_columns) != (len(self.users), len(self.items)):
            raise ValueError("the matrix must have a row for each user and a column for each item")
        if self.times is not None and len(self.times) != len(self.matrix.indices):
            raise ValueError("there must be one time for each interaction")

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def n_interactions(self) -> int:
        return len(self.matrix.indices)

    def split(self, spec: Split | Mapping[str, Any] | str) -> tuple[Interactions, Interactions]:
        """Train and test: disjoint, together all, both with the very ids of this log.

        `spec` is a split, its options as a mapping, or its name. Raises DataError where it needs
        times and there are none.
        """
        test = SPLITS.parse(spec).test_entries(self.matrix, self.times)
        train_part, test_part = (kept(self.matrix, self.times, mask) for mask in (~test, test))
        return self.with_matrix(*train_part), self.with_matrix(*test_part)

    def with_matrix(self, matrix: Csr, times: Times | None = None) -> Interactions:
        """The same ids around another matrix of the same shape (and its times)."""
        return replace(self, matrix=matrix, times=times)

    def heldout(self, users: Ids, items: Ids) -> Heldout:
        """This log as the test part of a model whose ids are `users` and `items`."""
        return held_out(self.users, self.items, self.matrix, users, items)

    def fingerprint(self) -> str:
        """sha256 (hex) of ids and pairs: the same from any file format, rows in any order."""
        digest = hashlib.sha256(b"hashrec interactions 1\n")
        for ids in (self.users, self.items):
            for part in _canonical(ids.array):
                digest.update(part)
        digest.update(self.matrix.offsets.astype("<i8", copy=False).data)
        digest.update(self.matrix.indices.astype("<i4", copy=False).data)
        return digest.hexdigest()

    def to_scipy(self) -> Any:
        """scipy.sparse.csr_array (n_users, n_items) of float32 ones; shares no memory with this."""
        return scipy.sparse.csr_array(
            (
                np.ones(self.n_interactions, dtype=np.float32),
                self.matrix.indices,
                self.matrix.offsets,
            ),
            shape=(self.n_users, self.n_items),
            copy=True,
        )


def _canonical(array: Any) -> list[bytes]:
    """The type, the length and the content of ids, free of how Arrow happens to slice them."""
    head = f"{array.type} {len(array)}\n".encode()
    if array.type != pa.string():
        return [head, array.to_numpy().tobytes()]
    _, ends, text = array.buffers()
    offsets = np.frombuffer(ends, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    content = b"" if text is None else text[int(offsets[0]) : int(offsets[-1])].to_pybytes()
    return [head, np.diff(offsets).tobytes(), content]
