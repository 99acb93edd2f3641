"""What every bucket method promises, over the registry: one added later is met here by itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hashrec.bucketing import METHODS, Assignment, BucketMethod, Buckets, buckets
from hashrec.bucketing.rules import RULES, Arrivals
from hashrec.csr import Csr
from hashrec.errors import HashrecWarning, UsageError
from hashrec.interactions import Ids, Interactions, planted, read

N_USERS, N_ITEMS, ROWS = 120, 90, 60
NUMBERS = planted(N_USERS, N_ITEMS, communities=4, degree=8, noise=0.1, seed=3).interactions
TEXT = replace(
    NUMBERS,
    users=Ids(pa.array([f"üser {at:04d}" for at in range(N_USERS)])),
    items=Ids(pa.array([f"item/{at:04d}" for at in range(N_ITEMS)])),
)
LOGS = {"numbers": NUMBERS, "text": TEXT}
random = np.random.default_rng(0)
FEATURES: dict[str, Any] = {
    "user_features": random.standard_normal((N_USERS, 4)).astype(np.float32),
    "item_features": random.standard_normal((N_ITEMS, 4)).astype(np.float32),
}
# What gives each id a row whatever the budget.
UNBOUNDED = {"full"}

every_method = pytest.mark.parametrize("name", list(METHODS))
every_log = pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)


def made(name: Any, log: Interactions = NUMBERS, **more: Any) -> Buckets:
    options: Mapping[str, Any] = {"rows": ROWS, "seed": 5, **FEATURES, **more}
    return buckets(log, name, **options)


def sides(found: Buckets) -> tuple[Assignment, Assignment]:
    return found.users, found.items


def rows_used(side: Assignment) -> int:
    """Rows of the whole width, as the budget counts them."""
    return round(side.rows * side.dim_share)


@every_log
@every_method
def test_shapes_types_and_budget(name: str, log: Interactions) -> None:
    found = made(name, log)
    assert isinstance(found.method, BucketMethod)
    assert found.seed == 5
    for side, ids in zip(sides(found), (log.users.array, log.items.array), strict=True):
        assert side.ids.equals(ids)
        assert side.buckets.shape == (len(ids), side.ways)
        assert side.buckets.dtype == np.int32
        assert 0 <= side.buckets.min() <= side.buckets.max() < side.rows
        assert len(side.rules) == side.ways
    assert (found.users.side, found.items.side) == ("user", "item")
    used = sum(rows_used(side) for side in sides(found))
    assert used == N_USERS + N_ITEMS if name in UNBOUNDED else used <= ROWS


@every_method
def test_budgets_of_each_side_are_kept(name: str) -> None:
    if name in UNBOUNDED:
        pytest.skip("gives each id a row whatever the budget")
    found = made(name, rows=None, user_rows=40, item_rows=30)
    assert rows_used(found.users) <= 40
    assert rows_used(found.items) <= 30


@every_method
def test_as_many_rows_as_ids_are_possible(name: str) -> None:
    with pytest.warns(HashrecWarning, match="full-table"):
        found = made(name, rows=10**6)
    assert sum(rows_used(side) for side in sides(found)) <= N_USERS + N_ITEMS


@every_log
@every_method
def test_same_seed_same_bytes(name: str, log: Interactions) -> None:
    one, again = made(name, log), made(name, log)
    assert one.fingerprint() == again.fingerprint()
    for left, right in zip(sides(one), sides(again), strict=True):
        assert left.buckets.tobytes() == right.buckets.tobytes()
        assert left.fingerprint() == right.fingerprint()


@every_method
def test_another_seed_is_another_hash_or_no_hash(name: str) -> None:
    """A seed that is not used would go unseen: who has a rule with a seed must change."""
    one, other = made(name), made(name, seed=6)
    seeded = any("seed" in rule.scalars() for side in sides(one) for rule in side.rules)
    assert not seeded or one.fingerprint() != other.fingerprint()


@every_method
def test_options_round_trip(name: str) -> None:
    method = METHODS.parse(name)
    stored = json.loads(json.dumps(method.to_dict()))
    assert METHODS.parse(stored) == method
    assert made(stored).fingerprint() == made(name).fingerprint()
    json.dumps(made(name).facts, allow_nan=False)


@every_method
def test_what_was_given_is_not_changed(name: str) -> None:
    weights = 1 + random.random(NUMBERS.n_interactions).astype(np.float32)
    given = [weights, *FEATURES.values(), NUMBERS.matrix.indices, NUMBERS.matrix.offsets]
    before = [array.copy() for array in given]
    for array in given:
        array.flags.writeable = False
    try:
        made(name, weights=weights)
    finally:
        for array in given:
            array.flags.writeable = True
    for array, was in zip(given, before, strict=True):
        assert np.array_equal(array, was)


@every_log
@every_method
def test_rules_are_data(name: str, log: Interactions) -> None:
    """They come back from JSON and arrays, and place ids as before."""
    for side in sides(made(name, log)):
        for rule in side.rules:
            assert RULES[rule.kind] is type(rule)
            again = RULES[rule.kind].restore(json.loads(json.dumps(rule.scalars())), rule.arrays())
            new = pa.array(["a", "b"] if log is TEXT else [1000, 2000])
            met = Csr.from_lists([[0, 3], []], n_columns=5)
            for arrivals in (Arrivals(new, len(side), met), Arrivals(new, len(side))):
                placed = rule.place(arrivals)
                assert placed.dtype == np.int32
                assert again.place(arrivals).tolist() == placed.tolist()


@every_log
@every_method
def test_new_ids_are_placed_and_old_ones_stay(name: str, log: Interactions) -> None:
    """A new user who has met known items, one who has met only new items, and a new item."""
    found = made(name, log)
    longer = found.extend(later(log))
    assert (len(longer.users), len(longer.items)) == (N_USERS + 2, N_ITEMS + 1)
    for old, new in zip(sides(found), sides(longer), strict=True):
        assert new.buckets[: len(old)].tobytes() == old.buckets.tobytes()
        assert new.ids[: len(old)].equals(old.ids)
        assert new.ids.type == old.ids.type
        assert new.buckets.dtype == np.int32
        assert 0 <= new.buckets.min() <= new.buckets.max() < new.rows == old.rows
        assert new.rules == old.rules
    assert longer.fingerprint() == made(name, log).extend(later(log)).fingerprint()
    newcomers = ["zoe", "zora"] if log is TEXT else [900, 901]
    assert longer.users.positions(newcomers).tolist() == [N_USERS, N_USERS + 1]


def later(log: Interactions) -> Interactions:
    """An old user and two new ones; of the items the last is new."""
    if log is TEXT:
        users, items = ["üser 0003", "zoe", "zoe", "zora"], ["item/0000", "item/0007", "q", "q"]
    else:
        users, items = [3, 900, 900, 901], [0, 7, 5000, 5000]  # type: ignore[list-item]
    found = read(pa.table({"user": users, "item": items}))
    assert isinstance(found, Interactions)
    return found


@every_log
@every_method
def test_the_same_ids_twice_are_refused(name: str, log: Interactions) -> None:
    old = log.users.array[4].as_py()
    new = "zoe" if log is TEXT else 900
    users = made(name, log).users
    with pytest.raises(UsageError, match=f"user {old!r} has a bucket already"):
        users.extend([new, old])
    with pytest.raises(UsageError, match=f"user {new!r} has a bucket already.*each once"):
        users.extend([new, new])
    with pytest.raises(UsageError, match=f"user {new!r} has a bucket already"):
        users.extend([new]).extend([new])


@every_method
def test_ids_are_placed_by_what_they_are_in_the_log(name: str) -> None:
    """The hash of 900 is not the hash of "900": new ids take the type of the old ones first."""
    users = made(name).users
    asked = users.extend(pa.array(["900", "901"]))
    assert asked.buckets.tobytes() == users.extend([900, 901]).buckets.tobytes()
    with pytest.raises(UsageError, match="'zoe' can be no user; expected int64 ids"):
        users.extend(["900", "zoe"])
    with pytest.raises(UsageError, match="18446744073709551615 can be no user"):
        users.extend([2**64 - 1])


@every_method
def test_no_new_ids_are_no_change(name: str) -> None:
    users = made(name).users
    assert users.extend([]).fingerprint() == users.fingerprint()
    with pytest.raises(ValueError, match="1 ids but neighbours of 2"):
        users.extend([900], Csr.empty(2, N_ITEMS))


@every_method
def test_tied_sides_get_the_same_rows(name: str) -> None:
    import scipy.sparse

    dense = (np.add.outer(np.arange(40), np.arange(40)) % 7 == 0).astype(float)
    features = np.random.default_rng(1).standard_normal((40, 3))
    found = buckets(
        scipy.sparse.csr_array(dense), name, rows=30, tied=True,
        user_features=features, item_features=features,
    )  # fmt: skip
    assert found.users.buckets.tobytes() == found.items.buckets.tobytes()
    assert found.users.rows == found.items.rows
    new = found.users.extend([77]), found.items.extend([77])
    assert new[0].buckets.tobytes() == new[1].buckets.tobytes()


def test_widths_are_within_half_a_dimension_of_the_budget() -> None:
    """`rows_used` above may trust dim_share because bytes do."""
    for side in sides(made("low-dim")):
        assert abs(side.width(64) - 64 * side.dim_share) <= 0.5
        assert math.isclose(side.rows * side.dim_share, rows_used(side))
