"""The matrix of a log: against a dictionary, which is the slow and obvious way."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hashrec.csr import Csr
from hashrec.interactions.entries import assemble, kept, shrunk

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(-9, 9)), max_size=60)


@given(ROWS, st.booleans())
def test_a_log_becomes_its_distinct_pairs_at_their_latest(
    rows: list[tuple[int, int, int]], real: bool
) -> None:
    latest: dict[tuple[int, int], int] = {}
    for user, item, time in rows:
        latest[user, item] = max(time, latest.get((user, item), time))
    users, items, times = np.array(rows, dtype=np.int32).reshape(-1, 3).T.copy()
    moments = times.astype(np.float64 if real else np.int64)
    matrix, result = assemble(users, items, moments, shape=(6, 8))
    assert result is not None
    assert result.dtype == moments.dtype
    pairs = list(zip(matrix.row_of_entry.tolist(), matrix.indices.tolist(), strict=True))
    assert list(zip(pairs, result, strict=True)) == sorted(latest.items())
    bare, nothing = assemble(users, items, None, shape=(6, 8))
    assert nothing is None
    assert bare.indices.tolist() == matrix.indices.tolist()
    assert bare.offsets.tolist() == matrix.offsets.tolist()


@given(ROWS, st.randoms(use_true_random=False))
def test_kept_entries_keep_their_place_and_time(rows, random) -> None:
    users, items, times = np.array(rows, dtype=np.int32).reshape(-1, 3).T.copy()
    matrix, moments = assemble(users, items, times.astype(np.int64), shape=(6, 8))
    mask = np.array([random.random() < 0.5 for _ in matrix.indices], dtype=bool)
    less, left = kept(matrix, moments, mask)
    assert less.row_of_entry.tolist() == matrix.row_of_entry[mask].tolist()
    assert less.indices.tolist() == matrix.indices[mask].tolist()
    assert left.tolist() == moments[mask].tolist()
    assert (less.n_rows, less.n_columns) == (6, 8)


def test_empty_rows_and_columns_can_be_taken_out() -> None:
    matrix = Csr.from_lists([[1, 3], [], [3]], n_columns=5)
    small = shrunk(matrix, matrix.lengths > 0, matrix.column_counts() > 0)
    assert [small.row(row).tolist() for row in range(small.n_rows)] == [[0, 1], [1]]
    assert small.n_columns == 2
