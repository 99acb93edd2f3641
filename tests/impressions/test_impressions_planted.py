"""Planted impressions: what is planted can be found again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from impressions_cases import plain

from hashrec.errors import UsageError
from hashrec.impressions import Field, Impressions, planted_impressions


@pytest.fixture(scope="module")
def log() -> Impressions:
    return planted_impressions(8000, users=400, items=300, communities=4, circles=3, seed=0)


def of_rows(log: Impressions, owner: Any, name: str) -> np.ndarray[Any, Any]:
    """What is known of each row's user or item."""
    values = plain(log.sides[owner].values[name])
    places = log.user if owner == "user" else log.item
    assert places is not None
    return np.array([values[at] for at in places], dtype=object)


def test_the_fields_are_those_promised(log: Impressions) -> None:
    assert log.fields == (
        Field("segment", "categorical", "user"), Field("age", "numeric", "user"),
        Field("category", "categorical", "item"), Field("price", "numeric", "item"),
        Field("tags", "multi", "item"),
        Field("hour", "categorical", "row"), Field("device", "categorical", "row"),
    )  # fmt: skip
    assert len(set(plain(log.sides["user"].values["segment"]))) == 4
    assert len(set(plain(log.sides["item"].values["category"]))) == 4
    assert {len(tags) for tags in plain(log.sides["item"].values["tags"])} == {0, 1, 2, 3}
    assert set(plain(log.rows["device"])) == {"desktop", "phone", "tablet"}
    assert len(set(plain(log.rows["hour"]))) == 24


def test_sizes_and_places_fit(log: Impressions) -> None:
    assert log.users is not None and log.items is not None
    assert (len(log), len(log.users), len(log.items)) == (8000, 400, 300)
    assert log.user is not None and log.item is not None and log.label is not None
    assert (len(log.user), len(log.item), len(log.label)) == (8000, 8000, 8000)
    assert 0 <= log.user.min() <= log.user.max() < 400
    assert 0 <= log.item.min() <= log.item.max() < 300
    assert log.times is not None and log.times.tolist() == list(range(8000))
    assert set(log.label.tolist()) == {0, 1}


def test_one_age_in_ten_is_missing(log: Impressions) -> None:
    ages = plain(log.sides["user"].values["age"])
    assert 20 <= ages.count(None) <= 60  # 40 expected, deviation 6
    assert all(18 <= age < 80 for age in ages if age is not None)


def test_communities_meet_and_show(log: Impressions) -> None:
    """3 of 4 meet in their own community, 0.81 with luck; it shows in both with (5/8)^2 + 3/64."""
    segment = np.array([word[-3:] for word in of_rows(log, "user", "segment")])
    category = np.array([word[-3:] for word in of_rows(log, "item", "category")])
    assert (segment == category).mean() > 0.33  # 0.39 expected, 0.25 by chance


def test_some_are_met_more(log: Impressions) -> None:
    for places in (log.user, log.item):
        assert places is not None
        counts = np.sort(np.bincount(places))[::-1]
        tenth = len(counts) // 10
        assert counts[:tenth].sum() > 2.5 * tenth * counts.mean()


def test_what_is_dear_is_taken_less(log: Impressions) -> None:
    price = np.log(of_rows(log, "item", "price").astype(float))
    assert log.label is not None
    taken = log.label > 0
    assert price[taken].mean() < price[~taken].mean() - 0.1


def test_the_same_seed_is_the_same_log() -> None:
    sizes = {"users": 20, "items": 10, "communities": 2}
    first, again, other = (planted_impressions(50, **sizes, seed=seed) for seed in (3, 3, 4))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_one_of_each_is_enough() -> None:
    log = planted_impressions(1, users=1, items=1, communities=1, seed=0)
    assert (len(log), log.users and log.users.array.to_pylist()) == (1, [0])


@pytest.mark.parametrize(
    ("sizes", "got"),
    [
        ({"n": 0}, "n=0"),
        ({"communities": 0}, "communities=0"),
        ({"circles": 0}, "circles=0"),
        ({"communities": 4, "circles": 3}, "users=10, items=12, communities=4, circles=3"),
        ({"items": 1}, "items=1"),
    ],
    ids=str,
)
def test_sizes_that_make_no_sense_are_refused(sizes: dict[str, int], got: str) -> None:
    asked = {"n": 5, "users": 10, "items": 12, "communities": 2, **sizes}
    words = f"these sizes make no planted impressions; expected 1 <= communities.*got .*{got}"
    with pytest.raises(UsageError, match=words):
        planted_impressions(asked.pop("n"), **asked, seed=0)
