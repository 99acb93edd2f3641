"""Values of fields: words, numbers and bags, from every type that files and frames give them."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from impressions_cases import column, plain

from hashrec.errors import DataError
from hashrec.impressions.values import Bags, Numbers, Words, bags, floats, values_of, words

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
LISTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=4), max_size=8)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["b", None, "a", "b"], pa.string(), ["b", None, "a", "b"]),
        (["b", None, "b"], pa.large_string(), ["b", None, "b"]),
        (["b", None], pa.string_view(), ["b", None]),
        (["", " a", "A", "a"], pa.string(), [None, " a", "A", "a"]),
        ([7, None, -1], pa.int8(), ["7", None, "-1"]),
        ([2**64 - 1, 0], pa.uint64(), ["18446744073709551615", "0"]),
        ([-(2**63), 2**63 - 1], pa.int64(), ["-9223372036854775808", "9223372036854775807"]),
        ([3.0, math.nan, None], pa.float64(), ["3", None, None]),
        ([True, None, False], pa.bool_(), ["true", None, "false"]),
        ([None, None], pa.null(), [None, None]),
        ([b"ab"], pa.binary(), ["ab"]),
        ([], pa.string(), []),
    ],
    ids=str,
)
def test_words_are_written_as_they_are(values: list[Any], kind: Any, expected: list[Any]) -> None:
    found = words(column(values, kind))
    assert plain(found) == expected
    assert len(found) == len(expected)
    assert found.codes.dtype == np.int32
    assert found.known.type == pa.string()


def test_chunks_and_dictionaries_are_the_same_words() -> None:
    chunks = pa.chunked_array([["a", "b"], [], ["b", None, "c"]], pa.string())
    expected = ["a", "b", "b", None, "c"]
    assert plain(words(column(chunks))) == expected
    assert plain(words(column(chunks.dictionary_encode()))) == expected
    apart = [part.dictionary_encode() for part in chunks.chunks if len(part)]
    assert plain(words(column(pa.chunked_array(apart)))) == expected
    assert len(words(column(pa.chunked_array([], pa.string())))) == 0
    repeated = pa.DictionaryArray.from_arrays([0, 1, 2, None], pa.array(["a", "a", None]))
    assert plain(words(column(repeated))) == ["a", "a", None, None]
    numbers = pa.array([10, 20, 10]).dictionary_encode()
    assert plain(words(column(numbers))) == ["10", "20", "10"]


def test_both_zeros_are_one_word() -> None:
    """Known words are distinct: else a vocabulary counts 0 twice."""
    found = words(column([0.0, -0.0, 1.0]))
    assert plain(found) == ["0", "0", "1"]
    assert sorted(found.known.to_pylist()) == ["0", "1"]


REFUSED: dict[str, tuple[list[Any], Any, str]] = {
    "fractions": ([1.0, 1.5], pa.float64(), "type double, 1.5"),
    "infinite": ([1.0, math.inf], pa.float64(), "type double, inf"),
    "beyond 2^53": ([1e300], pa.float64(), "type double, 1e\\+300"),
    "dates": ([datetime.date(2024, 1, 1)], None, "type date32"),
    "decimals": ([decimal.Decimal("1.5")], None, "type decimal128"),
    "lists": ([["a"]], None, "type list<"),
    "structures": ([{"a": 1}], None, "type struct<"),
    "bytes": ([b"\xff"], None, "type binary"),
}


@pytest.mark.parametrize(("values", "kind", "got"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_word_is_refused(values: list[Any], kind: Any, got: str) -> None:
    expected = (
        "log.csv, column 'x': this column cannot be a field of words; expected text, integers, "
        f"booleans, or lists of them; got {got}.*or ignore it"
    )
    with pytest.raises(DataError, match=expected):
        words(column(values, kind))


def test_a_type_is_named_once() -> None:
    """Bug: "got type date32[day], type date32[day]"."""
    with pytest.raises(DataError, match="got type date32") as caught:
        words(column([datetime.date(2024, 1, 1)]))
    assert caught.value.got.count("date32") == 1


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, -3], pa.int16(), [1, None, -3]),
        ([0.5, math.nan, math.inf, -math.inf, None], pa.float64(), [0.5, None, None, None, None]),
        ([1e300, -1e300, 5e-324], pa.float64(), [1e300, -1e300, 5e-324]),
        ([True, None, False], pa.bool_(), [1, None, 0]),
        ([" 1 ", "2e3", "NaN", "inf", "", "NA", None], pa.string(), [1, 2000, *[None] * 5]),
        (["1", "-2.5"], pa.large_string(), [1, -2.5]),
        ([decimal.Decimal("1.25"), None], pa.decimal128(5, 2), [1.25, None]),
        ([None, None], pa.null(), [None, None]),
        ([], pa.float32(), []),
    ],
    ids=str,
)
def test_numbers_are_finite_or_nothing(values: list[Any], kind: Any, expected: list[Any]) -> None:
    found = floats(column(values, kind))
    assert plain(found) == expected
    assert found.values.dtype == np.float64


def test_numbers_may_be_dictionaries_and_chunks() -> None:
    assert plain(floats(column(pa.array([1.5, None, 1.5]).dictionary_encode()))) == [1.5, None, 1.5]
    assert plain(floats(column(pa.array(["1", "2"]).dictionary_encode()))) == [1, 2]
    assert plain(floats(column(pa.chunked_array([[1], [], [2]], pa.int64())))) == [1, 2]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([2**53 + 1, 1], pa.int64()), ([2**64 - 1, 1], pa.uint64()), ([2**60, None], pa.int64())],
    ids=str,
)
def test_integers_beyond_2_to_the_53_are_numbers(values: list[Any], kind: Any) -> None:
    """Bug: they were "no number; got type int64", though nanoseconds are such integers."""
    expected = [None if value is None else float(value) for value in values]
    assert plain(floats(column(values, kind))) == expected


@pytest.mark.parametrize(
    ("values", "kind", "got"),
    [
        (["1", "two", "three"], pa.string(), "text such as 'two'"),
        (["1_000"], pa.string(), "text such as '1_000'"),
        ([[1]], pa.list_(pa.int64()), "type list<"),
        ([datetime.date(2024, 1, 1)], None, "type date32"),
    ],
    ids=["words", "underscores", "lists", "dates"],
)
def test_what_is_no_number_is_shown(values: list[Any], kind: Any, got: str) -> None:
    expected = (
        "log.csv, column 'x': a numeric field holds what is no number; expected numbers, or "
        f"nothing; got {got}.*[Nn]ame it among the categorical fields"
    )
    with pytest.raises(DataError, match=expected):
        floats(column(values, kind))


def test_text_of_any_width_is_shown() -> None:
    """Bug: polars' text is `large_string`, and its type was shown in place of an example."""
    for values in (pa.array(["1", "two"], pa.large_string()), pl.Series(["1", "two"]).to_arrow()):
        with pytest.raises(DataError, match="got text such as 'two'"):
            floats(column(values))


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([["a", "b"], [], None, ["b", "b"]], None, [["a", "b"], [], [], ["b", "b"]]),
        ([["a", None, ""], [None]], None, [["a"], []]),
        ([[2, 10], [10]], pa.large_list(pa.int64()), [["2", "10"], ["10"]]),
        ([[True, None], [False]], None, [["true"], ["false"]]),
        ([[2.0]], None, [["2"]]),
        ([[], None], pa.list_(pa.string()), [[], []]),
        (["a|b", "", None, "b||a|", "|"], pa.string(), [["a", "b"], [], [], ["b", "a"], []]),
        ([" a| b"], pa.large_string(), [[" a", " b"]]),
        (["a.b", "a*b"], pa.string(), [["a.b"], ["a*b"]]),
        ([5, None], pa.int64(), [["5"], []]),
        ([None, None], pa.null(), [[], []]),
        ([], pa.string(), []),
    ],
    ids=str,
)
def test_bags_are_lists_or_text_between_separators(
    values: list[Any], kind: Any, expected: list[list[str]]
) -> None:
    found = bags(column(values, kind), "|")
    assert plain(found) == expected
    assert (found.offsets.dtype, found.codes.dtype) == (np.int64, np.int32)
    assert len(found) == len(expected)


@pytest.mark.parametrize("separator", [".", "*", " ", ", ", "\\"])
def test_a_separator_is_no_pattern(separator: str) -> None:
    found = bags(column([f"a{separator}b", "ab"]), separator)
    assert plain(found) == [["a", "b"], ["ab"]]


def test_bags_may_be_chunks_slices_and_dictionaries() -> None:
    lists = pa.array([["a"], ["b", "c"], None, ["a"]])
    assert plain(bags(column(lists.slice(1)), "|")) == [["b", "c"], [], ["a"]]
    chunks = pa.chunked_array([lists.slice(0, 2), lists.slice(2)])
    assert plain(bags(column(chunks), "|")) == [["a"], ["b", "c"], [], ["a"]]
    assert len(bags(column(pa.chunked_array([], lists.type)), "|")) == 0
    coded = pa.ListArray.from_arrays([0, 1, 3], pa.array(["a", "b", "a"]).dictionary_encode())
    assert plain(bags(column(coded), "|")) == [["a"], ["b", "a"]]
    text = pa.array(["a|b", "b"]).dictionary_encode()
    assert plain(bags(column(text), "|")) == [["a", "b"], ["b"]]


def test_a_missing_list_may_hide_values() -> None:
    """Bug: a null may still span values, as polars leaves them; it was an IndexError."""
    hiding = pa.ListArray.from_arrays(
        [0, 2, 3, 5], pa.array(["a", "b", "c", "d", "e"]), mask=pa.array([False, True, False])
    )
    assert plain(bags(column(hiding), "|")) == [["a", "b"], [], ["d", "e"]]


def test_lists_of_what_is_no_word_are_refused() -> None:
    for values, got in (([[1.5]], "type double, 1.5"), ([[{"a": 1}]], "type struct<")):
        with pytest.raises(DataError, match=f"cannot be a field of words.*got .*{got}"):
            bags(column(values), "|")


def test_a_column_becomes_what_its_kind_says() -> None:
    assert plain(values_of(column(["1", "2|3"]), "categorical", "|")) == ["1", "2|3"]
    assert plain(values_of(column(["1", "2|3"]), "multi", "|")) == [["1"], ["2", "3"]]
    assert plain(values_of(column(["1", None]), "numeric", "|")) == [1, None]


@given(st.lists(st.none() | TEXT, max_size=12), st.data())
@settings(max_examples=30, deadline=None)
def test_words_come_back_and_rows_are_taken(values: list[str | None], data: Any) -> None:
    found = words(column(values, pa.string()))
    values = [value or None for value in values]
    assert plain(found) == values
    assert len(set(found.known.to_pylist())) == len(found.known)
    rows = data.draw(st.lists(st.integers(-1, len(values) - 1), max_size=12))
    taken = found.take(np.array(rows, dtype=np.int64))
    assert plain(taken) == [None if row < 0 else values[row] for row in rows]


@given(LISTS, st.data())
@settings(max_examples=30, deadline=None)
def test_bags_come_back_and_rows_are_taken(values: list[list[str]], data: Any) -> None:
    found = bags(column(values, pa.list_(pa.string())), "|")
    joined = bags(column(["|".join(one) for one in values], pa.string()), "|")
    assert plain(found) == plain(joined) == values
    rows = data.draw(st.lists(st.integers(-1, len(values) - 1), max_size=12))
    taken = found.take(np.array(rows, dtype=np.int64))
    assert plain(taken) == [[] if row < 0 else values[row] for row in rows]


def test_numbers_are_taken_and_minus_one_is_none_of_them() -> None:
    found = Numbers(np.array([1.0, 2.0])).take(np.array([1, -1, 1, 0]))
    assert plain(found) == [2, None, 2, 1]
    assert len(found) == 4


def test_taking_leaves_the_taken_as_they_were() -> None:
    codes, offsets = np.array([0, 1, 0], np.int32), np.array([0, 2, 3])
    known = pa.array(["a", "b"])
    Words(codes, known).take(np.array([2, -1]))
    Bags(offsets, codes, known).take(np.array([1, -1, 1]))
    assert (codes.tolist(), offsets.tolist()) == ([0, 1, 0], [0, 2, 3])


class TestSpellings:
    """Bug: a flag that was boolean in the training table and True in a later csv was unknown."""

    def test_are_one_word_however_they_are_spelled(self) -> None:
        text = column(["True", "false", None, "TRUE", "maybe", "False", "true"], text=True)
        found = words(text)
        assert plain(found) == ["true", "false", None, "true", "maybe", "false", "true"]
        assert len(set(found.known.to_pylist())) == len(found.known) == 3
        assert plain(words(column([True, False, None]))) == ["true", "false", None]

    def test_in_lists_too(self) -> None:
        found = bags(column(["TRUE|x", "", "x|False|true"], text=True), "|")
        assert plain(found) == [["true", "x"], [], ["x", "false", "true"]]

    def test_whole_numbers_lose_their_point(self) -> None:
        """Bug: pandas writes 3.0 in a column that lacks some; it was unknown where 3 was meant."""
        found = words(column(["3.0", "3", None, "-10.0", "0.0", "1.50", "01.0", "1.0.0", "x1.0"]))
        assert plain(found) == ["3", "3", None, "-10", "0", "1.50", "01.0", "1.0.0", "x1.0"]

    def test_other_words_keep_their_case(self) -> None:
        assert plain(words(column(["Trueman", "X", "x", "tRUE"]))) == ["Trueman", "X", "x", "tRUE"]
