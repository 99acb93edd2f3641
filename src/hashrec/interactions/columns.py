"""Which column is the user, which the item: named by the caller, or known by its name.

The names below are those of public data sets and of everyday exports. They stand in ranks: a name
of a better rank wins, two of the same rank are a question that only the caller can answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashrec.component import nearest
from hashrec.errors import DataError

__all__ = ["HEADERLESS", "Chosen", "Wanted", "bare", "choose", "column_for", "is_role", "squashed"]

# One line a rank. Compared without case and punctuation, so "userid" stands for User_ID too.
_KNOWN = {
    "user": """
        user userid uid u
        customer customerid visitor visitorid reviewer reviewerid member memberid profileid
        session sessionid basketid playlistid
    """,
    "item": """
        item itemid iid i
        movie movieid product productid book bookid business businessid track trackid poi poiid
        parentasin article articleid news newsid video videoid game gameid song songid recipeid
        asin isbn anime animeid artist artistid appid gmapid venueid locationid sku
    """,
    "rating": """
        rating ratings
        stars score overall rate grade userrating bookrating
    """,
    "time": """
        timestamp time ts
        datetime date unixreviewtime eventtime createdat unixtime
        reviewtime reviewdate timeadded
    """,
}
HEADERLESS = ("user", "item", "rating", "time")  # what unnamed columns are, in this order
_NONE = "none"
_RANKS: Mapping[str, list[list[str]]] = {
    role: [line.split() for line in ranks.strip().splitlines()] for role, ranks in _KNOWN.items()
}


@dataclass(frozen=True)
class Wanted:
    """Columns the caller named; None leaves it to `choose`, "none" ignores rating or time."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The columns of a source by what they mean; rating and time may be absent."""

    user: str
    item: str
    rating: str | None
    time: str | None


def bare(name: str) -> str:
    """A column's name without the type that RecBole appends: `user_id:token` is `user_id`."""
    return re.sub(r":(token|float|token_seq|float_seq)$", "", name.strip())


def squashed(name: str) -> str:
    return re.sub(r"[\W_]+", "", bare(name)).lower()


def is_role(role: str, name: str) -> bool:
    """Whether a column is of a role (user, item, rating, time) by its name."""
    return any(squashed(name) in rank for rank in _RANKS[role])


def choose(columns: Sequence[str], wanted: Wanted, source: str) -> Chosen:
    """The columns of `source` to read.

    Raises DataError, listing the columns present, where a named one is missing, where no column
    is known as the user or the item, or where two have equal claims.
    """
    user, item, rating, time = (
        column_for(role, getattr(wanted, role), columns, source, role in ("rating", "time"))
        for role in _RANKS
    )
    if user is None or item is None:
        role = "user" if user is None else "item"
        raise _question(f"no column is known to be the {role}", role, columns, source)
    if user == item:
        raise DataError(
            "user and item are the same column", name=source, got=repr(user), expected="two columns"
        )
    return Chosen(user, item, rating, time)


def column_for(
    role: str, named: str | None, columns: Sequence[str], source: str, optional: bool
) -> str | None:
    """The column of a role (user, item, rating, time), as named or known by its name; None where
    there is none, or where it is `optional` and "none" was said. Raises DataError as `choose`."""
    if optional and named == _NONE:
        return None
    if named is not None:
        return _named(role, named, columns, source)
    for rank in _RANKS[role]:
        found = [column for column in columns if squashed(column) in rank]
        if len(found) > 1:
            raise _question(f"{len(found)} columns may be the {role}", role, found, source)
        if found:
            return found[0]
    return None


def _named(role: str, named: str, columns: Sequence[str], source: str) -> str:
    """The column meant by `named`: exactly, else without its type, else without its case."""
    for simplify in (str, bare, lambda name: bare(name).lower()):
        found = [column for column in columns if simplify(column) == simplify(named)]
        if len(found) == 1:
            return found[0]
        if found:
            raise DataError(
                f"{len(found)} columns are called {named!r}",
                name=source,
                expected="one",
                got=_listed(found),
                fix="rename one of them",
            )
    raise DataError(
        f"there is no column {named!r}",
        name=source,
        expected=f"the {role} column",
        got=f"the columns {_listed(columns)}",
        fix=nearest(named, columns),
    )


def _question(problem: str, role: str, columns: Sequence[str], source: str) -> DataError:
    fix = f"name it with {role}=... (--{role} on the command line)"
    if role in ("rating", "time"):
        fix += f', or ignore them with {role}="none"'
    return DataError(problem, name=source, got=f"the columns {_listed(columns)}", fix=fix)


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column) for column in columns[:30])
    return shown + (f" and {len(columns) - 30} more" if len(columns) > 30 else "")
