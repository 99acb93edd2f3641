"""`Ranking` refuses what no search may return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashrec.evaluation import Ranking


def ranking(**changes: Any) -> Ranking:
    """Two users, k = 3: a full list with a tie inside and two items left out, and a short list."""
    parts: dict[str, Any] = {
        "positions": np.array([[4, 1, 2], [7, -1, -1]], np.int32),
        "scores": np.array([[2.0, 1.0, 1.0], [5.0, 9.0, np.nan]], np.float32),
        "counts": np.array([3, 1], np.int32),
        "ties": np.array([2, 0], np.int64),
        "relevant_ties": np.array([1, 0], np.int64),
    }
    return Ranking(**{**parts, **changes})


def test_a_good_ranking_passes_and_scores_behind_the_end_mean_nothing() -> None:
    good = ranking()
    assert (good.n_users, good.k) == (2, 3)
    assert good.filled.tolist() == [[True, True, True], [True, False, False]]


def test_take_names_users_in_any_order() -> None:
    taken = ranking().take([1, 0, 1])
    assert taken.positions.tolist() == [[7, -1, -1], [4, 1, 2], [7, -1, -1]]
    assert taken.counts.tolist() == [1, 3, 1]
    assert taken.ties.tolist() == [0, 2, 0]
    assert taken.relevant_ties.tolist() == [0, 1, 0]


@pytest.mark.parametrize("k", [0, 3])
def test_no_users(k: int) -> None:
    none = np.zeros(0, np.int64)
    empty = Ranking(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32), none, none, none)
    assert (empty.n_users, empty.k) == (0, k)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"positions": np.zeros((2, 3), np.int64)}, "int32 positions"),
        ({"scores": np.zeros((2, 3))}, "float32 scores"),
        ({"counts": np.zeros(2)}, "int32 or int64 counts"),
        ({"ties": np.zeros(2, np.int32)}, "int64 ties"),
        ({"relevant_ties": np.zeros(2, np.int32)}, "int64 ties"),
    ],
)
def test_dtypes(change: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        ranking(**change)


def scores(*row: float) -> dict[str, Any]:
    return {"scores": np.array([row, [5, 0, 0]], np.float32)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": np.zeros((2, 4), np.float32)}, r"both be \(n_users, k\)"),
        ({"ties": np.zeros(3, np.int64)}, "one entry a user"),
        ({"counts": np.array([4, 1])}, r"counts must lie in \[0, 3\]"),
        ({"counts": np.array([3, -1])}, r"counts must lie in \[0, 3\]"),
        ({"counts": np.array([2, 1])}, "-1 from there on"),
        ({"counts": np.array([3, 2])}, "at least 0 before counts"),
        (scores(1, 2, 0), "must not rise"),
        (scores(2, 1, np.nan), "must not be NaN"),
        ({"positions": np.array([[4, 2, 1], [7, -1, -1]], np.int32)}, "ascending positions"),
        ({"positions": np.array([[4, 1, 1], [7, -1, -1]], np.int32)}, "ascending positions"),
        ({"relevant_ties": np.array([3, 0])}, "between 0 and ties"),
        ({"relevant_ties": np.array([-1, 0])}, "between 0 and ties"),
        ({"ties": np.array([2, 1])}, "not full leaves nothing out"),
    ],
)
def test_rules(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ranking(**change)


def test_nan_is_refused_where_there_is_no_neighbour_to_compare_with() -> None:
    one = np.ones(1, np.int64)
    with pytest.raises(ValueError, match="must not be NaN"):
        Ranking(
            np.zeros((1, 1), np.int32), np.full((1, 1), np.nan, np.float32), one, 0 * one, 0 * one
        )
