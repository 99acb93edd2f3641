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
from hashrec.interactions.files import open_source
from hashrec.interactions.ids import Ids

__all__ = ["Features", "read_features"]

Floats = npt.NDArray[np.float32]

_CATEGORIES = 1_000  # of one column: more are ids, not features


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
    0 there, the mean, and a column `name=?` is 1. A column of text or booleans becomes a column
    for each value; missing values, and ids that `source` does not have, are 1 in `name=?` alone.

    Args:
        source: a file or data frame, as for `read`, with a header: one row an id.
        ids: of the log, `log.users` or `log.items`. id: the column of ids; the first by default.

    Raises DataError for what cannot be read, for ids that occur twice, for a source that knows
    none of the ids, and for a text column of more than 1,000 values.
    """
    opened = open_source(source)
    key = opened.columns[0] if id is None else id
    if key not in opened.columns:
        raise DataError(
            f"no column {key!r}", name=opened.name, expected="one of " + ", ".join(opened.columns),
            fix=nearest(key, opened.columns),
        )  # fmt: skip
    rows = _rows_of(opened.load(key), ids, opened.name)
    parts: list[tuple[str, Floats]] = []
    for column in opened.columns:
        if column != key:
            parts += _encoded(column, _flat(opened.load(column)), rows, opened.name)
    if not parts:
        raise DataError("no column but that of the ids", name=opened.name, got=key)
    values = np.stack([numbers for _, numbers in parts], axis=1)
    return Features(values, tuple(name for name, _ in parts), int((rows < 0).sum()))


def _flat(array: Any) -> Any:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


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


def _encoded(
    column: str, array: Any, rows: npt.NDArray[np.int64], name: str
) -> list[tuple[str, Floats]]:
    """The columns that one column becomes, by position."""
    taken = array.take(pa.array(rows, mask=rows < 0))
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return _numbers(column, taken)
    return _categories(column, taken.cast(pa.string()), name)


def _numbers(column: str, taken: Any) -> list[tuple[str, Floats]]:
    values = taken.cast(pa.float64()).to_numpy(zero_copy_only=False)
    known = np.isfinite(values)
    mean = values[known].mean() if known.any() else 0.0
    spread = values[known].std() if known.any() else 0.0
    scaled = np.where(known, (values - mean) / (spread or 1.0), 0.0).astype(np.float32)
    found = [(column, scaled)]
    if not known.all():
        found.append((f"{column}=?", (~known).astype(np.float32)))
    return found


def _categories(column: str, taken: Any, name: str) -> list[tuple[str, Floats]]:
    values = sorted(pc.unique(taken).drop_null().to_pylist())
    if len(values) > _CATEGORIES:
        raise DataError(
            f"column {column!r} has {len(values):,} different values", name=name,
            expected=f"at most {_CATEGORIES:,}", fix="leave it out, or group its values",
        )  # fmt: skip
    codes = pc.index_in(taken, value_set=pa.array(values, pa.string())).fill_null(-1).to_numpy()
    found = [(f"{column}={value}", (codes == at).astype(np.float32))
             for at, value in enumerate(values)]  # fmt: skip
    return [*found, (f"{column}=?", (codes < 0).astype(np.float32))]
