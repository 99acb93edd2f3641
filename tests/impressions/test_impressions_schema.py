"""A schema: the fields of a log as tokens and numbers, all of it worked by hand."""

from __future__ import annotations

import math
from statistics import fmean, pstdev
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from impressions_cases import log_of

from hashrec.component import validate
from hashrec.errors import DataError, RecipeError
from hashrec.impressions import (
    Fields,
    Impressions,
    Log,
    Quantile,
    Schema,
    Standard,
    planted_impressions,
    read_candidates,
    read_impressions,
)
from hashrec.impressions.scale import Scale

PEOPLE = pa.table(
    {"id": ["a", "b", "zed"], "job": ["cook", "cook", "king"], "age": [30.0, 50.0, 99.0]}
)
TRAIN = pa.table(
    {
        "user": ["a", "a", "b", "c", "c"],
        "item": [1, 2, 1, 2, 1],
        "label": [1, 0, 1, 0, 1],
        "hour": ["m", "e", "m", None, "e"],
        "price": [1.0, 2.0, None, 4.0, 4.0],
        "tags": [["p", "q"], [], ["q"], ["r", "p", "q"], None],
    }
)
OPTIONS = Fields(min_count=1, widest=2, numeric=Standard())
NAN = math.nan


def train() -> Impressions:
    return read_impressions(TRAIN, user_features=PEOPLE)


def schema() -> Schema:
    """job: 1 unknown, 2 cook, 3 missing; hour: 4 unknown, 5 e, 6 m, 7 missing; tags: 8 unknown,
    9 p, 10 q, 11 r, in two places. Then age, of which 30 and 50 occur, and price."""
    return Schema.of(train(), OPTIONS)


def rows(made: Schema, options: dict[str, Any] | None = None, /, **columns: Any) -> Impressions:
    """Candidates for a schema, of users `user`, in the morning at 2.0 with no tags."""
    n = len(columns.get("user", ["a"]))
    usual = {"user": ["a"] * n, "item": [1] * n, "hour": ["m"] * n, "price": [2.0] * n,
             "tags": pa.array([[]] * n, pa.list_(pa.string()))}  # fmt: skip
    table = pa.table({**usual, **columns})
    asked = {"user": "user", "item": "item", **(options or {})}
    return read_candidates(table, made.fields, **asked)


def test_what_is_learned() -> None:
    made = schema()
    assert [one.field.name for one in made.vocabularies] == ["job", "hour", "tags"]
    assert [one.words.to_pylist() for one in made.vocabularies] == [
        ["cook"], ["e", "m"], ["p", "q", "r"],
    ]  # fmt: skip
    assert [one.field.name for one in made.scales] == ["age", "price"]
    assert (made.bases, made.widths, made.n_tokens) == ([1, 4, 8], [1, 1, 2], 12)
    assert [one.name for one in made.fields] == ["job", "age", "hour", "tags", "price"]


def test_each_row_of_training_as_tokens_and_numbers() -> None:
    found = schema().described(train())
    assert found.tokens.dtype == np.int32
    assert found.tokens.tolist() == [
        [2, 6, 9, 10], [2, 5, 0, 0], [2, 6, 10, 0], [3, 7, 11, 9], [3, 5, 0, 0],
    ]  # fmt: skip
    prices = [1.0, 2.0, 4.0, 4.0]
    scaled = [(price - fmean(prices)) / pstdev(prices) for price in prices]
    assert found.numbers.dtype == np.float32
    assert found.numbers[:, 0].tolist() == pytest.approx([-1, -1, 1, NAN, NAN], nan_ok=True)
    assert found.numbers[:, 1].tolist() == pytest.approx(
        [*scaled[:2], NAN, *scaled[2:]], nan_ok=True, abs=1e-6
    )


def test_users_who_do_not_occur_are_kept_but_not_learned_from() -> None:
    """zed's king is unknown, his 99 changed no mean; nobody has the tokens of nothing."""
    known = schema().known["user"]
    assert known.ids.array.to_pylist() == ["a", "b", "zed"]
    assert known.columns["job"].tolist() == [[1], [1], [0], [2]]
    assert known.columns["age"][:, 0].tolist() == pytest.approx([-1, 1, 5.9, NAN], nan_ok=True)


def test_users_are_looked_up_and_new_ones_are_nobody() -> None:
    made = schema()
    found = made.described(rows(made, user=["zed", "new", "b", "c"]))
    assert found.tokens[:, 0].tolist() == [1, 3, 2, 3]
    assert found.numbers[:, 0].tolist() == pytest.approx([5.9, NAN, 1, NAN], nan_ok=True)


def test_what_was_never_seen_has_the_unknown_token_and_numbers_are_cut() -> None:
    made = schema()
    log = rows(made, hour=["noon"], price=[1e300], tags=pa.array([["x", "q", "p"]]))
    found = made.described(log)
    assert found.tokens.tolist() == [[2, 4, 8, 10]]
    assert found.numbers[0].tolist() == pytest.approx([-1, 8])


def test_files_say_more_of_some_and_the_schema_knows_the_others() -> None:
    made = schema()
    more = pa.table({"id": ["new", "b"], "job": ["cook", None], "age": [50.0, None]})
    found = made.described(rows(made, {"user_features": more}, user=["new", "b", "a", "who"]))
    assert found.tokens[:, 0].tolist() == [2, 2, 2, 3]  # where the file is blank, what is known
    assert found.numbers[:, 0].tolist() == pytest.approx([1, 1, -1, NAN], nan_ok=True)


def test_columns_of_the_rows_themselves_come_first_but_for_their_blanks() -> None:
    """Bug: a blank in a column of the candidates hid what the model knows of that user."""
    made = schema()
    asked = {"user": ["a", "b", "b", "new"], "job": ["king", "cook", None, None],
             "age": [None, 30.0, None, None]}  # fmt: skip
    found = made.described(rows(made, **asked))
    assert found.tokens[:, 0].tolist() == [1, 2, 2, 3]
    assert found.numbers[:, 0].tolist() == pytest.approx([-1, -1, 1, NAN], nan_ok=True)


def test_a_word_is_the_same_from_any_type() -> None:
    log = read_impressions(pa.table({"hour": ["9", "10", "9", "10"], "label": [0, 1, 0, 1]}))
    made = Schema.of(log, OPTIONS)
    for hours in (["9", "10"], [9, 10], [9.0, 10.0]):
        for coded in (pa.array(hours), pa.array(hours).dictionary_encode()):
            asked = read_candidates(pa.table({"hour": coded}), made.fields, user=None, item=None)
            assert made.described(asked).tokens.tolist() == [[3], [2]]


def test_a_log_of_numbers_has_no_tokens_and_one_of_words_no_numbers() -> None:
    numbers = read_impressions(pa.table({"x": [1, 2, 3], "label": [0, 1, 0]}))
    found = Schema.of(numbers, OPTIONS).described(numbers)
    assert (found.tokens.shape, found.numbers.shape) == ((3, 0), (3, 1))
    words = read_impressions(pa.table({"x": ["p", "q", "p"], "label": [0, 1, 0]}))
    found = Schema.of(words, OPTIONS).described(words)
    assert (found.tokens.tolist(), found.numbers.shape) == ([[2], [3], [2]], (3, 0))
    bare = read_impressions(pa.table({"user": ["a"], "item": [1], "label": [0]}))
    assert (Schema.of(bare, OPTIONS).n_tokens, Schema.of(bare, OPTIONS).fields) == (1, ())


def test_a_multi_valued_field_of_users_is_looked_up_in_all_its_places() -> None:
    likes = pa.table({"id": ["a", "b"], "likes": [["p", "q", "r"], ["q"]]})
    log = read_impressions(TRAIN.select(["user", "item", "label"]), user_features=likes)
    made = Schema.of(log, Fields(min_count=1))
    # 1 unknown, 2 p, 3 q, 4 r; c is in no file.
    found = made.described(log).tokens
    assert found.tolist() == [[2, 3, 4]] * 2 + [[3, 0, 0]] + [[0, 0, 0]] * 2


def test_fields_of_users_need_users() -> None:
    made = schema()
    log = rows(made, {"user": None})
    with pytest.raises(
        DataError, match="job: a field that the model looks at is missing; expected a cat"
    ):
        made.described(log)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"flat": ["x"] * 5}, "^flat: a field that says nothing.*got 'x' in every row"),
        ({"flat": [7] * 5}, "^flat: a field that says nothing.*got 7 in every row"),
        ({"flat": [None] * 5}, "^flat: a field that says nothing"),
        ({"rare": list("vwxyz")}, "^rare: .*no value in 2 rows or more.*lower fields.min_count"),
    ],
    ids=["one word", "one number", "nothing", "rare words"],
)
def test_a_field_that_says_nothing_is_refused(columns: dict[str, Any], words: str) -> None:
    table = pa.table({"user": list("aabcc"), "label": [1, 0, 1, 0, 1], **columns})
    with pytest.raises(DataError, match=words):
        Schema.of(read_impressions(table), Fields(min_count=2))


def test_a_field_that_only_strangers_differ_in_says_nothing() -> None:
    people = pa.table({"id": ["a", "b", "c", "zed"], "job": ["cook", "cook", "cook", "king"]})
    log = read_impressions(TRAIN.select(["user", "label"]), user_features=people)
    with pytest.raises(DataError, match="job: a field that says nothing.*got 'cook' in every row"):
        Schema.of(log, Fields(min_count=1))


def test_a_part_of_a_log_is_learned_from_alone() -> None:
    made = Schema.of(train().take([0, 2, 3]), OPTIONS)
    assert [one.words.to_pylist() for one in made.vocabularies] == [
        ["cook"], ["m"], ["p", "q", "r"],
    ]  # fmt: skip
    assert made.scales[1].scaled(train().rows["price"])[[0, 3]].tolist() == pytest.approx([-1, 1])
    with pytest.raises(DataError, match="^job: a field that says nothing"):
        Schema.of(train().take([0, 1, 2]), OPTIONS)  # a and b are both cooks
    with pytest.raises(DataError, match="^age: a field that says nothing.*got 30 in every row"):
        Schema.of(train().take([0, 1, 3]), OPTIONS)  # b, who is 50, is in none of them


@pytest.mark.parametrize("numeric", ["standard", "log", "quantile"])
def test_every_token_and_number_is_within_its_field(numeric: str) -> None:
    log = planted_impressions(400, users=30, items=20, communities=3, seed=1)
    learned, asked = log.split("random")
    made = Schema.of(learned, validate(Fields, {"numeric": numeric}, where="fields"))
    for part in (learned, asked):
        found = made.described(part)
        first = 0
        for base, one in zip(made.bases, made.vocabularies, strict=True):
            tokens = found.tokens[:, first : first + one.width]
            first += one.width
            inside = (base <= tokens) & (tokens < base + len(one))
            assert (inside | ((tokens == 0) & (one.field.kind == "multi"))).all()
        assert first == found.tokens.shape[1]
        assert np.nanmax(np.abs(found.numbers)) <= 8


def test_options_are_checked_whole() -> None:
    assert Fields().numeric == Quantile()
    assert validate(Fields, {"numeric": "log"}, where="fields").numeric == Log()
    options = Fields(min_count=3, widest=4, numeric=Quantile(knots=9), max_rows=10)
    stored = {key: value for key, value in options.to_dict().items() if key != "name"}
    assert validate(Fields, stored, where="fields") == options
    with pytest.raises(RecipeError, match="fields.min_count: .*got 0.*fields.widest: .*got 0"):
        validate(Fields, {"min_count": 0, "widest": 0}, where="fields")
    with pytest.raises(RecipeError, match="fields.max_rows: .*greater than or equal to 2, got 1"):
        validate(Fields, {"max_rows": 1}, where="fields")
    with pytest.raises(RecipeError, match="unknown key fields.mincount"):
        validate(Fields, {"mincount": 1}, where="fields")
    with pytest.raises(RecipeError, match="unknown transform 'rank'"):
        validate(Fields, {"numeric": "rank"}, where="fields")


def test_a_field_of_another_kind_is_refused_whatever_the_kinds() -> None:
    """Bug: of lists where one word was learned the first was taken, without a word."""
    log = log_of(tags=["x", "y", "x"])
    other = log_of(tags=[["x"], ["y", "x"], []])
    words = "tags: a field of another kind than in training; expected categorical; got multi"
    with pytest.raises(DataError, match=words):
        Schema.of(log, OPTIONS).described(other)
    with pytest.raises(DataError, match="expected multi; got categorical"):
        Schema.of(other, OPTIONS).described(log)


@pytest.mark.parametrize(("age", "missing"), [([1.0, 2.0, 3.0], False), ([1.0, None, 3.0], True)])
def test_a_scale_knows_whether_training_lacked_any_number(age: list[Any], missing: bool) -> None:
    (scale,) = Schema.of(log_of(age=age), OPTIONS).scales
    assert scale.missing is missing
    assert Scale.restore(scale.scalars(), scale.kept).missing is missing
