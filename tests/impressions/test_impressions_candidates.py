"""Rows to be scored: what the model looks at must be there, the rest may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from impressions_cases import plain, written

from hashrec.errors import DataError
from hashrec.impressions import Field, Impressions, read_candidates

FIELDS = (
    Field("age", "numeric", "user"),
    Field("tags", "multi", "item"),
    Field("hour", "categorical", "row"),
    Field("price", "numeric", "row"),
)


def candidates(options: dict[str, Any] | None = None, /, **columns: Any) -> Impressions:
    """Two rows for the fields above, with other `columns`; None leaves one out."""
    table = {"user": ["a", "b"], "item": [1, 1], "hour": [9, 10], "price": ["1", None], **columns}
    kept = {name: values for name, values in table.items() if values is not None}
    asked = {"user": "user", "item": "item", **(options or {})}
    return read_candidates(pa.table(kept), FIELDS, **asked)


def test_kinds_are_the_models_whatever_the_values_look_like() -> None:
    log = candidates()
    assert plain(log.rows["hour"]) == ["9", "10"]
    assert plain(log.rows["price"]) == [1, None]
    assert (len(log), log.label, log.times, log.positives) == (2, None, None, 0)


def test_fields_of_users_and_items_may_be_columns_or_files_or_neither() -> None:
    assert set(candidates().rows) == {"hour", "price"}
    log = candidates(age=[30, 40], tags=["p|q", None])
    assert plain(log.rows["age"]) == [30, 40]
    assert plain(log.rows["tags"]) == [["p", "q"], []]
    people = pa.table({"id": ["z", "b"], "age": [1, 2], "job": ["x", "y"]})
    log = candidates({"user_features": people})
    side = log.sides["user"]
    assert (side.ids.array.to_pylist(), plain(side.values["age"])) == (["b", "z"], [2, 1])
    assert set(side.values) == {"age"}


def test_other_columns_are_not_looked_at() -> None:
    log = candidates(when=["x", "y"], odd=[{"a": 1}, {"a": 2}], label=[5, None], time=[None, None])
    assert set(log.rows) == {"hour", "price"}


def test_all_fields_that_are_missing_are_named() -> None:
    words = (
        "fields that the model looks at are missing; expected the columns 'hour', 'price'; "
        "got the columns 'user', 'item', 'hours'. Did you mean hours"
    )
    with pytest.raises(DataError, match=words):
        candidates(hour=None, price=None, hours=[1, 2])


def test_a_field_of_another_kind_is_refused() -> None:
    with pytest.raises(DataError, match="column 'price': a numeric field holds .*such as 'much'"):
        candidates(price=["1", "much"])
    with pytest.raises(DataError, match="column 'hour': this column cannot be a field of words"):
        candidates(hour=[9.5, 10.0])


def test_users_and_items_are_needed_where_the_model_has_them() -> None:
    with pytest.raises(DataError, match="no column 'user'; expected the user column.*mean users"):
        candidates(user=None, users=["a", "b"])
    assert candidates({"user": None}, user=None).users is None
    log = candidates({"user": None, "item": None})
    assert (log.users, log.items, log.user, log.item) == (None, None, None, None)


def test_ids_need_not_be_known_and_must_be_there() -> None:
    log = candidates(user=["never", "seen"])
    assert log.users is not None and log.users.array.to_pylist() == ["never", "seen"]
    with pytest.raises(DataError, match="column 'item': missing ids.*in row 2"):
        candidates(item=[1, None])


def test_labels_are_read_where_they_are_asked_for() -> None:
    log = candidates({"label": "stars", "threshold": 4}, stars=[3, 4])
    assert log.label is not None and log.label.tolist() == [0, 1]
    with pytest.raises(DataError, match="no column 'stars'; expected the label column"):
        candidates({"label": "stars"})
    with pytest.raises(DataError, match="column 'label': labels are 0 or 1.*got 7"):
        candidates({"label": "label"}, label=[1, 7])


def test_no_rows_are_no_candidates() -> None:
    empty: dict[str, Any] = {name: [] for name in ("user", "item", "hour", "price")}
    with pytest.raises(DataError, match="there are no impressions; expected rows of data"):
        candidates(**{name: pa.array([], pa.string()) for name in empty})
    with pytest.raises(DataError, match="there are no impressions"):
        candidates({"user": None, "item": None},
                   **{name: pa.array([], pa.string()) for name in empty})  # fmt: skip


def test_a_file_is_read_with_the_models_separator(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", "user,item,hour,price,tags\na,1,9,2.5,p q\n")
    log = read_candidates(path, FIELDS, user="user", item="item", separator=" ")
    assert plain(log.rows["tags"]) == [["p", "q"]]
    assert plain(log.rows["hour"]) == ["9"]


def test_what_rows_say_themselves_and_what_a_file_says_are_both_there() -> None:
    """Bug: a blank in a row hid what the file says; the schema takes the first that there is."""
    people = pa.table({"id": ["a"], "age": [1]})
    log = candidates({"user_features": people}, age=[30, None])
    assert plain(log.rows["age"]) == [30, None]
    assert plain(log.sides["user"].values["age"]) == [1]


def test_no_fields_at_all_are_enough() -> None:
    log = read_candidates(pa.table({"user": ["a"], "item": [1]}), (), user="user", item="item")
    assert (len(log), log.rows, log.fields) == (1, {}, ())
