"""What the tests of impressions share: columns, logs, and both as plain Python."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from hashrec.impressions import Impressions, read_impressions
from hashrec.impressions.values import Bags, Numbers, Values, Words
from hashrec.interactions.factor import Column

__all__ = ["as_rows", "column", "log_of", "plain", "written"]


def column(values: Any, kind: Any = None, *, text: bool = False) -> Column:
    """A column x of log.csv, whose first row of data is row 2."""
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        values = pa.array(values, kind)
    return Column("log.csv", "x", values, first_row=2, text=text)


def plain(values: Values) -> list[Any]:
    """Each row as text or None, as a number or None, or as a list of text."""
    if isinstance(values, Numbers):
        return [None if math.isnan(number) else number for number in values.values.tolist()]
    known = values.known.to_pylist()
    if isinstance(values, Words):
        return [None if code < 0 else known[code] for code in values.codes]
    assert isinstance(values, Bags)
    ends = values.offsets.tolist()
    return [[known[code] for code in values.codes[start:end]] for start, end in pairwise(ends)]


def as_rows(log: Impressions) -> list[tuple[Any, ...]]:
    """Each impression: user, item, label, time, and the row's own fields in the order of names."""
    parts: list[list[Any]] = []
    for ids, places in ((log.users, log.user), (log.items, log.item)):
        parts.append([None] * len(log) if ids is None else ids.take(places).to_pylist())
    for array in (log.label, log.times):
        parts.append([None] * len(log) if array is None else array.tolist())
    parts += [plain(log.rows[name]) for name in sorted(log.rows)]
    return [(*row[:4], *map(str, row[4:])) for row in zip(*parts, strict=True)]


def log_of(options: dict[str, Any] | None = None, /, **columns: Any) -> Impressions:
    """Impressions of three rows, user a, a, b and item 1, 2, 1, with more `columns` or others."""
    table = {"user": ["a", "a", "b"], "item": [1, 2, 1], "label": [1, 0, 1], **columns}
    kept = {name: values for name, values in table.items() if values is not None}
    return read_impressions(pa.table(kept), **(options or {}))


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path
