"""A source: named columns that can be asked for one at a time. All that a format has to offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from hashrec.errors import DataError
from hashrec.interactions.factor import Column

__all__ = ["Source", "damaged", "stacked"]

_AT_ONCE = 8  # columns read in a pass


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
        load_many: gives the values of several columns in one pass, where each pass goes through all
            of the file.
    """

    name: str
    format: str
    columns: tuple[str, ...]
    load: Callable[[str], Any]
    first_row: int = 1
    text: bool = False
    notes: tuple[str, ...] = ()
    kinds: Mapping[str, Any] = field(default_factory=dict)
    load_many: Callable[[Sequence[str]], list[Any]] | None = None

    def column(self, name: str) -> Column:
        return self._column(name, self.load(name))

    def each(self, names: Sequence[str]) -> Iterator[Column]:
        """The named columns one after another, some of them in memory at a time."""
        for first in range(0, len(names), _AT_ONCE):
            group = names[first : first + _AT_ONCE]
            yield from map(self._column, group, self.loaded(group))

    def loaded(self, names: Sequence[str]) -> list[Any]:
        """The values of the named columns, all at once."""
        if self.load_many is None:
            return [self.load(name) for name in names]
        return self.load_many(names)

    def _column(self, name: str, values: Any) -> Column:
        return Column(self.name, name, values, self.first_row, self.text)


def stacked(sources: Sequence[Source]) -> Source:
    """All rows of all sources, as if they were one; columns are those of the first.

    Raises DataError where another lacks one of them, or has it of another type.
    """
    first, *others = sources
    for other in others:
        missing = [name for name in first.columns if name not in other.columns]
        if missing:
            raise DataError(
                f"parts of one log have the same columns, and {other.name} has other ones",
                name=other.name, expected=", ".join(map(repr, first.columns)),
                got=f"none called {missing[0]!r}",
            )  # fmt: skip

    def joined(name: str, parts: Sequence[Any]) -> Any:
        chunks = [chunk for part in parts for chunk in _chunks(part)]
        kinds = list(dict.fromkeys(str(chunk.type) for chunk in chunks))
        if len(kinds) > 1:
            raise DataError("the parts of one log have a column of two types", name=name,
                            expected=kinds[0], got=kinds[1], fix="convert one of them")  # fmt: skip
        return pa.chunked_array(chunks)

    def load_many(names: Sequence[str]) -> list[Any]:
        return list(map(joined, names, zip(*(one.loaded(names) for one in sources), strict=True)))

    return first if not others else replace(
        first, name=" and ".join(source.name for source in sources),
        load=lambda name: load_many([name])[0], load_many=load_many,
        text=all(source.text for source in sources),
        notes=tuple(note for source in sources for note in source.notes),
    )  # fmt: skip


def _chunks(values: Any) -> list[Any]:
    if isinstance(values, pa.ChunkedArray):
        return values.chunks or [pa.array([], values.type)]
    return [values]


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
