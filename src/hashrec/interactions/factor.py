"""From a column of raw ids to codes: one small integer a row and a list of distinct values.

The log itself is touched once and thrown away; whatever is done to ids afterwards (typing,
sorting, merging the parts of a split) is done to the distinct values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.errors import DataError
from hashrec.interactions.exact import common_type, exact, narrowed, unfit

__all__ = ["Coded", "Column", "decoded", "factorise", "plain", "ranked"]


@dataclass(frozen=True)
class Column:
    """One column of a source, and how to speak of it.

    Attributes:
        source: the file or the kind of table it came from.
        name: the column's name there.
        values: pa.Array or pa.ChunkedArray of any type.
        first_row: what the source calls its first row of data (2 below a header line).
        text: the source has no types, so integers came as text.
        row_in: what the row of a position is called, where `first_row` does not tell.
    """

    source: str
    name: str
    values: Any
    first_row: int = 1
    text: bool = False
    row_in: Callable[[int], str] | None = None

    @property
    def where(self) -> str:
        return f"{self.source}, column {self.name!r}" if self.name else self.source

    def row(self, position: int) -> str:
        """What messages call the row of a position, which counts from 0."""
        if self.row_in is not None:
            return self.row_in(position)
        return f"row {position + self.first_row}"

    def missing(self, what: str, count: int, first: int, fix: str) -> DataError:
        """The error for `count` rows without a value, the `first` of them counted from 0."""
        return DataError(
            f"missing {what}",
            name=self.where,
            expected="a value in every row",
            got=f"{count} missing, the first in {self.row(first)}",
            fix=fix,
        )


@dataclass(frozen=True)
class Coded:
    """A column as codes: row r holds `values[codes[r]]`.

    Attributes:
        values: distinct ids, pa.Array of int64, uint64 or string; some may be in no row.
        codes: (n_rows,) int32.
    """

    values: Any
    codes: npt.NDArray[np.int32]

    def where(self, keep: npt.NDArray[np.bool_]) -> Coded:
        """Only the rows chosen by the mask."""
        return Coded(self.values, self.codes[keep])


def factorise(column: Column) -> Coded:
    """Codes and exact distinct ids of a column. Raises DataError for missing or unfit ids."""
    chunks = decoded(column.values)
    if chunks.null_count:
        raise _no_id(column, chunks.null_count, pc.index(chunks.is_null(), True).as_py())
    try:
        encoded = chunks.dictionary_encode().chunks  # Arrow gives all of them one dictionary
    except pa.ArrowNotImplementedError as fault:  # lists, structures
        raise unfit(chunks.type, column.where) from fault
    if not encoded:
        return Coded(exact(pa.array([], chunks.type), column.where), np.zeros(0, np.int32))
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded])
    values = encoded[0].dictionary
    if pa.types.is_floating(values.type):
        _refuse_nan(column, values, codes)
    values = exact(values, column.where)
    return Coded(narrowed(values) if column.text else values, codes)


def plain(values: Any) -> Any:
    """As chunks without a dictionary."""
    chunks = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    return chunks.cast(chunks.type.value_type) if pa.types.is_dictionary(chunks.type) else chunks


def decoded(values: Any) -> Any:
    """As chunks of plain values; Arrow's empty type, which holds nulls only, as text."""
    chunks = plain(values)
    return chunks.cast(pa.string()) if pa.types.is_null(chunks.type) else chunks


def _refuse_nan(column: Column, values: Any, codes: npt.NDArray[np.int32]) -> None:
    nan = np.isnan(values.cast(pa.float64()).to_numpy(zero_copy_only=False))[codes]
    if nan.any():
        raise _no_id(column, int(nan.sum()), int(nan.argmax()))


def _no_id(column: Column, count: int, first: int) -> DataError:
    return column.missing("ids", count, first, "remove those rows, or give them an id")


def ranked(parts: Sequence[Coded]) -> tuple[Any, list[npt.NDArray[np.int32]]]:
    """The sorted union of the ids of all parts, and the position of every row of each part.

    Returns a pa.Array and one (n_rows,) int32 array a part.
    """
    kind = common_type([part.values.type for part in parts], any(map(_any_negative, parts)))
    union = pa.chunked_array([part.values.cast(kind) for part in parts]).combine_chunks()
    encoded = union.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    place = rank[encoded.indices.to_numpy()]
    starts = np.cumsum([0] + [len(part.values) for part in parts])
    positions = [
        place[start : start + len(part.values)][part.codes]
        for start, part in zip(starts, parts, strict=False)
    ]
    return encoded.dictionary.take(order), positions


def _any_negative(part: Coded) -> bool:
    return bool(
        part.values.type == pa.int64() and len(part.values) and pc.min(part.values).as_py() < 0
    )
