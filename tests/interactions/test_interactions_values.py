"""Ratings and times, from every type that files and frames give them."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hashrec.errors import DataError
from hashrec.interactions.factor import Column
from hashrec.interactions.values import ratings, times

DAY = 86_400_000_000  # microseconds


def column(values: Any) -> Column:
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        values = pa.array(values)
    return Column("log.csv", "x", values, first_row=2)


@pytest.mark.parametrize(
    "values",
    [
        [1, 4],
        [1.0, 4.0],
        ["1", " 4.0 "],
        [decimal.Decimal(1), decimal.Decimal(4)],
        pa.array(["1", "4"]).dictionary_encode(),
        pa.array(["1", "4"], pa.large_string()),
        pa.chunked_array([[1], [4]]),
        pa.array([1, 4], pa.uint8()),
    ],
)
def test_ratings_of_any_type_are_floats(values: Any) -> None:
    result = ratings(column(values))
    assert result.dtype == np.float64
    assert result.tolist() == [1, 4]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["4", "good"], "^log.csv, column 'x': ratings are not numbers; expected a number in every "
         "row; got text such as 'good'.*--rating none"),
        (["4", "", "nan", "NA"], "missing ratings.*got 3 missing, the first in row 3.*"
         'say rating="none" .--rating none.'),
        ([1.0, float("nan")], "got 1 missing, the first in row 3"),
        (["1_000"], "ratings are not numbers.*'1_000'"),
        (["4", None, "good"], "ratings are not numbers.*'good'"),
        ([None, 1.0], "got 1 missing, the first in row 2"),
        ([datetime.time(1)], "ratings are not numbers.*got time"),
    ],
)  # fmt: skip
def test_ratings_that_are_none_are_refused(values: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        ratings(column(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 5], [3, 5]),
        (["3", "5"], [3, 5]),
        (["3", "5.5"], [3.0, 5.5]),
        ([2.5], [2.5]),
        (["1970-01-02", "1970-01-01 12:00:00"], [DAY, DAY // 2]),
        (["1970-01-02T00:00:00.000001Z", "1970-01-02T01:00:00+01:00"], [DAY + 1, DAY]),
        ([datetime.date(1970, 1, 3)], [2 * DAY]),
        ([datetime.datetime(1970, 1, 2)], [DAY]),
        (pa.array([1_500], pa.timestamp("ns")), [1]),
        (pa.array([1], pa.timestamp("s", tz="UTC")), [1_000_000]),
        (pa.array([0], pa.timestamp("s", tz="Europe/Berlin")), [0]),
        (pa.array(["1970-01-02"]).dictionary_encode(), [DAY]),
    ],
)
def test_times_of_any_type_are_numbers(values: Any, expected: list[float]) -> None:
    result = times(column(values))
    assert result.tolist() == expected
    assert result.dtype == np.array(expected).dtype


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["5", "yesterday"], "times cannot be understood; expected .*2024-12-31.*"
         "text such as 'yesterday'.*--time none"),
        ([1, None], "missing times.*1 missing, the first in row 3.*--time none"),
        ([float("nan")], "missing times"),
        (pa.array([None], pa.timestamp("us")), "missing times"),
        (pa.array([2**63], pa.uint64()), "times cannot be understood.*uint64"),
        ([True], "times cannot be understood.*bool"),
    ],
)  # fmt: skip
def test_times_that_are_none_are_refused(values: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        times(column(values))
