"""csv, tsv and other separated text, with a header row or without."""

from __future__ import annotations

import csv
import io
import re
from functools import partial
from pathlib import Path

from hashrec.errors import DataError
from hashrec.interactions.columns import HEADERLESS
from hashrec.interactions.formats.opening import first_text, holds, stream
from hashrec.interactions.formats.rows import Rows
from hashrec.interactions.formats.source import Source

__all__ = ["open_csv", "open_delimited", "open_tsv"]

_NUMBER_OR_DATE = re.compile(r"\s*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|\d{4}-\d\d-\d\d.*)\s*")
_SNIFFED_ROWS = 100


def open_csv(path: Path) -> Source:
    """Separated by commas, or by what spreadsheets elsewhere put in their place."""
    return open_delimited(path, ",;\t|", "csv")


def open_tsv(path: Path) -> Source:
    """Separated by tabs."""
    return open_delimited(path, "\t", "tsv")


def open_delimited(path: Path, separators: str, format_name: str) -> Source:
    """A text file whose separator is one of `separators`, the likeliest first."""
    text, whole = first_text(path)
    separator = _sniffed(text, separators)
    return _separated(path, separator, format_name, text, whole)


def _separated(path: Path, separator: str, format_name: str, text: str, whole: bool) -> Source:
    """A text file with a known separator that begins with `text`."""
    blank = len(text) - len(text.lstrip("\r\n"))
    records = _records(text, separator)
    if not records:
        raise _no_rows(path, "blank lines only")
    first = records[0]
    has_header = not all(map(_NUMBER_OR_DATE.fullmatch, first))
    if has_header and whole and len(records) == 1:
        raise _no_rows(path, "a header and nothing below it")
    n_skip = text[:blank].count("\n") + has_header
    columns = tuple(first) if has_header else _unnamed(len(first))
    quoted = holds(path, b'"')
    rows = Rows(str(path), partial(stream, path), separator, len(first), n_skip, quoted)
    return Source(
        name=str(path),
        format=format_name,
        columns=columns,
        load=lambda name: rows.read(columns.index(name))[0],
        load_many=lambda names: rows.read(*map(columns.index, names)),
        first_row=n_skip + 1,
        text=True,
        notes=() if has_header else (_headerless_note(columns),),
    )


def _unnamed(n: int) -> tuple[str, ...]:
    return (*HEADERLESS[:n], *(f"column {at}" for at in range(len(HEADERLESS) + 1, n + 1)))


def _headerless_note(columns: tuple[str, ...]) -> str:
    return f"The file has no header row; its columns were taken to be {', '.join(columns)}."


def _no_rows(path: Path, got: str) -> DataError:
    return DataError("there are no interactions", name=str(path), expected="rows of data", got=got)


def _records(text: str, separator: str) -> list[list[str]]:
    """The first rows as lists of fields, blank lines left out."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    found: list[list[str]] = []
    try:
        for row in rows:
            if row:
                found.append(row)
            if len(found) == _SNIFFED_ROWS:
                break
    except csv.Error:  # a field of absurd length: the real reader will say where
        pass
    return found


def _sniffed(text: str, separators: str) -> str:
    """The separator that cuts all of the first rows into equally many fields, two at least.

    Where none does, the one that cuts the first row into most fields: then some row is at fault,
    and reading will name it.
    """
    widths = {mark: [len(row) for row in _records(text, mark)] for mark in separators}
    for mark, counts in widths.items():
        if counts and counts[0] > 1 and len(set(counts)) == 1:
            return mark
    return max(separators, key=lambda mark: widths[mark][0] if widths[mark] else 0)
