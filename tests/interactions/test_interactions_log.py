"""Interactions, their fingerprint and report, and what a model makes of a test part."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from hashrec.csr import Csr
from hashrec.interactions import Ids, Interactions, Parts, UserSplit, read
from hashrec.interactions.report import Report


def log_of(pairs, **columns) -> Interactions:
    users, items = zip(*pairs, strict=True)
    return read(pd.DataFrame({"user": users, "item": items, **columns}))


def test_a_log_counts_itself() -> None:
    log = log_of([("b", 1), ("a", 1), ("a", 2)])
    assert (log.n_users, log.n_items, log.n_interactions) == (2, 2, 3)
    assert log.to_scipy().toarray().tolist() == [[1, 1], [1, 0]]
    assert log.times is None


def test_to_scipy_is_a_copy() -> None:
    log = log_of([("b", 1), ("a", 1)])
    log.to_scipy().indices[:] = 7
    assert log.matrix.indices.tolist() == [0, 0]


def test_the_latest_of_repeated_rows_stays() -> None:
    log = log_of([("a", 1), ("a", 2), ("a", 1)], time=[5, 9, 7])
    assert log.times is not None
    assert log.times.tolist() == [7, 9]
    assert log.report.duplicates == 1


def test_the_fingerprint_sees_ids_and_pairs_and_nothing_else() -> None:
    log = log_of([("a", 1), ("b", 2)])
    same = log_of([("b", 2), ("a", 1), ("a", 1)], time=[1, 2, 3])
    others = [
        log_of([("a", 2), ("b", 1)]),
        log_of([("a", 1), ("b", 2), ("a", 2)]),
        log_of([("a", 1), ("c", 2)]),
        log_of([("a", "1"), ("b", "2")]),
        log_of([("a", 1), ("b", 3)]),
        log_of([("a", 1), ("a", 2), ("b", 3)]),
        log_of([("a", 1), ("b", 2), ("b", 3)]),
    ]
    assert log.fingerprint() == same.fingerprint()
    assert len({log.fingerprint(), *(other.fingerprint() for other in others)}) == 8


def test_the_fingerprint_does_not_see_how_ids_are_sliced_or_joined() -> None:
    log = log_of([("ab", 1), ("c", 2), ("d", 2)])
    sliced = Ids(Ids.from_array(["a", "ab", "c", "d"])[0].array[1:])
    whole = Interactions(sliced, log.items, log.matrix, None, log.report)
    assert whole.fingerprint() == log.fingerprint()
    assert log_of([("a", 1), ("bc", 2), ("d", 2)]).fingerprint() != log.fingerprint()


def test_a_matrix_must_fit_the_ids() -> None:
    log = log_of([("a", 1), ("b", 2)])
    with pytest.raises(ValueError, match="a row for each user"):
        log.with_matrix(Csr.empty(3, 2))
    with pytest.raises(ValueError, match="one time for each"):
        log.with_matrix(log.matrix, np.zeros(3))
    assert log.with_matrix(Csr.empty(2, 2)).n_interactions == 0


def test_heldout_counts_what_the_model_cannot_know() -> None:
    model_users, _ = Ids.from_array([3, 1, 2])
    model_items, _ = Ids.from_array(["7", "x", "y"])
    test = log_of([("1", "x"), ("1", "new"), ("9", "x"), ("3", "newer"), ("3", "y"), ("3", "7")])
    seen = test.heldout(model_users, model_items)
    rows = [seen.truth.row(row).tolist() for row in range(seen.truth.n_rows)]
    assert rows == [[1], [], [0, 2]]
    assert seen.sizes.tolist() == [2, 0, 3]
    assert (seen.unknown_users, seen.unknown_items) == (1, 2)
    assert seen.truth.n_columns == 3


def test_heldout_leaves_out_ids_that_have_nothing_in_the_test_part() -> None:
    train, test = log_of([("a", 1), ("a", 2), ("b", 3)]).split(UserSplit(test=0.5))
    stranger = Ids.from_array(["z"])[0]
    assert test.heldout(stranger, train.items).unknown_users == 1  # only a has a test item
    assert test.heldout(train.users, stranger).unknown_items == 1
    same = test.heldout(train.users, train.items)
    assert same.truth.indices.tolist() == test.matrix.indices.tolist()
    assert (same.unknown_users, same.unknown_items) == (0, 0)


def test_the_report_tells_people_and_programs() -> None:
    report = Report(
        "log.csv", "csv", "u", "i", None, "t", 10, below_rating=1, duplicates=2, core_dropped=3,
        users=2, items=3, interactions=4, overlap=1, notes=("No header.",),
    )  # fmt: skip
    assert report.lines() == [
        "log.csv (csv): 10 rows; columns: user 'u', item 'i', time 't'",
        "1 below the least rating",
        "2 merged as duplicates",
        "3 dropped by the core",
        "1 also in an earlier part",
        "2 users, 3 items, 4 interactions",
        "No header.",
    ]
    values = json.loads(json.dumps(report.to_dict()))
    assert (values["rows"], values["rating"], values["notes"]) == (10, None, ["No header."])


def test_the_report_is_silent_about_what_did_not_happen() -> None:
    assert log_of([("a", 1), ("a", 2)]).report.lines() == [
        "pandas DataFrame (frame): 2 rows; columns: user 'user', item 'item'",
        "1 users, 2 items, 2 interactions",
    ]


def test_parts_are_optional_but_train() -> None:
    log = log_of([("a", 1)])
    assert (Parts(log).valid, Parts(log).test) == (None, None)
