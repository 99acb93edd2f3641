"""Which kind of field a column is, and who may say so."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
import pytest
from impressions_cases import column

from hashrec.errors import DataError
from hashrec.impressions import Field, Kinds
from hashrec.impressions.kinds import kind_of
from hashrec.interactions.formats import Source


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2], pa.int8(), "numeric"),
        ([1, 2], pa.uint64(), "numeric"),
        ([1.5], pa.float32(), "numeric"),
        ([decimal.Decimal("1.5")], pa.decimal128(5, 2), "numeric"),
        (["a"], pa.string(), "categorical"),
        (["1", "2"], pa.string(), "categorical"),
        (["1", "2"], pa.large_string(), "categorical"),
        ([True], pa.bool_(), "categorical"),
        ([None], pa.null(), "categorical"),
        ([["a"]], pa.list_(pa.string()), "multi"),
        ([[1]], pa.large_list(pa.int64()), "multi"),
    ],
    ids=str,
)
def test_a_typed_column_is_what_its_type_says(values: Any, kind: Any, expected: str) -> None:
    assert kind_of(column(values, kind), {}) == expected


def test_numbers_that_are_called_categories_are() -> None:
    for values in ([7, 10, 7], [0.5, 1.5]):
        assert kind_of(column(pa.array(values).dictionary_encode()), {}) == "categorical"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2.5", None], "numeric"),
        ([" 1", "-2e3", "nan", ""], "numeric"),
        (["1", "two"], "categorical"),
        ([None, None], "categorical"),
        (["", "NA"], "categorical"),
        (["a|b"], "categorical"),
    ],
    ids=str,
)
def test_text_of_a_file_without_types_is_numeric_where_all_of_it_is(
    values: list[Any], expected: str
) -> None:
    assert kind_of(column(values, pa.string(), text=True), {}) == expected


def test_what_is_said_counts_more_than_what_is_seen() -> None:
    assert kind_of(column([1, 2]), {"x": "categorical"}) == "categorical"
    assert kind_of(column(["a"]), {"x": "multi", "y": "numeric"}) == "multi"
    assert kind_of(column(["a"]), {"y": "numeric"}) == "categorical"


def test_the_named_kinds_by_column() -> None:
    kinds = Kinds(categorical=("a", "b"), numeric=("c",), multi=("d",), ignore=("e",))
    assert kinds.named == {
        "a": "categorical", "b": "categorical", "c": "numeric", "d": "multi",
    }  # fmt: skip


@pytest.mark.parametrize(
    "kinds",
    [
        Kinds(categorical=("a",), numeric=("a",)),
        Kinds(multi=("a", "a")),
        Kinds(multi=("a",), ignore=("a",)),
    ],
    ids=["two kinds", "one kind twice", "ignored"],
)
def test_a_column_is_named_once(kinds: Kinds) -> None:
    with pytest.raises(DataError, match="^a: a field is named twice; expected one kind, or ign"):
        _ = kinds.named


def test_a_named_column_must_be_there() -> None:
    kinds = Kinds(numeric=("price",), ignore=("when",))
    kinds.check(["price", "when", "more"])
    with pytest.raises(
        DataError, match="no column 'price' to be a field; expected prices, when. Did you mean pri"
    ):
        kinds.check(["prices", "when"])
    with pytest.raises(DataError, match="no column 'when'"):
        kinds.check(["price"])


def test_a_separator_is_of_the_format_or_of_the_caller() -> None:
    recbole, csv = (Source("log", name, (), lambda column: column) for name in ("recbole", "csv"))
    assert (Kinds().between(recbole), Kinds().between(csv)) == (" ", "|")
    assert Kinds(separator=";").between(recbole) == Kinds(separator=";").between(csv) == ";"


def test_dates_are_no_field_of_their_own_accord() -> None:
    assert kind_of(column([datetime.date(2024, 1, 1)]), {}) == "categorical"


def test_a_field_round_trips() -> None:
    for kind in ("categorical", "numeric", "multi"):
        for owner in ("user", "item", "row"):
            given = {"name": "x", "kind": kind, "owner": owner}
            assert Field.from_dict(given).to_dict() == given


@pytest.mark.parametrize(
    ("kind", "owner"), [("words", "row"), ("numeric", "nobody")], ids=["kind", "owner"]
)
def test_a_field_of_no_kind_or_owner_is_refused(kind: str, owner: str) -> None:
    with pytest.raises(ValueError, match=f"a field of kind '{kind}', owned by '{owner}'"):
        Field.from_dict({"name": "x", "kind": kind, "owner": owner})
