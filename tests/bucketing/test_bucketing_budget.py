"""Budgets: a share, a number, text or bytes, over both sides or one; and what makes no sense."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from hashrec.bucketing.budget import Budget, budget, split_evenly
from hashrec.errors import HashrecWarning, UsageError

N_USERS, N_ITEMS = 300, 100


def asked(rows: Any = None, users: Any = None, items: Any = None, dim: int | None = None) -> Budget:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return budget(rows, users, items, dim=dim, n_users=N_USERS, n_items=N_ITEMS)


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        (0.25, 100),
        (np.float32(0.25), 100),
        (1.0, 400),
        (0.005, 2),
        (120, 120),
        (np.int64(120), 120),
        (400, 400),
        ("0.25", 100),
        ("2.5e-1", 100),
        ("25%", 100),
        (" 12.5 % ", 50),
        ("100%", 400),
        ("120", 120),
    ],
)
def test_shares_numbers_and_text(rows: Any, total: int) -> None:
    assert asked(rows) == Budget(total)


@pytest.mark.parametrize(
    ("size", "total"),
    [
        ("25600B", 100),
        ("25.6kB", 100),
        (" 25.6 KB ", 100),
        ("25kib", 100),
        ("25855 b", 100),  # what is left over buys no row
        ("0.0256MB", 100),
        (".0256mb", 100),
        ("25.kib", 100),
    ],
)
def test_bytes_are_rows_of_float32(size: str, total: int) -> None:
    """64 dimensions are 256 bytes a row."""
    assert asked(size, dim=64) == Budget(total)


def test_units_are_powers_of_ten_or_of_two() -> None:
    big = {"n_users": 10**9, "n_items": 10**9, "dim": 25}
    for size, wanted in (("1MB", 10**4), ("1GB", 10**7), ("1MiB", 2**20 // 100),
                         ("1GiB", 2**30 // 100)):  # fmt: skip
        assert budget(size, None, None, **big).total == wanted


def test_each_side_may_have_its_own() -> None:
    assert asked(users=0.5, items=20) == Budget(170, 150, 20)
    assert asked(100, users=60) == Budget(100, 60, 40)
    assert asked(100, items="10%") == Budget(100, 90, 10)
    assert asked(170, users=0.5, items=20) == Budget(170, 150, 20)
    assert asked(users="2.56kB", items=1, dim=64) == Budget(11, 10, 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "no budget; expected rows, or user_rows and item_rows"),
        ({"users": 5}, "half a budget"),
        ({"items": 5}, "half a budget"),
        ({"rows": 0}, "rows: too few rows; expected at least 2; got 0"),
        ({"rows": 1}, "rows: too few rows; expected at least 2; got 1"),
        ({"rows": -5}, "rows: too few rows.*got -5"),
        ({"rows": "0"}, "rows: too few rows"),
        ({"rows": 0.001}, "too few rows.*got 0.001 .0 rows."),
        ({"rows": "100B", "dim": 64}, "too few rows.*got 100B .0 rows."),
        ({"users": 0, "items": 5}, "user_rows: too few rows; expected at least 1"),
        ({"users": 5, "items": 0}, "item_rows: too few rows; expected at least 1"),
        ({"rows": 0.0}, "rows: a share out of range; expected a share in .0, 1.; got 0.0"),
        ({"rows": 1.5}, "share out of range.*got 1.5. Give a number of rows as an int"),
        ({"rows": 9000.0}, "share out of range"),
        ({"rows": float("nan")}, "share out of range.*nan"),
        ({"rows": "150%"}, "share out of range.*1.5"),
        ({"rows": "-25%"}, "share out of range"),
        ({"rows": "many"}, "rows: cannot be read as rows.*4MB.*got 'many'"),
        ({"rows": ""}, "cannot be read as rows"),
        ({"rows": "1.2.3MB", "dim": 64}, "cannot be read as rows.*'1.2.3MB'"),
        ({"rows": ".MB", "dim": 64}, "cannot be read as rows"),
        ({"rows": "-4MB", "dim": 64}, "cannot be read as rows"),
        ({"rows": "4TB", "dim": 64}, "cannot be read as rows"),
        ({"rows": "4MB"}, "rows: bytes mean nothing without a dimension.*Give dim too"),
        ({"users": 5, "items": "4MB"}, "item_rows: bytes mean nothing"),
        ({"rows": "4MB", "dim": 0}, "expected dim of at least 1; got dim 0"),
        ({"rows": 50, "users": 60}, "item_rows: the budgets contradict.*got -10"),
        ({"rows": 60, "users": 60}, "item_rows: the budgets contradict.*expected 1 to 100"),
        ({"rows": 350, "users": 60}, "item_rows: the budgets contradict.*got 290"),
        ({"rows": 50, "items": 60}, "user_rows: the budgets contradict.*expected 1 to 300"),
        ({"rows": 100, "users": 60, "items": 60}, "contradict.*got 60 . 60 and 100"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        asked(**given)


def test_more_rows_than_ids_are_cut_with_a_warning() -> None:
    sizes = {"n_users": N_USERS, "n_items": N_ITEMS, "dim": None}
    words = r"rows: 4,000 rows for 400 ids; cut to one an id \[full-table\]"
    with pytest.warns(HashrecWarning, match=words):
        assert budget(4000, None, None, **sizes) == Budget(400)
    with pytest.warns(HashrecWarning, match=r"item_rows: 101 rows for 100 ids.*\[full-table\]"):
        assert budget(None, 7, 101, **sizes) == Budget(107, 7, 100)


def test_an_even_split_follows_the_ids() -> None:
    assert split_evenly(Budget(100), 300, 100) == (75, 25)
    assert split_evenly(Budget(100, 10, 90), 300, 100) == (10, 90)


def test_an_even_split_gives_each_side_something_and_never_more_than_its_ids() -> None:
    for n_users, n_items in ((1, 1), (1, 9), (9, 1), (5, 7), (1, 1000)):
        for total in range(2, n_users + n_items + 1):
            users, items = split_evenly(Budget(total), n_users, n_items)
            assert users + items == total
            assert 1 <= users <= n_users
            assert 1 <= items <= n_items
