"""Criteo's click logs: tabs, no header; a label, 13 counts and 26 hashed words a row."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hashrec.errors import DataError
from hashrec.interactions.formats.opening import first_text, stream
from hashrec.interactions.formats.rows import Rows
from hashrec.interactions.formats.source import Source

__all__ = ["open_criteo"]

_NUMERIC = tuple(f"I{at}" for at in range(1, 14))
_CATEGORICAL = tuple(f"C{at}" for at in range(1, 27))
_COLUMNS = ("label", *_NUMERIC, *_CATEGORICAL)


def open_criteo(path: Path) -> Source:
    """The columns label, I1 to I13 and C1 to C26; the log of a contest's test part has no label.
    Empty fields are missing values."""
    text, _ = first_text(path)
    width = text.lstrip("\r\n").partition("\n")[0].count("\t") + 1
    columns = _COLUMNS[-width:]
    if width not in (len(_COLUMNS), len(_COLUMNS) - 1):
        raise DataError(
            "this is no log of Criteo's", name=str(path),
            expected="maybe a label, 13 numbers and 26 words a row, between tabs",
            got=f"{width} fields",
            fix="leave out the format to have it detected",
        )  # fmt: skip
    rows = Rows(str(path), partial(stream, path), "\t", width, 0, quoted=False)
    return Source(
        name=str(path),
        format="criteo",
        columns=columns,
        load=lambda name: rows.read(columns.index(name))[0],
        load_many=lambda names: rows.read(*map(columns.index, names)),
        text=True,
        kinds={**dict.fromkeys(_NUMERIC, "numeric"), **dict.fromkeys(_CATEGORICAL, "categorical")},
    )
