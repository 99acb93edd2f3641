"""Ratings and times: columns of any type as plain numbers, complete or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.errors import DataError
from hashrec.interactions.entries import Times
from hashrec.interactions.factor import Column, plain

__all__ = ["numbers", "ratings", "times"]

_MISSING_WORDS = ["", "nan", "na", "n/a", "null", "none"]


def numbers(values: Any) -> Any:
    """Text as float64, null where it is empty or a word for nothing; None where any is no number.

    Spaces around numbers do not matter.
    """
    return _cast(values, (pa.float64(),))


def ratings(column: Column) -> npt.NDArray[np.float64]:
    """(n_rows,) float64. Raises DataError for text, and for rows without a rating."""
    values = plain(column.values)
    numbers = _cast(values, (pa.float64(),))
    if numbers is None:
        raise DataError(
            "ratings are not numbers",
            name=column.where,
            expected="a number in every row",
            got=_example(values),
            fix=_ignoring("rating", "name another column with rating=... (--rating)"),
        )
    return _complete(numbers.to_numpy(), column, "rating")


def times(column: Column) -> Times:
    """(n_rows,) times: integers as int64, floats as float64, dates as int64 microseconds.

    Text is read as the first of these that fits all rows: integers, floats, ISO 8601 dates.
    Raises DataError for anything else, and for rows without a time.
    """
    values = plain(column.values)
    numbers = _cast(values, _time_types(values.type))
    if numbers is None:
        raise DataError(
            "times cannot be understood",
            name=column.where,
            expected="numbers, timestamps, or dates like 2024-12-31 or 2024-12-31T23:59:59",
            got=_example(values),
            fix=_ignoring("time", "write them in one of these ways"),
        )
    if pa.types.is_timestamp(numbers.type):
        numbers = numbers.cast(pa.int64())
    result: Times = _complete(numbers.to_numpy(), column, "time")
    return result


def _cast(values: Any, kinds: Sequence[Any]) -> Any:
    """`values` as the first of `kinds` that takes them all, or None.

    Text is first tried as it stands: most files need no trimming, and a trimmed copy of a long
    column would be the largest thing in memory.
    """
    for trimmed in (False, True) if _is_text(values.type) else (False,):
        if trimmed:
            values = _trimmed(values)
        for kind in kinds:
            try:
                return values.cast(kind, safe=not pa.types.is_timestamp(values.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                continue
    return None


def _time_types(kind: Any) -> tuple[Any, ...]:
    plain, zoned = pa.timestamp("us"), pa.timestamp("us", tz="UTC")
    if pa.types.is_integer(kind):
        return (pa.int64(),)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return (pa.float64(),)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return (plain,)
    return (pa.int64(), pa.float64(), plain, zoned) if _is_text(kind) else ()


def _trimmed(text: Any) -> Any:
    """Text without spaces around it, and null where it is a word for nothing."""
    text = pc.utf8_trim_whitespace(text.cast(pa.string()))
    missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(_MISSING_WORDS))
    return pc.if_else(missing, None, text)


def _complete(numbers: npt.NDArray[Any], column: Column, what: str) -> npt.NDArray[Any]:
    """The numbers, none of which is missing: Arrow's nulls have become NaN on their way here."""
    nan = np.isnan(numbers)
    if nan.any():
        fix = _ignoring(what, "fill them in")
        raise column.missing(f"{what}s", int(nan.sum()), int(nan.argmax()), fix)
    return numbers


def _ignoring(what: str, otherwise: str) -> str:
    return f'to ignore the column say {what}="none" (--{what} none), or {otherwise}'


def _is_text(kind: Any) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def _example(values: Any) -> str:
    """The first text that is no number, or the type of what is no text."""
    if not _is_text(values.type):
        return str(values.type)
    words = [str(value) for chunk in values.drop_null().chunks for value in chunk]
    # Python takes more for a number than Arrow does ("1_000"): then any word must do.
    return f"text such as {next((word for word in words if not _is_number(word)), words[0])!r}"


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
