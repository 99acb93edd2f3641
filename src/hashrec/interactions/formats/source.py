"""A source: named columns that can be asked for one at a time. All that a format has to offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from hashrec.errors import DataError
from hashrec.interactions.factor import Column

__all__ = ["Source", "damaged"]


@dataclass(frozen=True)
class Source:
    """An opened file or table.

    Attributes:
        name: what messages call it.
        format: the name of its format.
        columns: the names of its columns.
        load: gives the values of a column (pa.Array or pa.ChunkedArray), reading only that one,
            so that a log larger than its ids and codes never stands in memory whole.
        first_row: what its users call the first row of data.
        text: it has no types; integers come as text.
        notes: what was assumed about it, a sentence each.
        kinds: what it says itself of its columns: `categorical`, `numeric` or `multi`.
    """

    name: str
    format: str
    columns: tuple[str, ...]
    load: Callable[[str], Any]
    first_row: int = 1
    text: bool = False
    notes: tuple[str, ...] = ()
    kinds: Mapping[str, Any] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        return Column(self.name, name, self.load(name), self.first_row, self.text)


@contextmanager
def damaged(name: str, problem: str, fix: str) -> Iterator[None]:
    """Turn what Arrow and the system say about a broken file into one DataError."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeError) as fault:
        raise DataError(problem, name=name, got=_short(fault), fix=fix) from fault


def _short(fault: Exception) -> str:
    text = " ".join(str(fault).split()).rstrip(".")
    return text if len(text) <= 200 else text[:200] + "..."
