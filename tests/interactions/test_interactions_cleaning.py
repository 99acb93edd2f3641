"""Cleaning: the core against one that drops users and items one at a time."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interactions_writing import pairs_of

from hashrec.component import validate
from hashrec.csr import Csr
from hashrec.errors import DataError, RecipeError
from hashrec.interactions import Cleaning, read
from hashrec.interactions.cleaning import core_entries


def naive_core(pairs: set[tuple[int, int]], user_core: int, item_core: int) -> set[tuple[int, int]]:
    for side, core in ((0, user_core), (1, item_core)):
        for who in {pair[side] for pair in pairs}:
            mine = {pair for pair in pairs if pair[side] == who}
            if len(mine) < core:
                return naive_core(pairs - mine, user_core, item_core)
    return pairs


@given(
    st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_the_core_is_what_dropping_one_by_one_leaves(pairs, user_core, item_core) -> None:
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    matrix = Csr.from_pairs(rows, columns, n_rows=7, n_columns=7)
    mask = core_entries(matrix, user_core, item_core)
    left = set(zip(matrix.row_of_entry[mask].tolist(), matrix.indices[mask].tolist(), strict=True))
    assert left == naive_core(pairs, user_core, item_core)


LOG = pd.DataFrame(
    {
        "user": ["a", "a", "a", "b", "b", "c", "c"],
        "item": ["x", "y", "x", "x", "y", "y", "z"],
        "rating": [5, 4, 3, 4.0, 5, 1, 5],
    }
)


def test_every_dropped_row_is_counted_under_its_cause() -> None:
    log = read(LOG, cleaning=Cleaning(min_rating=3, user_core=2, item_core=2))
    # c keeps only z above the least rating, and z has only c: one falls to the core.
    assert pairs_of(log) == {("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")}
    report = log.report
    assert (report.rows, report.below_rating, report.duplicates) == (7, 1, 1)
    assert (report.core_dropped, report.interactions) == (1, 4)
    assert (report.users, report.items) == (log.n_users, log.n_items) == (2, 2)


def test_the_least_rating_itself_stays() -> None:
    assert ("a", "x") in pairs_of(read(LOG, cleaning=Cleaning(min_rating=5)))
    assert ("a", "y") not in pairs_of(read(LOG, cleaning=Cleaning(min_rating=5)))


def test_cleaning_that_leaves_nothing_says_what_dropped_what() -> None:
    words = (
        "cleaning leaves nothing; expected .*min_rating=4.0, user_core=3, item_core=1; "
        "got 7 rows, of which 2 were below the least rating, 0 were duplicates and "
        "5 were dropped by the core. Lower"
    )
    with pytest.raises(DataError, match=words):
        read(LOG, cleaning=Cleaning(min_rating=4, user_core=3))
    with pytest.raises(DataError, match="7 were below the least rating"):
        read(LOG, cleaning=Cleaning(min_rating=6))


def test_a_least_rating_needs_ratings() -> None:
    with pytest.raises(DataError, match="no rating column.*got the columns 'user', 'item'.*--rat"):
        read(LOG[["user", "item"]], cleaning=Cleaning(min_rating=4))


@pytest.mark.parametrize("bad", [{"user_core": 0}, {"item_core": 0}, {"min_rating": float("nan")}])
def test_options_out_of_range_are_refused(bad) -> None:
    with pytest.raises(RecipeError, match=next(iter(bad))):
        validate(Cleaning, bad, where="cleaning")


def test_options_round_trip() -> None:
    cleaning = Cleaning(min_rating=4, user_core=5)
    options = cleaning.to_dict()
    assert options.pop("name") == "cleaning"
    assert validate(Cleaning, options, where="cleaning") == cleaning
