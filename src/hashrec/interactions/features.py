"""Features of users or items as numbers by position, for encoders that take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.component import nearest
from hashrec.errors import DataError
from hashrec.interactions.factor import Column
from hashrec.interactions.files import open_source
from hashrec.interactions.formats import Source
from hashrec.interactions.ids import Ids
from hashrec.interactions.values import numbers

__all__ = ["Features", "read_features"]

Floats = npt.NDArray[np.float32]

_CATEGORIES = 1_000  # of one column: more are ids, not features
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_WORDS = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_boolean,
    pa.types.is_null,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Features:
    """Numbers that describe ids.

    Attributes:
        values: (n, f) float32 by position, finite. names: of the f columns: `age`, `job=nurse`,
            `job=?` (unknown), `age=?`.
        missing: how many ids the source says nothing about.
    """

    values: Floats
    names: tuple[str, ...]
    missing: int


def read_features(source: Any, ids: Ids, *, id: str | None = None) -> Features:
    """Every other column of `source`, for the ids of one side.

    A column of numbers is standardised over the ids it is known for; where any is missing, it is
    0 there, the mean, and a column `name=?` is 1. NaN and infinity are missing. A column of text
    or booleans becomes a column for each value; missing values, and ids that `source` does not
    have, are 1 in `name=?` alone. Text files have no types: there a column is one of numbers
    where all that is not missing reads as a number. Rows of other ids are not looked at.

    Args:
        source: a file or data frame, as for `read`, with a header: one row an id.
        ids: of the log, `log.users` or `log.items`. id: the column of ids; the first by default.

    Raises DataError for what cannot be read, for ids that occur twice, for a source that knows
    none of the ids, for columns of other types (dates, lists), and for a text column of more than
    1,000 values.
    """
    opened = open_source(source)
    key = _key(opened, id)
    rows = _rows_of(opened.load(key), ids, opened.name)
    parts: list[tuple[str, Floats]] = []
    for column in opened.columns:
        if column != key:
            parts += _encoded(opened.column(column), rows)
    if not parts:
        raise DataError("no column but that of the ids", name=opened.name, got=key)
    values = np.stack([one for _, one in parts], axis=1)
    return Features(values, tuple(name for name, _ in parts), int((rows < 0).sum()))


def _key(opened: Source, id: str | None) -> str:
    """The column of ids, among columns that can be told apart."""
    columns = opened.columns
    if not columns:
        raise DataError("there are no columns", name=opened.name, expected="ids and features")
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise DataError("two columns of one name", name=opened.name, got=repr(twice[0]),
                        fix="rename one of them")  # fmt: skip
    key = columns[0] if id is None else id
    if key not in columns:
        raise DataError(
            f"no column {key!r}", name=opened.name, expected="one of " + ", ".join(columns),
            fix=nearest(key, columns),
        )  # fmt: skip
    return key


def _rows_of(raw: Any, ids: Ids, name: str) -> npt.NDArray[np.int64]:
    """(n_ids,) the row of each id in the source, or -1."""
    positions = ids.positions(raw)
    known = np.flatnonzero(positions >= 0)
    if not len(known):
        raise DataError(
            "features of other ids", name=name, expected=f"ids such as {ids.array[0].as_py()!r}",
            got=f"{len(positions)} rows, none of them known",
        )  # fmt: skip
    rows = np.full(len(ids), -1, dtype=np.int64)
    rows[positions[known]] = known
    if len(np.unique(positions[known])) < len(known):
        twice = int(np.flatnonzero(np.bincount(positions[known]) > 1)[0])
        raise DataError("an id with two rows of features", name=name,
                        got=repr(ids.array[twice].as_py()))  # fmt: skip
    return rows


def _encoded(column: Column, rows: npt.NDArray[np.int64]) -> list[tuple[str, Floats]]:
    """The columns that one column becomes, by position."""
    values = _flat(column.values)
    coded = pa.types.is_dictionary(values.type)
    kind = values.type.value_type if coded else values.type
    at = pa.array(rows, mask=rows < 0)
    if not coded and any(test(kind) for test in _NUMBERS):
        return _standardised(column.name, values.cast(pa.float64(), safe=False).take(at))
    if not any(test(kind) for test in _NUMBERS + _WORDS):
        raise DataError(
            "this column cannot be a feature", name=column.where,
            expected="numbers, text or booleans", got=f"type {kind}",
            fix="make numbers of it, or leave it out",
        )  # fmt: skip
    words = values.cast(kind).cast(pa.string()).take(at)
    found = numbers(words) if column.text else None
    if found is not None and found.null_count < len(found):
        return _standardised(column.name, found)
    return _categories(column, words)


def _flat(array: Any) -> Any:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _standardised(name: str, taken: Any) -> list[tuple[str, Floats]]:
    values = taken.to_numpy(zero_copy_only=False)
    known = np.isfinite(values)
    scaled = np.zeros(len(values), dtype=np.float32)
    if known.any():
        scaled[known] = _unit(values[known])
    found = [(name, scaled)]
    if not known.all():
        found.append((f"{name}=?", (~known).astype(np.float32)))
    return found


def _unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean 0 and standard deviation 1, or zeros where all are the same."""
    if values.min() == values.max():  # a mean that was rounded would leave a spread
        return np.zeros_like(values)
    values = values / np.abs(values).max()  # squares of 1e300 are infinite
    unit: npt.NDArray[np.float64] = (values - values.mean()) / values.std()
    return unit


def _categories(column: Column, taken: Any) -> list[tuple[str, Floats]]:
    values = sorted(pc.unique(taken).drop_null().to_pylist())
    if len(values) > _CATEGORIES:
        raise DataError(
            f"{len(values):,} different values", name=column.where,
            expected=f"at most {_CATEGORIES:,}", fix="leave it out, or group its values",
        )  # fmt: skip
    codes = pc.index_in(taken, value_set=pa.array(values, pa.string())).fill_null(-1).to_numpy()
    found = [(f"{column.name}={value}", (codes == at).astype(np.float32))
             for at, value in enumerate(values)]  # fmt: skip
    return [*found, (f"{column.name}=?", (codes < 0).astype(np.float32))]
