"""Data frames of pandas, polars and Arrow, through narwhals: none of them is imported here."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import pyarrow as pa

from hashrec.errors import DataError
from hashrec.interactions.formats.source import Source

__all__ = ["open_frame"]


def open_frame(source: Any) -> Source | None:
    """The frame's columns, its index not among them; None where `source` is no data frame."""
    name = f"{type(source).__module__.partition('.')[0]} {type(source).__name__}"
    try:
        frame: Any = nw.from_native(source, pass_through=True)
    except ValueError as fault:  # narwhals refuses columns of the same name
        problem = " ".join(str(fault).split())
        raise DataError("this data frame cannot be read", name=name, got=problem) from fault
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, nw.DataFrame):
        return None
    columns = {str(column): column for column in frame.columns}

    def load(column: str) -> Any:
        try:
            return frame.get_column(columns[column]).to_arrow()
        except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError) as fault:
            raise DataError(
                "this column holds values of several types",
                name=f"{name}, column {column!r}",
                expected="numbers only, or text only",
                got=str(fault),
                fix="convert it first, e.g. with astype(str)",
            ) from fault

    return Source(name, "frame", tuple(columns), load)
