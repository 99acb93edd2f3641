"""Words as tokens: those known, one for the unknown, one for none at all."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from impressions_cases import column

from hashrec.errors import DataError
from hashrec.impressions import Field
from hashrec.impressions.values import Bags, Words, bags, words
from hashrec.impressions.vocabulary import NOTHING, Vocabulary

WORD = Field("city", "categorical", "row")
BAG = Field("tags", "multi", "item")


def of_words(values: list[Any]) -> Words:
    return words(column(values, pa.string()))


def of_bags(values: list[Any]) -> Bags:
    return bags(column(values, pa.list_(pa.string())), "|")


def learned(values: list[Any], min_count: int = 1, widest: int = 9) -> Vocabulary:
    """The vocabulary of words, or of lists of words."""
    if isinstance(values[0], list):
        return Vocabulary.of(BAG, of_bags(values), min_count=min_count, widest=widest)
    return Vocabulary.of(WORD, of_words(values), min_count=min_count, widest=widest)


def test_words_have_tokens_in_their_order_and_zero_is_for_all_others() -> None:
    known = learned(["b", "é", "a", "b", "B"])
    assert known.words.to_pylist() == ["B", "a", "b", "é"]
    assert (len(known), known.width, known.missing) == (5, 1, False)
    found = known.tokens(of_words(["a", "B", "never", "", None, "é"]))
    assert found.tolist() == [[2], [1], [0], [0], [0], [4]]
    assert found.dtype == "int32"
    assert known.nothing_known.tolist() == [0]


def test_rows_without_a_word_have_a_token_where_there_are_enough_of_them() -> None:
    known = learned(["a", None, "b", None, "a", "b"], min_count=2)
    assert (known.missing, len(known)) == (True, 4)
    assert known.tokens(of_words([None, "a", "c"])).tolist() == [[3], [1], [0]]
    assert known.nothing_known.tolist() == [3]
    once = learned(["a", None, "b", "a", "b"], min_count=2)
    assert (once.missing, len(once)) == (False, 3)
    assert once.tokens(of_words([None])).tolist() == once.nothing_known[None].tolist() == [[0]]


def test_rare_words_are_unknown() -> None:
    known = learned(["a", "b", "a", "c", "c", "c"], min_count=2)
    assert known.words.to_pylist() == ["a", "c"]
    assert known.tokens(of_words(["b", "c"])).tolist() == [[0], [2]]


def test_an_empty_text_is_no_word() -> None:
    """Bug: it hid what the model knows of a user, as no null would."""
    assert learned(["", "a", None]).words.to_pylist() == ["a"]


def test_words_that_no_row_has_are_not_learned() -> None:
    whole = of_words(["a", "b", "c"])
    part = Vocabulary.of(WORD, Words(whole.codes[:2], whole.known), min_count=1, widest=1)
    assert part.words.to_pylist() == ["a", "b"]


def test_bags_have_a_place_a_word_and_are_cut_to_the_widest() -> None:
    rows = [["b", "a"], [], ["c", "a", "b"]]
    known = learned(rows)
    assert (known.words.to_pylist(), known.width, len(known)) == (["a", "b", "c"], 3, 4)
    assert known.tokens(of_bags([*rows, ["x", "c"]])).tolist() == [
        [2, 1, NOTHING], [NOTHING] * 3, [3, 1, 2], [0, 3, NOTHING],
    ]  # fmt: skip
    assert known.nothing_known.tolist() == [NOTHING] * 3
    narrow = learned(rows, widest=2)
    assert narrow.width == 2
    assert narrow.tokens(of_bags(rows)).tolist() == [[2, 1], [NOTHING] * 2, [3, 1]]


def test_longer_bags_than_those_learned_from_are_cut() -> None:
    assert learned([["a"], ["b"]]).tokens(of_bags([["b", "a", "b"]])).tolist() == [[2]]


def test_tokens_of_no_rows_are_none() -> None:
    assert learned(["a", "b"]).tokens(of_words([])).shape == (0, 1)
    assert learned([["a", "b"]]).tokens(of_bags([])).shape == (0, 2)
    assert learned([["a", "b"]]).tokens(of_bags([[], []])).tolist() == [[NOTHING] * 2] * 2


NOTHING_SAID: dict[str, tuple[list[Any], int, str]] = {
    "one word": (["a", "a"], 1, "got 'a' in every row. Leave it out with ignore"),
    "one row": (["a"], 1, "got 'a' in every row"),
    "no word": ([None, None], 1, "no value in 1 rows or more.*or lower fields.min_count"),
    "rare words": (["a", "b", "c"], 2, "no value in 2 rows or more.*--ignore.*lower fields.min_c"),
    "one bag": ([["a"], ["a"]], 1, "got 'a' in every row"),
    "empty bags": ([[], []], 1, "no value in 1 rows"),
}


@pytest.mark.parametrize(("values", "min_count", "got"), NOTHING_SAID.values(), ids=NOTHING_SAID)
def test_a_field_that_says_nothing_is_refused(values: list[Any], min_count: int, got: str) -> None:
    name = "tags" if isinstance(values[0], list) else "city"
    words = f"^{name}: a field that says nothing; expected at least two values; .*{got}"
    with pytest.raises(DataError, match=words):
        learned(values, min_count)


def test_one_word_or_none_says_something() -> None:
    assert len(learned(["a", None])) == 3
    assert len(learned(["a"] * 3 + [None], min_count=2)) == 2  # none is too rare for a token
    assert len(learned(["a", "a", "b"], min_count=2)) == 2
    assert len(learned([["a"], []])) == 2


def test_a_word_that_a_bag_repeats_is_not_in_every_row() -> None:
    """Bug: a, twice in one of two rows, was "in every row"."""
    assert learned([["a", "a"], []]).words.to_pylist() == ["a"]


def test_rows_are_counted_and_not_how_often_a_bag_repeats_a_word() -> None:
    """Bug: a word twice in one row was in "at least 2 rows"."""
    known = learned([["a", "a"], ["b"], ["b", "c"], ["c"]], min_count=2)
    assert known.words.to_pylist() == ["b", "c"]


@given(
    st.lists(st.none() | st.sampled_from(["a", "B", "é", "", "z"]), min_size=1, max_size=15),
    st.integers(1, 3),
    st.lists(st.none() | st.sampled_from(["a", "B", "é", "", "new"]), max_size=10),
)
@settings(max_examples=40, deadline=None)
def test_tokens_are_what_counting_says(
    rows: list[str | None], min_count: int, asked: list[str | None]
) -> None:
    rows, asked = ([row or None for row in given] for given in (rows, asked))
    counts = Counter(row for row in rows if row is not None)
    kept = sorted(word for word, count in counts.items() if count >= min_count)
    if not kept or (len(kept) == 1 and counts[kept[0]] == len(rows)):
        with pytest.raises(DataError, match="a field that says nothing"):
            learned_of(rows, min_count)
        return
    known = learned_of(rows, min_count)
    assert known.words.to_pylist() == kept
    without = len(kept) + 1 if rows.count(None) >= min_count else 0
    expected = [
        without if word is None else kept.index(word) + 1 if word in kept else 0 for word in asked
    ]
    assert known.tokens(of_words(asked))[:, 0].tolist() == expected
    assert len(known) == 1 + len(kept) + (without > 0)


def learned_of(rows: list[str | None], min_count: int) -> Vocabulary:
    return Vocabulary.of(WORD, of_words(rows), min_count=min_count, widest=1)


SETS = st.lists(st.lists(st.sampled_from("abcd"), max_size=4, unique=True), min_size=1, max_size=9)


@given(SETS, st.integers(1, 2), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_places_of_bags_are_what_counting_says(
    rows: list[list[str]], min_count: int, widest: int
) -> None:
    counts = Counter(word for row in rows for word in row)
    kept = sorted(word for word, count in counts.items() if count >= min_count)
    if not kept or (len(kept) == len(counts) == 1 and counts[kept[0]] == len(rows)):
        with pytest.raises(DataError, match="a field that says nothing"):
            learned(rows, min_count, widest)
        return
    known = learned(rows, min_count, widest)
    width = min(max(map(len, rows)), widest)
    expected = [
        [kept.index(word) + 1 if word in kept else 0 for word in row[:width]]
        + [NOTHING] * (width - len(row))
        for row in rows
    ]
    assert known.tokens(of_bags(rows)).tolist() == expected


@pytest.mark.parametrize("values", [["a", None, "b"], [["b", "a"], ["c"]]], ids=str)
def test_a_vocabulary_is_made_again_from_what_is_kept(values: list[Any]) -> None:
    known = learned(values)
    again = Vocabulary.restore(json.loads(json.dumps(known.scalars())), known.words)
    assert (again.field, again.width, again.missing) == (known.field, known.width, known.missing)
    asked = of_bags(values) if isinstance(values[0], list) else of_words(values)
    assert again.tokens(asked).tolist() == known.tokens(asked).tolist()
    assert len(again) == len(known)
