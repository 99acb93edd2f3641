"""Ids: exact, sorted, and found again by whoever asks, as text or as integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashrec.errors import DataError, UnknownIdError, UsageError
from hashrec.interactions import Ids

INT64 = st.integers(-(2**63), 2**63 - 1)
UINT64 = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.one_of(st.lists(INT64), st.lists(UINT64), st.lists(TEXT)))
def test_ids_are_kept_exactly_and_found_again(raw: list[Any]) -> None:
    ids, positions = Ids.from_array(raw)
    assert ids.array.to_pylist() == sorted(set(raw))  # Python sorts text by code point too
    assert positions.dtype == np.int32
    assert ids.take(positions).to_pylist() == raw
    assert ids.positions(raw).tolist() == positions.tolist()


@given(st.lists(INT64, min_size=1), st.lists(INT64))
def test_integers_are_found_as_text_and_strangers_are_not(
    known: list[int], asked: list[int]
) -> None:
    ids, _ = Ids.from_array(known)
    expected = [sorted(set(known)).index(raw) if raw in known else -1 for raw in asked]
    assert ids.positions(asked).tolist() == expected
    assert ids.positions([str(raw) for raw in asked]).tolist() == expected


@given(st.lists(TEXT, min_size=1), st.lists(TEXT, max_size=200))
def test_text_is_found_by_halving_and_by_hashing_alike(known: list[str], asked: list[str]) -> None:
    ids, _ = Ids.from_array(known)
    place = {raw: at for at, raw in enumerate(sorted(set(known)))}
    many = asked + known * 70  # more than are looked up one by one
    assert ids.positions(asked).tolist() == [place.get(raw, -1) for raw in asked]
    assert ids.positions(many).tolist() == [place.get(raw, -1) for raw in many]


def test_positions_do_not_depend_on_the_order_of_rows() -> None:
    forth, _ = Ids.from_array(["b", "a", "c", "a"])
    back, _ = Ids.from_array(["c", "a", "b"])
    assert forth.array.equals(back.array)


@pytest.mark.parametrize("text", ["007", "+7", " 7", "7 ", "7.0", "1e1", "-0", "", "x", "\u0667"])
def test_only_the_canonical_writing_of_an_integer_finds_it(text: str) -> None:
    ids, _ = Ids.from_array([0, 7, 10])
    assert ids.positions([text, "7"]).tolist() == [-1, 1]


def test_numbers_beyond_the_type_of_the_ids_are_unknown() -> None:
    signed, _ = Ids.from_array([-5, 2**63 - 1])
    unsigned, _ = Ids.from_array([5, 2**64 - 1])
    asked = ["-5", str(2**63 - 1), str(2**64 - 1), str(10**20 - 1), str(10**25)]
    assert signed.positions(asked).tolist() == [0, 1, -1, -1, -1]
    assert unsigned.positions(asked).tolist() == [-1, -1, 1, -1, -1]
    assert signed.positions(np.array([2**64 - 1], dtype=np.uint64)).tolist() == [-1]
    assert unsigned.positions(np.array([-5, 5])).tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([3, 4], [0, -1]),
        (["03", "3"], [-1, 0]),
        (np.array([3.0, 3.5, np.nan]), [0, -1, -1]),
        ([None, "3"], [-1, 0]),
        ([3, "3", None], [0, 0, -1]),
        ([b"3"], [0]),
        ([], []),
        (["\udc80"], [-1]),
        (pa.chunked_array([["3"], ["x"]]), [0, -1]),
        (pa.array(["3", "x"]).dictionary_encode(), [0, -1]),
        (pa.array([True]), [-1]),
    ],
)
def test_text_ids_may_be_asked_for_in_any_form(asked: Any, expected: list[int]) -> None:
    ids, _ = Ids.from_array(["3", "a"])
    assert ids.positions(asked).tolist() == expected


def test_chunks_share_their_ids() -> None:
    ids, positions = Ids.from_array(pa.chunked_array([["b", "a"], [], ["c", "b"], ["a"]]))
    assert ids.take(positions).to_pylist() == ["b", "a", "c", "b", "a"]


def test_no_ids_know_nobody() -> None:
    ids, positions = Ids.from_array([])
    assert len(ids) == len(positions) == 0
    assert ids.positions(["a", 1]).tolist() == [-1, -1]


def test_small_and_unsigned_integers_become_int64_where_they_fit() -> None:
    for kind in (pa.int8(), pa.uint16(), pa.uint64()):
        assert Ids.from_array(pa.array([1, 2], kind))[0].array.type == pa.int64()
    assert Ids.from_array(pa.array([1, 2**63], pa.uint64()))[0].array.type == pa.uint64()


def test_whole_floats_are_integers_and_both_zeros_are_one_id() -> None:
    ids, positions = Ids.from_array(np.array([2.0, -0.0, 0.0]))
    assert ids.array.to_pylist() == [0, 2]
    assert positions.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.5, 2.0], r"floating-point .* not all whole.*expected integers.*got 1\.5.*Convert"),
        ([2.0**60], r"expected integers up to 2\*\*53.*got 1\.15"),
        ([float("inf")], "not all whole.*got inf"),
        ([1.0, float("nan"), float("nan")], r"missing ids.*got 2 missing, the first in row 2"),
        (["a", None], r"missing ids.*got 1 missing, the first in row 2.*Remove those rows"),
        ([None, None], r"missing ids.*got 2 missing, the first in row 1"),
        (pa.array([True]), "cannot hold ids.*expected integers or text; got type bool"),
        (pa.array([b"\xff"]), "ids are not UTF-8 text"),
    ],
)
def test_what_cannot_be_an_id_is_refused(values: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Ids.from_array(values)


def test_integers_and_text_together_are_text() -> None:
    assert Ids.from_array([1, "a"])[0].array.to_pylist() == ["1", "a"]


def test_unknown_ids_are_named_counted_and_corrected() -> None:
    ids, _ = Ids.from_array(["anna", "bernd"])
    words = r"7 unknown users: 'ana', 'x', 'y', 'z', 'p', \.\.\.; .*2 users.*Did you mean anna\?"
    with pytest.raises(UnknownIdError, match=words):
        ids.require(["ana", "x", "y", "z", "p", "q", "r", "bernd"], "user")
    assert ids.require(["bernd"], "user").tolist() == [1]


def test_one_unknown_integer_is_named_without_a_guess() -> None:
    ids, _ = Ids.from_array([1, 2])
    with pytest.raises(UnknownIdError, match="1 unknown item: 3; ") as caught:
        ids.require([3], "item")
    assert caught.value.fix == ""


def test_a_single_id_is_no_list() -> None:
    """A string is iterable, and would be looked up letter by letter."""
    with pytest.raises(UsageError, match="must come as a list.*'ann'"):
        Ids.from_array(["ann"])[0].positions("ann")


@pytest.mark.parametrize("array", [pa.array([2, 1]), pa.array(["a", "a"]), pa.array([1, None])])
def test_ids_that_do_not_ascend_are_refused(array: Any) -> None:
    with pytest.raises(ValueError, match="ascend without repeats or nulls"):
        Ids(array)


def test_ids_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match="int64, uint64 or string, not double"):
        Ids(pa.array([1.0]))


@pytest.mark.parametrize("position", [-1, 2])
def test_positions_beyond_the_ids_are_refused(position: int) -> None:
    with pytest.raises(IndexError, match=r"\[0, 2\)"):
        Ids.from_array([5, 6])[0].take([position])
