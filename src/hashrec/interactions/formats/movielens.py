"""MovieLens `.dat` files: `user::item::rating::timestamp`, no header."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from hashrec.errors import DataError
from hashrec.interactions.formats.opening import first_text, stream
from hashrec.interactions.formats.rows import Rows
from hashrec.interactions.formats.source import Source

__all__ = ["open_movielens"]

_COLUMNS = ("user", "item", "rating", "timestamp")
# Arrow separates by one character; this one is made for it and stands in no id.
_UNIT = b"\x1f"


def open_movielens(path: Path) -> Source:
    """Two to four fields a line, in the order user, item, rating, timestamp."""
    text, _ = first_text(path)
    first = text.lstrip("\r\n").partition("\n")[0]
    n_fields = first.count("::") + 1
    if not 2 <= n_fields <= len(_COLUMNS):
        raise DataError(
            "this is no MovieLens ratings file",
            name=str(path),
            expected="user::item::rating::timestamp",
            got=repr(first[:80].rstrip()),
            fix="give ratings.dat; for other text name the format, e.g. format='csv'",
        )
    rows = Rows(
        str(path), partial(_with_single_mark, path), _UNIT.decode(), n_fields, 0, quoted=False
    )
    columns = _COLUMNS[:n_fields]
    return Source(
        name=str(path),
        format="movielens",
        columns=columns,
        load=lambda name: rows.read(columns.index(name))[0],
        text=True,
    )


def _with_single_mark(path: Path) -> Any:
    with stream(path) as file:
        return pa.BufferReader(file.read().replace(b"::", _UNIT))
