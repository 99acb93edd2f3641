"""What happened at each impression: 1 or 0, from a column of them or from ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.errors import DataError
from hashrec.impressions.values import doubles
from hashrec.interactions.columns import column_for, squashed
from hashrec.interactions.factor import Column

__all__ = ["Labels", "label_column", "labels", "may_tell"]

Labels = npt.NDArray[np.float32]

_KNOWN = ("label", "clicked", "click", "isclick", "y", "target", "converted", "conversion")
_BOOLEANS = pa.array(["true", "false"])
_FIX = "name it with label=... (--label), and for ratings add threshold=... (--threshold)"


def label_column(columns: Sequence[str], named: str | None, source: str) -> str:
    """The column of labels: as named, else known by its name. Raises DataError where there is
    none, or two."""
    if named is not None:
        column = column_for("label", named, columns, source, False)
        assert column is not None
        return column
    found = [column for column in columns if may_tell(column)]
    if len(found) != 1:
        problem = f"{len(found)} columns may be the label" if found else "no column is known to be "
        problem += "" if found else "the label"
        got = "the columns " + ", ".join(map(repr, found or columns))
        raise DataError(problem, name=source, got=got, fix=_FIX)
    return found[0]


def may_tell(column: str) -> bool:
    """Whether a column is a label by its name."""
    return squashed(column) in _KNOWN


def labels(column: Column, threshold: float | None) -> Labels:
    """(n,) float32 of 0 and 1: the column itself, or whether it is at least `threshold`.

    Raises DataError for missing values, for text that is neither numbers nor booleans, and without
    a threshold for anything but 0 and 1.
    """
    given = _numbers(column)
    if threshold is not None:
        if not np.isfinite(threshold):
            raise DataError(
                "the threshold is not finite", name="threshold", expected="a number",
                got=f"{threshold}", fix="give another with threshold=... (--threshold)",
            )  # fmt: skip
        return (given >= threshold).astype(np.float32)
    other = np.flatnonzero((given != 0) & (given != 1))
    if len(other):
        raise DataError(
            "labels are 0 or 1", name=column.where, expected="0 or 1 in every row",
            got=f"{given[other[0]]:g} in {column.row(int(other[0]))} ({len(other):,} such)",
            fix="give threshold=... (--threshold): 1 is what is at least that",
        )  # fmt: skip
    return given.astype(np.float32)


def _unspelled(column: Column) -> Column:
    """Text that holds booleans, however they are spelled, as booleans."""
    if pa.types.is_string(column.values.type):
        lower = pc.utf8_lower(column.values)
        if pc.all(pc.is_in(lower.drop_null(), value_set=_BOOLEANS)).as_py():
            return replace(column, values=lower.cast(pa.bool_()))
    return column


def _numbers(column: Column) -> npt.NDArray[np.float64]:
    """All of them; raises DataError for what is no number, and for rows without one."""
    given = doubles(_unspelled(column), "labels are not numbers", "a number in every row",
                    "name another column with label=... (--label)")  # fmt: skip
    missing = np.isnan(given)
    if missing.any():
        raise column.missing("labels", int(missing.sum()), int(missing.argmax()),
                             "remove those rows, or name another column with --label")  # fmt: skip
    return given
