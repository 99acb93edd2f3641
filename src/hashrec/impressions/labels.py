"""What happened at each impression: 1 or 0, from a column of them or from ratings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashrec.component import nearest
from hashrec.errors import DataError
from hashrec.interactions.columns import squashed
from hashrec.interactions.factor import Column
from hashrec.interactions.values import ratings

__all__ = ["Labels", "label_column", "labels"]

Labels = npt.NDArray[np.float32]

_KNOWN = ("label", "clicked", "click", "isclick", "y", "target", "converted", "conversion")
_FIX = "name it with label=... (--label), and for ratings add threshold=... (--threshold)"


def label_column(columns: Sequence[str], named: str | None, source: str) -> str:
    """The column of labels: as named, else known by its name. Raises DataError where there is
    none, or two."""
    if named is not None:
        if named not in columns:
            raise DataError(
                f"there is no column {named!r}", name=source, expected="the label column",
                got="the columns " + ", ".join(map(repr, columns)), fix=nearest(named, columns),
            )  # fmt: skip
        return named
    found = [column for column in columns if squashed(column) in _KNOWN]
    if len(found) != 1:
        problem = f"{len(found)} columns may be the label" if found else "no column is known to be "
        problem += "" if found else "the label"
        got = "the columns " + ", ".join(map(repr, found or columns))
        raise DataError(problem, name=source, got=got, fix=_FIX)
    return found[0]


def labels(column: Column, threshold: float | None) -> Labels:
    """(n,) float32 of 0 and 1: the column itself, or whether it is at least `threshold`.

    Raises DataError for missing values, for text, and without a threshold for anything but 0 and 1.
    """
    values = column.values
    if pa.types.is_boolean(values.type):
        column = Column(column.source, column.name, values.cast(pa.int8()), column.first_row)
    given = ratings(column)
    if threshold is not None:
        return (given >= threshold).astype(np.float32)
    other = np.flatnonzero((given != 0) & (given != 1))
    if len(other):
        raise DataError(
            "labels are 0 or 1", name=column.where, expected="0 or 1 in every row",
            got=f"{given[other[0]]:g} in row {other[0] + column.first_row} ({len(other):,} such)",
            fix="give threshold=... (--threshold): 1 is what is at least that",
        )  # fmt: skip
    return given.astype(np.float32)
