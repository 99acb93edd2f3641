"""Ids keep exactly what the user wrote: the few types an id may have, and the ways between them.

An id is an int64, a uint64 or a string, nothing else. Wider types exist in files (floats that
pandas made of integers, small integers, binary text), so everything is first brought to one of
the three, without loss or with an error. All functions work on arrays of distinct values, so
their cost is that of the vocabulary and not that of the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.errors import DataError, UsageError

__all__ = ["as_arrow", "coerced", "common_type", "exact", "narrowed", "unfit"]

# A double holds every integer up to here; above it, neighbours have already been merged.
_LAST_EXACT_FLOAT = 2.0**53
_CANONICAL_INTEGER = "^(0|-?[1-9][0-9]{0,19})$"


def as_arrow(values: Any) -> Any:
    """A pa.Array or pa.ChunkedArray from anything listlike; what Arrow cannot mix becomes text."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, (str, bytes, int, float)):
        raise UsageError(
            "ids must come as a list",
            expected="a list or an array",
            got=f"the single id {values!r}",
        )
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return _wide(list(values))


def _wide(values: list[Any]) -> Any:
    """Integers above int64 as uint64; anything else as text."""
    try:
        return pa.array(values, type=pa.uint64())
    except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError):
        return pa.array([_text(value) for value in values], type=pa.string())


def _text(value: Any) -> str | None:
    try:
        str(value).encode()
    except UnicodeEncodeError:  # lone surrogates: no file in UTF-8 can hold such an id
        return None
    return None if value is None else str(value)


def exact(values: Any, where: str) -> Any:
    """`values` (pa.Array, no nulls) as int64, uint64 or string, each value unchanged.

    Integers come as int64 wherever they fit, so that the same ids have the same type from every
    file format. Raises DataError where the type cannot be an id or a float is not whole.
    """
    kind = values.type
    if pa.types.is_integer(kind):
        return _smallest_integer(values)
    if pa.types.is_floating(kind):
        return _whole(values.cast(pa.float64()), where)
    if _is_text(kind):
        return _utf8(values, where)
    raise unfit(kind, where)


def unfit(kind: Any, where: str) -> DataError:
    """The error for a column whose type cannot be an id."""
    return DataError(
        "this column cannot hold ids",
        name=where,
        expected="integers or text",
        got=f"type {kind}",
        fix="convert the column to text or to integers first",
    )


def _is_text(kind: Any) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests + binary)


def _utf8(values: Any, where: str) -> Any:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid as fault:
        raise DataError("ids are not UTF-8 text", name=where, got=str(fault)) from fault


def _smallest_integer(values: Any) -> Any:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        return values.cast(pa.uint64())


def _whole(values: Any, where: str) -> Any:
    numbers = values.to_numpy(zero_copy_only=False)
    broken = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)))
    broken |= np.abs(numbers) > _LAST_EXACT_FLOAT
    if broken.any():
        raise DataError(
            "ids are floating-point numbers and not all whole",
            name=where,
            expected="integers up to 2**53, or text",
            got=repr(float(numbers[broken][0])),
            fix="convert the column to integers or to text",
        )
    return pa.array(numbers.astype(np.int64))


def narrowed(values: Any) -> Any:
    """Text ids as integers, if each of them is exactly how that integer is written.

    One "007", "+1" or " 1" and all stay text: an id that came back changed would be no id.
    """
    for kind in (pa.int64(), pa.uint64()):
        try:
            numbers = values.cast(kind)
        except pa.ArrowInvalid:
            continue
        if numbers.cast(pa.string()).equals(values):
            return numbers
    return values


def common_type(kinds: Sequence[Any], any_negative: bool) -> Any:
    """The type that holds ids of all `kinds` exactly.

    Text with integers gives text; int64 with uint64 gives uint64, or text if some are negative.
    """
    if len(set(kinds)) == 1:
        return kinds[0]
    if pa.string() in kinds or any_negative:
        return pa.string()
    return pa.uint64()


def coerced(values: Any, kind: Any) -> Any:
    """`values` (any array, nulls allowed) as `kind`; null wherever no id of `kind` is meant."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_floating(values.type):
        values = _whole_or_null(values)
    if pa.types.is_integer(values.type):
        if kind == pa.string():
            return values.cast(pa.string())
        return _in_range(values.cast(pa.decimal128(20, 0)), kind)
    if not _is_text(values.type):
        return pa.nulls(len(values), kind)
    text = values.cast(pa.string())
    if kind == pa.string():
        return text
    canonical = pc.match_substring_regex(text, _CANONICAL_INTEGER)
    return _in_range(pc.if_else(canonical, text, None).cast(pa.decimal128(20, 0)), kind)


def _whole_or_null(values: Any) -> Any:
    numbers = values.cast(pa.float64())
    whole = pc.equal(numbers, pc.floor(numbers))
    fits = pc.less_equal(pc.abs(numbers), pa.scalar(_LAST_EXACT_FLOAT))
    return pc.if_else(pc.and_(whole, fits), numbers, None).cast(pa.int64())


def _in_range(numbers: Any, kind: Any) -> Any:
    """Decimals, because they alone hold int64 and uint64 both, as integers of `kind`."""
    limits = np.iinfo(np.int64 if kind == pa.int64() else np.uint64)
    low, high = (pa.scalar(Decimal(int(end)), numbers.type) for end in (limits.min, limits.max))
    fits = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
    return pc.if_else(fits, numbers, None).cast(kind)
