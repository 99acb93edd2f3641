"""A log of impressions: cut, split, seen as interactions, and told from others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from impressions_cases import as_rows, log_of, plain

from hashrec.errors import DataError, RecipeError
from hashrec.impressions import Impressions, Kinds, read_impressions
from hashrec.interactions import LastOut, RandomSplit, TimeSplit, UserSplit

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 1), st.integers(0, 5),
        st.sampled_from(["x", "y", None]), st.sampled_from([0.5, 2.0, None]),
        st.lists(st.sampled_from("pq"), max_size=2),
    ),
    min_size=1, max_size=25,
)  # fmt: skip
NAMES = ("user", "item", "label", "time", "word", "number", "bag")
TYPES = (pa.string(), pa.int64(), pa.int8(), pa.int64(), pa.string(), pa.float64(),
         pa.list_(pa.string()))  # fmt: skip


def read(rows: list[tuple[Any, ...]], **options: Any) -> Impressions:
    """A log of those columns, and `at`, the number of each row."""
    columns = zip(NAMES, zip(*rows, strict=True), TYPES, strict=True)
    table = {name: pa.array(list(values), kind) for name, values, kind in columns}
    return read_impressions(pa.table({**table, "at": list(range(len(rows)))}), **options)


def numbers(log: Impressions) -> list[int]:
    """The number each row had in the whole."""
    return [int(number) for number in plain(log.rows["at"])]


SPECS = [
    RandomSplit(test=0.3, seed=1), UserSplit(test=0.4, seed=2), LastOut(n=2), TimeSplit(test=0.25),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@given(ROWS)
@settings(max_examples=25, deadline=None)
def test_parts_are_disjoint_and_together_all_in_their_order(
    spec: Any, rows: list[tuple[Any, ...]]
) -> None:
    whole = read(rows)
    train, test = whole.split(spec)
    assert sorted(numbers(train) + numbers(test)) == list(range(len(rows)))
    for part in (train, test):
        assert numbers(part) == sorted(numbers(part))
        every = as_rows(whole)
        assert as_rows(part) == [every[at] for at in numbers(part)]
        assert (part.users, part.items, part.sides) == (whole.users, whole.items, whole.sides)
        assert len(part) == len(numbers(part))
    again = whole.split(spec.to_dict())
    assert [part.fingerprint() for part in again] == [train.fingerprint(), test.fingerprint()]


@given(ROWS, st.data())
@settings(max_examples=30, deadline=None)
def test_rows_are_taken_in_the_order_named(rows: list[tuple[Any, ...]], data: Any) -> None:
    whole = read(rows)
    named = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=30))
    before = whole.fingerprint()
    part = whole.take(named)
    every = as_rows(whole)
    assert as_rows(part) == [every[at] for at in named]
    assert len(part) == len(named)
    assert part.positives == sum(rows[at][2] for at in named)
    assert whole.fingerprint() == before


def test_shares_are_those_promised() -> None:
    """floor(n * test + 1/2), and of each user at most n - 1."""
    rows = [("a", at, at % 2, at, "x", 1.0, []) for at in range(10)] + [("b", 0, 1, 3, "x", 1, [])]
    log = read(rows)
    for spec, expected in (("random", 2), ("time", 2), ("user", 2), ("last_out", 1)):
        assert len(log.split(spec)[1]) == expected
    assert {row[0] for row in as_rows(log.split("user")[1])} == {"a"}


def test_the_last_of_each_user_and_of_equal_times_the_later_row() -> None:
    rows = [("a", 1, 1, 9, "x", 1, []), ("b", 1, 0, 2, "x", 1, []), ("a", 2, 1, 3, "x", 1, []),
            ("a", 1, 0, 9, "x", 1, []), ("b", 1, 0, 2, "x", 1, [])]  # fmt: skip
    assert numbers(read(rows).split("last_out")[1]) == [3, 4]
    assert numbers(read(rows).split(LastOut(n=2))[1]) == [0, 3]


def test_a_time_split_takes_the_latest_whoever_they_are_of() -> None:
    rows = [(user, 0, 1, time, "x", 1, []) for user, time in zip("bacbac", [5, 1, 6, 2, 4, 3],
                                                                 strict=True)]  # fmt: skip
    assert numbers(read(rows).split(TimeSplit(test=0.5))[1]) == [0, 2, 4]


def test_a_log_without_users_is_split_at_random_or_by_time() -> None:
    log = log_of(user=None, item=None, x=[1, 2, 3], time=[3, 1, 2])
    train, test = log.split(TimeSplit(test=0.4))
    assert (plain(train.rows["x"]), plain(test.rows["x"])) == ([2, 3], [1])
    assert sorted(map(len, log.split(RandomSplit(test=0.4)))) == [1, 2]
    for name in ("user", "last_out"):
        words = f"the split '{name}' needs users and this log has none. Take the split random or"
        with pytest.raises(DataError, match=words):
            log.split(name)


def test_splits_by_time_need_times() -> None:
    for name in ("last_out", "time"):
        with pytest.raises(DataError, match=f"the split '{name}' needs times"):
            log_of().split(name)


def test_unknown_splits_are_refused() -> None:
    with pytest.raises(RecipeError, match="unknown split 'rand'.*random, user, last_out, time"):
        log_of().split("rand")


def test_a_single_impression_stays_in_train() -> None:
    log = read([("a", 1, 1, 0, "x", 1, [])])
    for spec in SPECS:
        assert [len(part) for part in log.split(spec)] == [1, 0]


MET = [("b", 7, 1, 5, "x", 1, []), ("a", 9, 0, 1, "x", 1, []), ("b", 7, 0, 8, "x", 1, []),
       ("b", 9, 1, 2, "x", 1, [])]  # fmt: skip


def pairs(log: Any) -> list[tuple[Any, ...]]:
    """User, item and time of each interaction."""
    users = log.users.take(log.matrix.row_of_entry).to_pylist()
    items = log.items.take(log.matrix.indices).to_pylist()
    return list(zip(users, items, log.times.tolist(), strict=True))


def test_who_met_what_is_each_pair_once_at_its_latest() -> None:
    met = read(MET).interactions()
    assert pairs(met) == [("a", 9, 1), ("b", 7, 8), ("b", 9, 2)]
    assert (met.report.rows, met.report.duplicates, met.report.interactions) == (4, 1, 3)


def test_who_met_what_in_some_rows_knows_only_their_ids() -> None:
    met = read(MET).interactions(np.array([True, False, True, False]))
    assert pairs(met) == [("b", 7, 8)]
    assert (met.n_users, met.n_items, met.report.rows) == (1, 1, 2)


def test_who_met_what_may_be_placed_among_the_ids_of_a_larger_log() -> None:
    log = read(MET)
    train = log.take([0, 2]).interactions(ids=log.interactions())
    assert (train.n_users, train.n_items) == (2, 2)
    assert pairs(train) == [("b", 7, 8)]


def test_an_empty_choice_of_rows_is_nobody() -> None:
    met = read(MET).interactions(np.zeros(4, dtype=bool))
    assert (met.n_users, met.n_items, met.n_interactions) == (0, 0, 0)


@pytest.mark.parametrize(("what", "other"), [("user", "item"), ("item", "user")])
def test_without_users_or_items_nobody_met_anything(what: str, other: str) -> None:
    log = log_of({what: "none", "kinds": Kinds(ignore=(what,))})
    words = (
        rf"this log has no {what}s, so nobody met anything. Name the column .*--{what}\); or say "
        rf"{other}='none' \(--{other} none\): then the {other} is a field, categorical"
    )
    with pytest.raises(DataError, match=words):
        log.interactions()


CHANGES: dict[str, dict[str, Any]] = {
    "a user": {"user": ["a", "b", "b"]},
    "an item": {"item": [1, 2, 2]},
    "a label": {"label": [1, 1, 1]},
    "a time": {"time": [1, 2, 4]},
    "a word": {"word": ["x", "y", "x"]},
    "no word": {"word": ["x", "x", None]},
    "a number": {"number": [1.0, 2.0, 3.5]},
    "a bag": {"bag": [["p"], ["q"], ["p"]]},
    "the ends of bags": {"bag": [["p", "q"], [], []]},
    "the name of a field": {"word": None, "words": ["x", "x", "x"]},
    "one more field": {"more": ["x", "y", "z"]},
    "no times": {"time": None},
}
SAME: dict[str, Any] = {
    "time": [1, 2, 3], "word": ["x", "x", "x"], "number": [1.0, 2.0, 3.0],
    "bag": [["p"], ["q"], []],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_fingerprint_is_of_everything(change: dict[str, Any]) -> None:
    assert log_of(**{**SAME, **change}).fingerprint() != log_of(**SAME).fingerprint()
    assert log_of(**SAME).fingerprint() == log_of(**SAME).fingerprint()


def test_a_fingerprint_is_of_sides_kinds_and_the_order_of_rows() -> None:
    first, second = (
        log_of({"user_features": pa.table({"id": ["a", "b"], "age": ages})})
        for ages in ([1, 2], [1, 3])
    )
    assert first.fingerprint() != second.fingerprint()
    numeric = log_of(hour=[1, 2, 3])
    words = log_of({"kinds": Kinds(categorical=("hour",))}, hour=[1, 2, 3])
    assert numeric.fingerprint() != words.fingerprint()
    assert numeric.take([1, 0, 2]).fingerprint() != numeric.fingerprint()
    assert numeric.take([0, 1]).fingerprint() != numeric.fingerprint()
    assert numeric.take([0, 1, 2]).fingerprint() == numeric.fingerprint()
