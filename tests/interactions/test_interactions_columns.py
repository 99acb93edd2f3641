"""Columns: known by name, named by the caller, or asked about."""

from __future__ import annotations

import pytest

from hashrec.errors import DataError
from hashrec.interactions.columns import Chosen, Wanted, bare, choose


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["user", "item"], ("user", "item", None, None)),
        (["userId", "movieId", "rating", "ts"], ("userId", "movieId", "rating", "ts")),
        (
            ["user_id:token", "item_id:token", "rating:float", "timestamp:float"],
            ("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
        ),
        (["timestamp", "visitorid", "event", "itemid"], ("visitorid", "itemid", None, "timestamp")),
        (["User-ID", "ISBN", "Book-Rating"], ("User-ID", "ISBN", "Book-Rating", None)),
        (["reviewerID", "asin", "overall", "unixReviewTime", "reviewTime"],
         ("reviewerID", "asin", "overall", "unixReviewTime")),
        (["rating", "title", "asin", "parent_asin", "user_id", "timestamp"],
         ("user_id", "parent_asin", "rating", "timestamp")),
        (["session_id", "user_id", "item_id", "date"], ("user_id", "item_id", None, "date")),
        (["CUSTOMER_ID ", "Product Id", "stars"], ("CUSTOMER_ID ", "Product Id", "stars", None)),
        (["user_id", "business_id", "stars", "date", "text"],
         ("user_id", "business_id", "stars", "date")),
    ],
)  # fmt: skip
def test_public_data_sets_are_understood(columns, expected) -> None:
    assert choose(columns, Wanted(), "log") == Chosen(*expected)


def test_named_columns_win() -> None:
    columns = ["user", "item", "who", "what", "rating", "r", "time", "t"]
    wanted = Wanted("who", "what", "r", "t")
    assert choose(columns, wanted, "log") == Chosen("who", "what", "r", "t")


def test_none_ignores_rating_and_time() -> None:
    chosen = choose(["user", "item", "rating", "time"], Wanted(rating="none", time="none"), "log")
    assert chosen == Chosen("user", "item", None, None)


@pytest.mark.parametrize("named", ["User_Id:token", "User_Id", "user_id"])
def test_columns_may_be_named_without_type_and_case(named: str) -> None:
    columns = ["User_Id:token", "x:token"]
    assert choose(columns, Wanted(named, "x"), "log").user == "User_Id:token"


def test_an_exact_name_wins_over_one_in_another_case() -> None:
    assert choose(["ID", "id", "item"], Wanted("id"), "log").user == "id"


@pytest.mark.parametrize(
    ("columns", "wanted", "words"),
    [
        (["a", "item"], Wanted(), r"^log: no column .* the user; got the columns 'a', 'item'\. "
         r"Name it with user=\.\.\. \(--user on the command line\)"),
        (["user", "b"], Wanted(), "no column is known to be the item; got .*'user', 'b'.*--item"),
        (["user", "user_id", "item"], Wanted(),
         "2 columns may be the user; got the columns 'user', 'user_id'.*--user"),
        (["user", "item", "time", "timestamp"], Wanted(),
         "2 columns may be the time.*--time.*ignore them with time=\"none\""),
        (["user", "item"], Wanted(item="itm"),
         "no column 'itm'; expected the item column; got .*'user', 'item'. Did you mean item"),
        (["user", "item"], Wanted(rating="stars"), "no column 'stars'; expected the rating"),
        (["user", "item"], Wanted(user="item"), "same column; expected two columns; got 'item'"),
        (["ID", "Id", "item"], Wanted("id"), "2 columns are called 'id'.*'ID', 'Id'.*Rename"),
        (["u1", "u1", "item"], Wanted("u1"), "2 columns are called 'u1'"),
        ([f"c{at}" for at in range(40)], Wanted(), "'c29' and 10 more"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_asked(columns, wanted, words) -> None:
    with pytest.raises(DataError, match=words):
        choose(columns, wanted, "log")


def test_only_the_types_of_recbole_are_taken_off() -> None:
    assert bare(" user_id:token ") == "user_id"
    assert bare("a:b") == "a:b"
