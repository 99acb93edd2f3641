"""Splits: disjoint, together all, the same for the same seed whatever the order of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interactions_writing import pairs_of

from hashrec.errors import DataError, RecipeError
from hashrec.interactions import (
    SPLITS,
    LastOut,
    RandomSplit,
    TimeSplit,
    UserSplit,
    planted,
    read,
)

LOGS = st.dictionaries(
    st.tuples(st.integers(0, 9), st.integers(0, 9)), st.integers(0, 5), min_size=1, max_size=50
)
SPECS = [
    RandomSplit(test=0.3, seed=1),
    UserSplit(test=0.4, seed=2),
    LastOut(n=2),
    TimeSplit(test=0.25),
]


def frame(log: dict[tuple[int, int], int]) -> pd.DataFrame:
    rows = [(user, item, time) for (user, item), time in log.items()]
    return pd.DataFrame(rows, columns=["user", "item", "time"])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@given(LOGS, st.integers(0, 99))
def test_parts_are_disjoint_complete_and_free_of_row_order(spec, log, seed) -> None:
    whole = read(frame(log))
    train, test = whole.split(spec)
    assert train.users is test.users is whole.users
    assert train.items is test.items is whole.items
    assert not pairs_of(train) & pairs_of(test)
    assert pairs_of(train) | pairs_of(test) == set(log)
    for part in (train, test):  # times stay beside their pairs
        held = zip(
            part.users.take(part.matrix.row_of_entry).to_pylist(),
            part.items.take(part.matrix.indices).to_pylist(),
            part.times.tolist(),
            strict=True,
        )
        assert all(log[user, item] == time for user, item, time in held)
    shuffled = read(frame(log).sample(frac=1, random_state=seed))
    again = shuffled.split(spec)
    assert [part.fingerprint() for part in again] == [train.fingerprint(), test.fingerprint()]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_splits_are_registered_and_round_trip(spec) -> None:
    assert SPLITS.parse(spec.to_dict()) == spec
    assert SPLITS.parse(spec) is spec


def test_a_random_split_takes_its_share_of_all() -> None:
    log = planted(50, 40, communities=2, degree=20, noise=0.2, seed=0).interactions
    _, test = log.split(RandomSplit(test=0.2, seed=0))
    assert test.n_interactions == int(np.floor(log.n_interactions * 0.2 + 0.5))
    other = log.split({"name": "random", "test": 0.2, "seed": 1})[1]
    assert other.fingerprint() != test.fingerprint()


@given(LOGS)
def test_each_user_gives_the_share_that_is_promised(log) -> None:
    whole = read(frame(log))
    train, test = whole.split(UserSplit(test=0.5, seed=0))
    n = whole.matrix.lengths
    assert test.matrix.lengths.tolist() == np.minimum((n * 0.5 + 0.5).astype(int), n - 1).tolist()
    assert train.matrix.lengths.min() >= 1


def test_users_are_split_at_random() -> None:
    log = read(pd.DataFrame({"user": [0] * 20, "item": range(20)}))
    held = {tuple(log.split(UserSplit(seed=seed))[1].matrix.indices) for seed in range(20)}
    assert len(held) > 15


def test_last_out_takes_the_latest_and_the_last_item_of_equal_times() -> None:
    log = read(
        pd.DataFrame(
            {
                "user": ["a", "a", "a", "b", "b", "c", "d", "d", "d"],
                "item": ["x", "y", "z", "y", "z", "x", "x", "y", "z"],
                "time": [3, 9, 1, 7, 7, 5, 2, 1, 2],
            }
        )
    )
    assert pairs_of(log.split("last_out")[1]) == {("a", "y"), ("b", "z"), ("d", "z")}
    assert pairs_of(log.split(LastOut(n=2))[1]) == {
        ("a", "x"), ("a", "y"), ("d", "x"), ("d", "z"),
    }  # fmt: skip


def test_a_time_split_takes_the_latest_of_all() -> None:
    log = read(frame({(0, 0): 5, (0, 1): 1, (1, 0): 5, (1, 1): 5, (2, 0): 0}))
    assert pairs_of(log.split(TimeSplit(test=0.4))[1]) == {(1, 0), (1, 1)}
    assert pairs_of(log.split(TimeSplit(test=0.9))[0]) == {(2, 0)}


@pytest.mark.parametrize("spec", ["last_out", "time"])
def test_splits_by_time_need_times(spec: str) -> None:
    log = planted(5, 5, communities=1, degree=3, noise=0, seed=0).interactions
    with pytest.raises(DataError, match=f"split '{spec}' needs times.*--time.*'random' or 'user'"):
        log.split(spec)


@pytest.mark.parametrize("spec", ["random", "user"])
def test_a_single_interaction_stays_in_train(spec: str) -> None:
    train, test = read(frame({(0, 0): 0})).split(spec)
    assert (train.n_interactions, test.n_interactions) == (1, 0)


def test_unknown_splits_are_refused() -> None:
    with pytest.raises(RecipeError, match="unknown split 'randm'.*random, user, last_out, time"):
        read(frame({(0, 0): 0})).split("randm")
