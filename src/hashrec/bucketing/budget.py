"""How many rows a table may have: said as a share, a number or bytes; kept as numbers of rows."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np

from hashrec.errors import HashrecWarning, UsageError

__all__ = ["Budget", "budget", "split_evenly"]

Rows = int | float | str

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_BYTES = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([kmg]i?)?b\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """Rows allowed: `total` over both sides; `users` and `items` where each was given its own.

    `free`: none was asked for, and the method needs none.
    """

    total: int
    users: int | None = None
    items: int | None = None
    free: bool = False


def budget(
    rows: Rows | None,
    user_rows: Rows | None,
    item_rows: Rows | None,
    *,
    dim: int | None,
    n_users: int,
    n_items: int,
) -> Budget:
    """The budget that was asked for, in rows.

    A float in (0, 1] (or text such as "25%") is a share of the ids, an int is a number of rows,
    text such as "4MB" is a float32 table of `dim` dimensions. `rows` is over both sides; given
    with one of the others, the remaining side gets what is left. More rows than ids are cut to
    the ids, with a warning. Raises UsageError for zero, for what cannot be read and for budgets
    that contradict each other.
    """
    n = n_users + n_items
    total = None if rows is None else _rows("rows", rows, n, dim)
    users = None if user_rows is None else _rows("user_rows", user_rows, n_users, dim)
    items = None if item_rows is None else _rows("item_rows", item_rows, n_items, dim)
    if total is not None and users is not None and items is not None and users + items != total:
        raise UsageError(
            "the budgets contradict each other",
            expected="user_rows + item_rows = rows, or only two of the three",
            got=f"{users} + {items} and {total}",
        )
    if total is None and (users is None or items is None):
        raise UsageError(
            "half a budget" if users is not None or items is not None else "no budget",
            expected="rows, or user_rows and item_rows, or rows and one of the two",
        )
    if total is None:
        assert users is not None and items is not None
        return Budget(users + items, users, items)
    if users is None and items is None:
        return Budget(total)
    users = total - items if users is None and items is not None else users
    assert users is not None
    items = total - users if items is None else items
    _check_rest("user_rows", users, n_users)
    _check_rest("item_rows", items, n_items)
    return Budget(total, users, items)


def split_evenly(asked: Budget, n_users: int, n_items: int) -> tuple[int, int]:
    """Rows of users and items: as asked for, or the total in proportion to the ids, at least 1."""
    if asked.users is not None and asked.items is not None:
        return asked.users, asked.items
    users = round(asked.total * n_users / (n_users + n_items))
    users = min(max(users, 1, asked.total - n_items), n_users, asked.total - 1)
    return users, asked.total - users


def _rows(name: str, rows: Rows, n: int, dim: int | None) -> int:
    """One figure as a number of rows in [1, n]."""
    found = _wanted(name, rows, n, dim)
    least = 2 if name == "rows" else 1
    if found < least:
        raise UsageError(
            "too few rows", name=name, expected=f"at least {least}", got=f"{rows} ({found} rows)"
        )
    if found > n:
        warnings.warn(
            f"{name}: {found:,} rows for {n:,} ids; cut to one an id [full-table]",
            HashrecWarning,
            stacklevel=4,
        )
    return min(found, n)


def _wanted(name: str, rows: Rows, n: int, dim: int | None) -> int:
    if isinstance(rows, str):
        if match := _BYTES.fullmatch(rows):
            return _rows_of_bytes(name, match, dim)
        rows = _number(name, rows)
    if isinstance(rows, (float, np.floating)):
        if not 0 < rows <= 1:
            raise UsageError(
                "a share out of range", name=name, expected="a share in (0, 1]", got=repr(rows),
                fix="give a number of rows as an int",
            )  # fmt: skip
        return max(round(rows * n), 0)
    return int(rows)


def _rows_of_bytes(name: str, match: re.Match[str], dim: int | None) -> int:
    if dim is None or dim < 1:
        raise UsageError(
            "bytes mean nothing without a dimension",
            name=name,
            expected="dim of at least 1",
            got=f"dim {dim}",
            fix="give dim too",
        )
    size = float(match[1]) * _UNITS[(match[2] or "").lower()]
    return int(size // (4 * dim))


def _number(name: str, text: str) -> int | float:
    """`0.25`, `25%` or `9000`."""
    try:
        if text.strip().endswith("%"):
            return float(text.strip()[:-1]) / 100
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        raise UsageError(
            "cannot be read as rows",
            name=name,
            expected="a share (0.25 or 25%), a number (9000) or bytes (4MB)",
            got=repr(text),
        ) from None


def _check_rest(name: str, rows: int, n: int) -> None:
    if not 1 <= rows <= n:
        raise UsageError(
            "the budgets contradict each other",
            name=name,
            expected=f"1 to {n} rows",
            got=f"{rows}, what the other two leave",
        )
