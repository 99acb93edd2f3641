"""Ragged rows: every constructor and view against dense numpy, every check by its words."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hashrec.csr import Csr

matrices = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9))


def of(dense: npt.NDArray[np.bool_]) -> Csr:
    rows, columns = np.nonzero(dense)
    return Csr.from_pairs(rows, columns, n_rows=dense.shape[0], n_columns=dense.shape[1])


def dense(rows: Csr) -> npt.NDArray[np.bool_]:
    marks = np.zeros((rows.n_rows, rows.n_columns), bool)
    for row in range(rows.n_rows):
        for column in rows.indices[rows.offsets[row] : rows.offsets[row + 1]]:
            assert not marks[row, column]
            marks[row, column] = True
    return marks


def make(offsets: list[int], indices: list[int], n_columns: int) -> Csr:
    return Csr(np.array(offsets, np.int64), np.array(indices, np.int32), n_columns)


def test_pairs_by_hand() -> None:
    rows = Csr.from_pairs([2, 0, 2, 0, 2], [1, 3, 0, 3, 4], n_rows=4, n_columns=5)
    assert rows.offsets.tolist() == [0, 1, 1, 4, 4]
    assert rows.indices.tolist() == [3, 0, 1, 4]
    assert (rows.offsets.dtype, rows.indices.dtype) == (np.int64, np.int32)
    assert (rows.n_rows, rows.n_columns) == (4, 5)
    assert rows.lengths.tolist() == [1, 0, 3, 0]
    assert rows.row_of_entry.tolist() == [0, 2, 2, 2]
    assert rows.row(2).tolist() == [0, 1, 4]
    assert rows.row(3).tolist() == []
    assert rows.column_counts().tolist() == [1, 1, 0, 1, 1]


def test_lists_by_hand() -> None:
    rows = Csr.from_lists([[4, 1, 4], [], [0]], n_columns=6)
    assert rows.offsets.tolist() == [0, 2, 2, 3]
    assert rows.indices.tolist() == [1, 4, 0]
    assert rows.n_columns == 6


@pytest.mark.parametrize(("n_rows", "n_columns"), [(0, 0), (0, 3), (3, 0), (2, 5)])
def test_empty(n_rows: int, n_columns: int) -> None:
    for rows in (
        Csr.empty(n_rows, n_columns),
        Csr.from_pairs([], [], n_rows=n_rows, n_columns=n_columns),
        Csr.from_lists([[] for _ in range(n_rows)], n_columns=n_columns),
    ):
        assert rows.offsets.tolist() == [0] * (n_rows + 1)
        assert len(rows.indices) == 0
        assert rows.transpose().offsets.tolist() == [0] * (n_columns + 1)
        assert rows.column_counts().tolist() == [0] * n_columns


@settings(max_examples=60, deadline=None)
@given(matrices)
def test_against_dense(matrix: npt.NDArray[np.bool_]) -> None:
    rows = of(matrix)
    assert np.array_equal(dense(rows), matrix)
    assert np.array_equal(dense(rows.transpose()), matrix.T)
    assert rows.lengths.tolist() == matrix.sum(axis=1).tolist()
    assert rows.column_counts().tolist() == matrix.sum(axis=0).tolist()
    assert rows.row_of_entry.tolist() == np.nonzero(matrix)[0].tolist()
    for row in range(len(matrix)):
        assert rows.row(row).tolist() == np.flatnonzero(matrix[row]).tolist()


@settings(max_examples=60, deadline=None)
@given(matrices.filter(lambda matrix: len(matrix) > 0), st.data())
def test_take_against_dense(matrix: npt.NDArray[np.bool_], data: st.DataObject) -> None:
    n = len(matrix)
    chosen = data.draw(st.lists(st.integers(-n, n - 1), max_size=12))
    taken = of(matrix).take(chosen)
    assert taken.n_columns == matrix.shape[1]
    assert np.array_equal(dense(taken), matrix[np.array(chosen, np.int64)])


def test_take_of_negative_rows_is_not_the_row_after() -> None:
    """Bug: offsets are one longer than rows, so row -2 was read from where row -1 begins."""
    rows = Csr.from_lists([[0], [1, 2], [3]], n_columns=5)
    assert rows.take([-2]).indices.tolist() == [1, 2]
    assert rows.take([-1]).indices.tolist() == [3]


def test_take_beyond_the_rows() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        Csr.empty(2, 3).take([2])


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        ([0], [5], r"columns must lie in \[0, 5\)"),
        ([0], [-1], r"columns must lie in \[0, 5\)"),
        ([3], [0], r"rows must lie in \[0, 3\)"),
        ([-1], [0], r"rows must lie in \[0, 3\)"),
    ],
)
def test_pairs_outside_the_shape_are_refused(
    rows: list[int], columns: list[int], words: str
) -> None:
    """Bug: column 5 of row 0 became column 0 of row 1, and a row too many made a longer Csr."""
    with pytest.raises(ValueError, match=words):
        Csr.from_pairs(rows, columns, n_rows=3, n_columns=5)


@pytest.mark.parametrize(
    ("offsets", "indices", "words"),
    [
        ([1, 2], [0, 1], "start with 0"),
        ([], [], "start with 0"),
        ([0, 1], [0, 1], "end with the number of indices"),
        ([0, 3], [0, 1], "end with the number of indices"),
        ([0, 2, 1, 2], [0, 1], "must not fall"),
        ([0, 1], [4], r"indices must lie in \[0, 4\)"),
        ([0, 1], [-1], r"indices must lie in \[0, 4\)"),
        ([0, 2], [2, 1], "ascend without repeats"),
        ([0, 2], [2, 2], "ascend without repeats"),
        ([0, 0, 1, 3], [3, 2, 2], "ascend without repeats"),
        ([0, 0, 2, 2], [3, 2], "ascend without repeats"),
    ],
)
def test_parts_that_do_not_fit(offsets: list[int], indices: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(offsets, indices, 4)


def test_order_is_only_asked_inside_a_row() -> None:
    rows = make([0, 0, 2, 2, 3, 5, 5], [2, 3, 0, 0, 1], 4)
    assert [rows.row(row).tolist() for row in range(6)] == [[], [2, 3], [], [0], [0, 1], []]


def test_offsets_of_two_dimensions() -> None:
    with pytest.raises(ValueError, match="one-dimensional"):
        Csr(np.zeros((1, 1), np.int64), np.zeros(0, np.int32), 1)


@pytest.mark.parametrize(("wide", "narrow"), [(np.int32, np.int32), (np.int64, np.int64)])
def test_dtypes(wide: type, narrow: type) -> None:
    with pytest.raises(TypeError, match="int64 offsets and int32 indices"):
        Csr(np.zeros(1, wide), np.zeros(0, narrow), 1)


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError, match="n_columns"):
        Csr.empty(1, 1).n_columns = 2  # type: ignore[misc]


def test_more_cells_than_int32_can_count() -> None:
    rows = Csr.from_pairs([99_999, 99_999], [99_998, 7], n_rows=100_000, n_columns=100_000)
    assert rows.row(99_999).tolist() == [7, 99_998]
    assert rows.lengths.sum() == 2
