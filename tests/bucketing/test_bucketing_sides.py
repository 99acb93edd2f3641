"""Sides: a log or a sparse matrix as two weighted sides, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse

from hashrec.bucketing.method import Sides
from hashrec.bucketing.sides import sides_of
from hashrec.csr import Csr
from hashrec.errors import DataError, UsageError
from hashrec.interactions import Interactions, read

# Users a, b, c have met x y, y z, x.
TABLE = {
    "user": ["a", "a", "b", "b", "c"],
    "item": ["x", "y", "y", "z", "x"],
    "timestamp": [100, 90, 80, 100, 60],
}
WEIGHTS = [1.0, 2.0, 3.0, 4.0, 5.0]


def log(**columns: Any) -> Interactions:
    found = read(pa.table({**TABLE, **columns}))
    assert isinstance(found, Interactions)
    return found


def dense(sides: Sides) -> np.ndarray[Any, Any]:
    """The matrix that the users say, after a check that the items say the same."""
    users, items = (_dense(side) for side in (sides.users, sides.items))
    assert np.array_equal(users, items.T)
    return users


def _dense(side: Any) -> np.ndarray[Any, Any]:
    out = np.zeros((side.edges.n_rows, side.edges.n_columns))
    weights = 1 if side.weights is None else side.weights
    out[side.edges.row_of_entry, side.edges.indices] = weights
    return out


class TestLog:
    def test_edges_both_ways_without_weights(self) -> None:
        sides = sides_of(log())
        assert sides.users.weights is sides.items.weights is None
        assert dense(sides).tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
        assert sides.users.ids.to_pylist() == ["a", "b", "c"]
        assert (sides.users.name, sides.items.name, sides.n, sides.tied) == (
            "user",
            "item",
            6,
            False,
        )

    def test_weights_follow_their_edges_to_the_other_side(self) -> None:
        sides = sides_of(log(), weights=WEIGHTS)
        assert sides.items.weights is not None
        assert sides.items.weights.dtype == np.float32
        assert dense(sides).tolist() == [[1, 2, 0], [0, 3, 4], [5, 0, 0]]

    @pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), 1e39, 1e-60])
    def test_weights_that_are_not_positive_numbers_are_named(self, bad: float) -> None:
        """1e39 and 1e-60 are so in float64 only; the first came with a warning of NumPy's."""
        words = "weights must be positive and finite; got .* for interaction 1 .2 such."
        with pytest.raises(DataError, match=words):
            sides_of(log(), weights=[1, bad, 1, bad, 1])

    def test_weights_of_another_length(self) -> None:
        with pytest.raises(UsageError, match="one for each of the 5 interactions; got shape .4,"):
            sides_of(log(), weights=[1, 1, 1, 1])

    def test_half_life_halves_with_age(self) -> None:
        found = dense(sides_of(log(), half_life=10))
        assert found.tolist() == [[1, 0.5, 0], [0, 0.25, 1], [0.0625, 0, 0]]

    def test_what_is_very_old_still_counts_a_little(self) -> None:
        found = dense(sides_of(log(), half_life=1e-3))
        assert found[2, 0] == np.finfo(np.float32).tiny

    @pytest.mark.parametrize("half_life", [0, -1, float("nan"), float("inf")])
    def test_a_half_life_must_be_positive(self, half_life: float) -> None:
        with pytest.raises(UsageError, match="half_life out of range; expected a positive number"):
            sides_of(log(), half_life=half_life)

    def test_a_half_life_needs_times_and_stands_alone(self) -> None:
        with pytest.raises(UsageError, match="both weights and a half-life"):
            sides_of(log(), half_life=1, weights=WEIGHTS)
        timeless = read(pa.table({"user": [1, 2], "item": [1, 2]}))
        with pytest.raises(DataError, match="a half-life needs times.*Name the time column"):
            sides_of(timeless, half_life=1)

    @pytest.mark.parametrize("more", [{}, {"half_life": 1.0}, {"weights": []}])
    def test_no_edges(self, more: dict[str, Any]) -> None:
        """With a half-life the maximum of no times was asked for first, and NumPy raised."""
        whole = log()
        assert whole.times is not None
        empty = whole.with_matrix(Csr.empty(3, 3), whole.times[:0])
        with pytest.raises(DataError, match="a graph without edges"):
            sides_of(empty, **more)

    @pytest.mark.parametrize("other", [[[1, 0]], np.eye(2), "log.csv", None])
    def test_other_things_are_no_interactions(self, other: Any) -> None:
        words = f"no interactions; expected Interactions.*sparse.*got {type(other).__name__}"
        with pytest.raises(UsageError, match=words):
            sides_of(other)


class TestSparse:
    @pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
    def test_any_format(self, kind: str) -> None:
        matrix = scipy.sparse.coo_array(np.array([[1, 2, 0], [0, 0, 3.5]])).asformat(kind)
        sides = sides_of(matrix)
        assert dense(sides).tolist() == [[1, 2, 0], [0, 0, 3.5]]
        assert sides.users.ids.equals(pa.array([0, 1]))
        assert sides.items.ids.equals(pa.array([0, 1, 2]))

    def test_the_old_matrices_too(self) -> None:
        assert dense(sides_of(scipy.sparse.csr_matrix([[0, 2], [1, 0]]))).tolist() == [
            [0, 2],
            [1, 0],
        ]

    def test_ones_are_no_weights(self) -> None:
        sides = sides_of(scipy.sparse.csr_array(np.eye(3, dtype=bool)))
        assert sides.users.weights is sides.items.weights is None

    def duplicated(self, dtype: Any = np.float64) -> Any:
        """Unsorted, and (0, 2) twice."""
        data, indices, indptr = np.array([100, 7, 100], dtype), [2, 0, 2], [0, 3, 3]
        return scipy.sparse.csr_array((data, indices, indptr), shape=(2, 3))

    @pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.float64])
    @pytest.mark.parametrize("kind", ["csr", "coo"])
    def test_repeated_entries_are_summed(self, kind: str, dtype: Any) -> None:
        """Those of a coo matrix of int8 wrapped around to -56."""
        given = self.duplicated(dtype)
        if kind == "coo":
            given = scipy.sparse.coo_array((given.data, (np.zeros(3, int), given.indices)), (2, 3))
        assert dense(sides_of(given)).tolist() == [[7, 0, 200], [0, 0, 0]]

    def test_the_matrix_is_not_changed(self) -> None:
        given = self.duplicated()
        sides_of(given)
        assert given.data.tolist() == [100, 7, 100]
        assert given.indices.tolist() == [2, 0, 2]

    @pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
    def test_stored_values_must_be_positive(self, bad: float) -> None:
        given = scipy.sparse.csr_array(([1, bad], [0, 1], [0, 2]), shape=(1, 2))
        with pytest.raises(DataError, match="weights must be positive and finite.*interaction 1 "):
            sides_of(given)

    def test_what_it_cannot_be(self) -> None:
        given = scipy.sparse.csr_array(np.eye(2))
        with pytest.raises(UsageError, match="weights beside a sparse matrix"):
            sides_of(given, weights=[1, 1])
        with pytest.raises(UsageError, match="weights beside a sparse matrix"):
            sides_of(given, half_life=1)
        with pytest.raises(DataError, match="a graph without edges"):
            sides_of(scipy.sparse.csr_array((3, 4)))
        with pytest.raises(UsageError, match="two dimensions is wanted; got 1"):
            sides_of(scipy.sparse.coo_array(np.ones(3)))

    def test_tied(self) -> None:
        given = scipy.sparse.csr_array(np.eye(2))
        assert sides_of(given, tied=True).tied
        with pytest.raises(UsageError, match="tied sides must have the same ids"):
            sides_of(scipy.sparse.csr_array(np.ones((2, 3))), tied=True)
        with pytest.raises(UsageError, match="tied sides must have the same ids"):
            sides_of(log(), tied=True)


class TestFeatures:
    def test_they_stand_by_position(self) -> None:
        users, items = [[1, 2], [3, 4], [5, 6]], np.ones((3, 1))
        sides = sides_of(log(), features=(users, items))
        for side, given in ((sides.users, users), (sides.items, items)):
            assert side.features is not None
            assert side.features.dtype == np.float32
            assert np.array_equal(side.features, given)
        assert sides_of(log(), features=(users, None)).items.features is None

    @pytest.mark.parametrize(
        ("which", "given"),
        [
            ("user", np.ones(3)),
            ("user", np.ones((2, 4))),
            ("item", np.ones((3, 4, 1))),
            ("item", [[1.0], [float("nan")], [0.0]]),
            ("item", [[1.0], [1e39], [0.0]]),
        ],
    )
    def test_those_that_do_not_fit(self, which: str, given: Any) -> None:
        features = (given, None) if which == "user" else (None, given)
        words = rf"{which} features that do not fit; expected \(3, f\) finite numbers"
        with pytest.raises(DataError, match=words):
            sides_of(log(), features=features)
