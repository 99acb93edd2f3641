"""The values of fields as read: words, numbers, and bags of words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.errors import DataError
from hashrec.impressions.field import Kind
from hashrec.interactions.exact import exact
from hashrec.interactions.factor import Column, decoded
from hashrec.interactions.values import numbers

__all__ = [
    "Bags",
    "Numbers",
    "Values",
    "Words",
    "bags",
    "doubles",
    "floats",
    "is_text",
    "values_of",
    "words",
]

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Words:
    """One word a row.

    Attributes:
        codes: (n,) int32 places in `known`, -1 for a row without a word.
        known: pa.StringArray of distinct words, some of which may be in no row.
    """

    kind: ClassVar[Kind] = "categorical"

    codes: npt.NDArray[np.int32]
    known: Any

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(n,) which rows have a word."""
        return self.codes >= 0

    def same(self, other: Any) -> npt.NDArray[np.bool_]:
        """(n,) which rows have the same word, both having the same `known`."""
        return np.asarray(self.codes == other.codes)

    def take(self, rows: Places) -> Words:
        """The named rows; -1 is a row without a word."""
        return replace(self, codes=np.append(self.codes, np.int32(-1))[rows])


@dataclass(frozen=True, eq=False)
class Numbers:
    """One number a row: (n,) float64, NaN where there is none."""

    kind: ClassVar[Kind] = "numeric"

    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(n,) which rows have a number."""
        return ~np.isnan(self.values)

    def same(self, other: Any) -> npt.NDArray[np.bool_]:
        """(n,) which rows have the same number."""
        return np.asarray(self.values == other.values)

    def take(self, rows: Places) -> Numbers:
        """The named rows; -1 is a row without a number."""
        return Numbers(np.append(self.values, np.nan)[rows])


@dataclass(frozen=True, eq=False)
class Bags:
    """Any number of words a row, in order.

    Attributes:
        offsets: (n + 1,) int64; row r has `codes[offsets[r]:offsets[r + 1]]`.
        codes: (n_words,) int32 places in `known`, a pa.StringArray of distinct words.
    """

    kind: ClassVar[Kind] = "multi"

    offsets: Places
    codes: npt.NDArray[np.int32]
    known: Any

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(n,) which rows have a word."""
        return np.diff(self.offsets) > 0

    def same(self, other: Any) -> npt.NDArray[np.bool_]:
        """(n,) which rows have the same words in the same order, both having the same `known`."""
        lengths = np.diff(self.offsets)
        alike = lengths == np.diff(other.offsets)
        rows = np.flatnonzero(alike)
        mine, theirs = self.take(rows), other.take(rows)
        differ = np.repeat(rows, lengths[rows])[mine.codes != theirs.codes]
        alike[differ] = False
        return np.asarray(alike)

    def take(self, rows: Places) -> Bags:
        """The named rows; -1 is an empty one."""
        starts = np.append(self.offsets[:-1], 0)[rows]
        lengths = np.append(np.diff(self.offsets), 0)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        inside = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return Bags(offsets, self.codes[np.repeat(starts, lengths) + inside], self.known)


_BOOLEANS = pa.array(["True", "TRUE", "False", "FALSE"])
_WHOLE = r"^-?(0|[1-9][0-9]*)\.0$"

Values: TypeAlias = Words | Numbers | Bags


def values_of(column: Column, kind: Kind, separator: str) -> Values:
    """A column as values of a kind. Raises DataError where they are of another."""
    if kind == "numeric":
        return floats(column)
    return words(column) if kind == "categorical" else bags(column, separator)


def words(column: Column) -> Words:
    """Text as it is, integers and whole floats as they are written, booleans as true and false;
    also where text has True, TRUE or 3.0: whoever wrote it meant true and 3.

    Nothing, an empty text and NaN are no words. Raises DataError for other types.
    """
    chunks = decoded(column.values)
    if pa.types.is_floating(chunks.type):
        chunks = pc.if_else(pc.is_nan(chunks), None, pc.add(chunks, 0.0))  # zero has no sign
    return Words(*_coded(chunks, column))


def floats(column: Column) -> Numbers:
    """Raises DataError, with an example, for text that is no number."""
    values = doubles(column, "a numeric field holds what is no number", "numbers, or nothing",
                     "name it among the categorical fields, or mend the column")  # fmt: skip
    return Numbers(np.where(np.isfinite(values), values, np.nan))


def doubles(column: Column, problem: str, expected: str, fix: str) -> npt.NDArray[np.float64]:
    """(n,) as they stand, NaN where there is none. Raises DataError with the words given."""
    chunks = decoded(column.values)
    if pa.types.is_boolean(chunks.type):
        chunks = chunks.cast(pa.int8())
    if pa.types.is_integer(chunks.type):  # rounded where a double has not enough digits
        chunks = chunks.cast(pa.float64(), safe=False)
    found = numbers(chunks)
    if found is None:
        raise DataError(
            problem, name=column.where, expected=expected, got=_no_number(chunks), fix=fix
        )
    return np.asarray(found.to_numpy(), dtype=np.float64)


def bags(column: Column, separator: str) -> Bags:
    """Lists of words, or text that holds them between separators; empty words are left out."""
    chunks = decoded(column.values)
    kind = chunks.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lists = chunks.combine_chunks() if chunks.num_chunks != 1 else chunks.chunk(0)
    else:
        lists = pc.split_pattern(_text(chunks, column), separator)
        lists = lists.combine_chunks() if lists.num_chunks != 1 else lists.chunk(0)
    # Not list_parent_indices: it counts what stands behind a list that is null.
    many = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    parents = np.repeat(np.arange(len(lists)), many)
    codes, known = _coded(pa.chunked_array([pc.list_flatten(lists)]), column)
    kept = codes >= 0
    lengths = np.bincount(parents[kept], minlength=len(lists))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Bags(offsets, codes[kept], known)


def is_text(column: Column) -> bool:
    """Whether a column is no lists."""
    kind = decoded(column.values).type
    return not (pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _coded(chunks: Any, column: Column) -> tuple[npt.NDArray[np.int32], Any]:
    """(n,) int32 places in distinct text, -1 for nulls and empty text; and that text."""
    try:
        encoded = chunks.dictionary_encode().combine_chunks()
    except pa.ArrowNotImplementedError as fault:
        raise _unfit(column, chunks.type) from fault
    if isinstance(encoded, pa.ChunkedArray):  # of no chunks at all
        return np.zeros(0, np.int32), pa.array([], pa.string())
    codes = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int32)
    codes, known = _respelled(codes, _text(encoded.dictionary, column))
    blank = pc.index_in(pa.scalar(""), known).as_py()
    return (codes if blank is None else np.where(codes == blank, np.int32(-1), codes)), known


def _respelled(codes: npt.NDArray[np.int32], known: Any) -> tuple[npt.NDArray[np.int32], Any]:
    """Words that others write otherwise made one: booleans (pandas writes True, spreadsheets TRUE)
    and whole numbers (pandas writes 3.0 in a column that lacks some)."""
    boolean = pc.is_in(known, value_set=_BOOLEANS)
    whole = pc.match_substring_regex(known, _WHOLE)
    if not pc.any(pc.or_(boolean, whole)).as_py():
        return codes, known
    merged = pc.if_else(boolean, pc.utf8_lower(known), known)
    merged = pc.if_else(whole, pc.utf8_slice_codeunits(merged, 0, -2), merged).dictionary_encode()
    places = np.append(merged.indices.to_numpy().astype(np.int32), np.int32(-1))
    return places[codes], merged.dictionary


def _text(values: Any, column: Column) -> Any:
    if pa.types.is_boolean(values.type):
        return values.cast(pa.string())
    try:
        if isinstance(values, pa.ChunkedArray):
            return values.cast(pa.string())
        return exact(values, column.where).cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as fault:
        raise _unfit(column, values.type) from fault
    except DataError as fault:
        raise _unfit(column, values.type, fault.got) from fault


def _unfit(column: Column, kind: Any, got: str = "") -> DataError:
    return DataError(
        "this column cannot be a field of words", name=column.where,
        expected="text, integers, booleans, or lists of them",
        got=f"type {kind}" + (f", {got}" if got and not got.startswith("type") else ""),
        fix=_otherwise(kind),
    )  # fmt: skip


def _otherwise(kind: Any) -> str:
    if pa.types.is_temporal(kind):
        return "make a text or a number of it, such as the hour, or ignore it"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "name it among the numeric fields, convert it, or ignore it"
    return "convert it, or ignore it"


def _no_number(chunks: Any) -> str:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if not any(test(chunks.type) for test in kinds):
        return f"type {chunks.type}"
    chunks = chunks.cast(pa.string())
    for word in pc.unique(chunks.drop_null()).to_pylist():
        if numbers(pa.chunked_array([pa.array([word])])) is None:
            return f"text such as {word!r}"
    return "text"
