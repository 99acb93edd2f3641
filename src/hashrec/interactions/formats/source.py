"""A source: named columns that can be asked for one at a time. All that a format has to offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from hashrec.errors import DataError
from hashrec.interactions.factor import Column, plain

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
        row_in: what its users call the row of a position, where `first_row` does not tell.
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
    row_in: Callable[[int], str] | None = None

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
        return Column(self.name, name, values, self.first_row, self.text, self.row_in)


def stacked(sources: Sequence[Source]) -> Source:
    """All rows of all sources, as if they were one; columns are those of the first.

    Where one is text and another has types, all is text. A column that another lacks, or has of a
    type that has nothing in common, is a DataError when it is loaded.
    """
    first, *others = sources
    if not others:
        return first
    text = any(source.text for source in sources)

    def load_many(names: Sequence[str]) -> list[Any]:
        for other in others:
            missing = [name for name in names if name not in other.columns]
            if missing:
                raise DataError(
                    "parts of one log have the same columns, and one is missing here",
                    name=other.name, expected=repr(missing[0]),
                    got=", ".join(map(repr, other.columns)), fix="add it, or ignore it everywhere",
                )  # fmt: skip
        loaded = zip(*(one.loaded(names) for one in sources), strict=True)
        return [_joined(name, parts) for name, parts in zip(names, loaded, strict=True)]

    def _joined(name: str, parts: Sequence[Any]) -> Any:
        chunks = [plain(part) for part in parts]
        try:
            return _one_type(chunks, text).column(0)
        except (pa.ArrowTypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as fault:
            kinds = [str(part.type) for part in chunks]
            raise DataError(
                "the parts of one log have a column of two types", name=name,
                expected=f"{kinds[0]}, as in {first.name}", got=", ".join(kinds[1:]),
                fix="convert one of them",
            ) from fault  # fmt: skip

    def row_in(position: int) -> str:
        lengths = [len(source.load(source.columns[0])) for source in sources]
        part = 0
        while position >= lengths[part]:
            position -= lengths[part]
            part += 1
        source = sources[part]
        return f"row {position + source.first_row} of part {part + 1} ({source.name})"

    return replace(
        first, name=" and ".join(source.name for source in sources), text=text,
        load=lambda name: load_many([name])[0], load_many=load_many, row_in=row_in,
        notes=tuple(note for source in sources for note in source.notes),
    )  # fmt: skip


def _one_type(parts: Sequence[Any], text: bool) -> Any:
    """A table of one column: all text, or the type that all have in common."""
    kinds = {part.type for part in parts}
    if text:
        parts = [part.cast(pa.string()) for part in parts]
    elif pa.bool_() in kinds and len(kinds) > 1:
        parts = [part.cast(pa.int8()) if part.type == pa.bool_() else part for part in parts]
    tables = [pa.table({"": part}) for part in parts]
    return pa.concat_tables(tables, promote_options="permissive")


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
