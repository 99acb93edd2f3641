"""`evaluate` as a whole: its report, what cannot change it, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

import hashrec.evaluation.measure
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.evaluation import PROTOCOLS, Ranking, Report, evaluate
from hashrec.evaluation.oracle import rank_everything

N_USERS, N_ITEMS, K = 50, 30, 12
NAMES = ["recall", "precision", "ndcg", "f1", "mrr", "hit_rate", "coverage", "tie_rate"]


def random_rows(rng: np.random.Generator) -> Csr:
    rows, columns = np.nonzero(rng.random((N_USERS, N_ITEMS)) < 0.1)
    return Csr.from_pairs(rows, columns, n_rows=N_USERS, n_columns=N_ITEMS)


@pytest.fixture(scope="module")
def case() -> tuple[Ranking, Csr]:
    """Random users, many ties, some users without test items."""
    rng = np.random.default_rng(1)
    truth = random_rows(rng)
    scores = rng.integers(0, 8, (N_USERS, N_ITEMS)).astype(np.float32)
    ranking = rank_everything(scores, random_rows(rng), truth, k=K)
    assert 0 < np.sum(truth.lengths == 0) < N_USERS
    return ranking, truth


def measure(case: tuple[Ranking, Csr], **changes: Any) -> Report:
    ranking, truth = case
    options: dict[str, Any] = {"ks": [3, K], "n_items": N_ITEMS, "sizes": truth.lengths, **changes}
    return evaluate(ranking, truth, options.pop("sizes"), **options)


def test_the_dictionary_has_exactly_the_fixed_keys_and_survives_json(
    case: tuple[Ranking, Csr],
) -> None:
    found = measure(case, ks=[np.int64(12), 3], protocol="graphhash").to_dict()
    counts = ["protocol", "users_evaluated", "users_without_test"]
    assert list(found) == [f"{name}@{k}" for k in (12, 3) for name in NAMES] + counts
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["protocol"] == "graphhash"
    assert found["users_evaluated"] + found["users_without_test"] == N_USERS


def test_a_report_is_frozen_and_equal_by_its_numbers(case: tuple[Ranking, Csr]) -> None:
    report = measure(case)
    assert report == measure(case)
    assert report != measure(case, ks=[3])
    assert "per_user" not in repr(report)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.protocol = "mine"  # type: ignore[misc]


def test_means_are_the_means_of_the_users(case: tuple[Ranking, Csr]) -> None:
    report = measure(case)
    assert set(report.per_user) == {key for key in report.metrics if "coverage" not in key}
    for key, values in report.per_user.items():
        assert values.shape == (N_USERS,)
        assert report.metrics[key] == pytest.approx(np.nanmean(values), abs=1e-12)


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_the_order_of_users_changes_not_one_bit(case: tuple[Ranking, Csr], protocol: str) -> None:
    ranking, truth = case
    order = np.random.default_rng(2).permutation(N_USERS)
    shuffled = ranking.take(order), truth.take(order)
    assert measure(shuffled, protocol=protocol) == measure(case, protocol=protocol)


def test_the_size_of_a_block_changes_not_one_bit(
    case: tuple[Ranking, Csr], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measure(case)
    monkeypatch.setattr(hashrec.evaluation.measure, "BLOCK", 7)
    in_blocks = measure(case)
    assert in_blocks == whole
    for key, values in whole.per_user.items():
        np.testing.assert_array_equal(in_blocks.per_user[key], values)


def test_users_without_test_items_change_only_their_number_and_coverage(
    case: tuple[Ranking, Csr],
) -> None:
    ranking, truth = case
    some = np.flatnonzero(truth.lengths)
    report, without = measure(case), measure((ranking.take(some), truth.take(some)))
    for key, value in report.metrics.items():
        if "coverage" not in key:
            assert without.metrics[key] == value
    assert without.users_without_test == 0
    assert without.users_evaluated == report.users_evaluated == len(some)


@pytest.mark.parametrize("metric", ["recall", "mrr", "hit_rate"])
def test_a_longer_list_never_finds_less(case: tuple[Ranking, Csr], metric: str) -> None:
    per_user = measure(case, ks=range(1, K + 1)).per_user
    by_cut = np.stack([per_user[f"{metric}@{k}"] for k in range(1, K + 1)])
    evaluated = by_cut[:, ~np.isnan(by_cut[0])]
    assert np.all(np.diff(evaluated, axis=0) >= -1e-12)
    assert evaluated[-1].mean() > evaluated[0].mean()


def test_a_search_that_looks_deeper_changes_nothing_above_the_cut() -> None:
    rng = np.random.default_rng(3)
    truth, seen = random_rows(rng), random_rows(rng)
    scores = rng.integers(0, 4, (N_USERS, N_ITEMS)).astype(np.float32)
    shallow = measure((rank_everything(scores, seen, truth, k=5), truth), ks=[5])
    deep = measure((rank_everything(scores, seen, truth, k=N_ITEMS), truth), ks=[5])
    assert deep == shallow


def test_more_unknown_test_items_lower_recall_and_not_precision(
    case: tuple[Ranking, Csr],
) -> None:
    _, truth = case
    known, more = measure(case), measure(case, sizes=truth.lengths + (truth.lengths > 0))
    assert more.metrics["recall@12"] < known.metrics["recall@12"]
    assert more.metrics["precision@12"] == known.metrics["precision@12"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ks": []}, r"^ks: wrong cuts; expected positive, distinct; got \[\]"),
        ({"ks": [0]}, "wrong cuts.*positive"),
        ({"ks": [5, -1]}, "wrong cuts.*positive"),
        ({"ks": [5, 5]}, "wrong cuts.*distinct"),
        ({"ks": [5.0]}, "no integer"),
        ({"ks": [True]}, "no integer"),
        ({"ks": [5, 13]}, "cannot cut at 13; expected at most the 12 places.*larger k"),
        ({"protocol": "bars"}, "unknown protocol 'bars'; expected one of lightgcn, graphhash"),
        ({"sizes": np.ones(49, np.int64)}, "not of the same users"),
        ({"sizes": np.full(50, 9.0)}, "sizes: not whole numbers.*got float64"),
        ({"sizes": np.zeros(50, np.int64)}, "sizes: smaller than the numbers"),
        ({"n_items": 31}, "not of these items; expected 31 columns; got 30"),
    ],
)
def test_refusals(case: tuple[Ranking, Csr], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        measure(case, **changes)


def test_truth_of_other_users_is_refused(case: tuple[Ranking, Csr]) -> None:
    ranking, truth = case
    with pytest.raises(UsageError, match="not of the same users; got 50, 49"):
        evaluate(ranking, truth.take(range(49)), truth.lengths, ks=[1], n_items=N_ITEMS)


def test_nobody_to_evaluate_is_refused(case: tuple[Ranking, Csr]) -> None:
    ranking, _ = case
    with pytest.raises(UsageError, match="nothing to evaluate"):
        measure((ranking, Csr.empty(N_USERS, N_ITEMS)))
    none = np.zeros(0, np.int64)
    nobody = Ranking(np.zeros((0, 2), np.int32), np.zeros((0, 2), np.float32), none, none, none)
    with pytest.raises(UsageError, match="nothing to evaluate"):
        evaluate(nobody, Csr.empty(0, 5), none, ks=[1], n_items=5)


def one_list(*positions: int, relevant_ties: int = 0) -> Ranking:
    one = np.ones(1, np.int64)
    scores = -np.arange(len(positions), dtype=np.float32)[None]
    left = relevant_ties * one
    return Ranking(np.array([positions], np.int32), scores, len(positions) * one, left, left)


def test_a_position_outside_the_items_is_refused() -> None:
    truth = Csr.from_lists([[1]], n_columns=3)
    with pytest.raises(UsageError, match="lists position 3; expected below 3"):
        evaluate(one_list(0, 3), truth, truth.lengths, ks=[1], n_items=3)


@pytest.mark.parametrize("ranking", [one_list(1, 0, 1), one_list(1, 0, relevant_ties=1)])
def test_more_hits_than_test_items_is_refused(ranking: Ranking) -> None:
    truth = Csr.from_lists([[1]], n_columns=3)
    with pytest.raises(UsageError, match="more test items of a user than the user has"):
        evaluate(ranking, truth, truth.lengths, ks=[1], n_items=3)


def test_no_items_at_all() -> None:
    """A user whose test items are all unknown to a model that knows nothing: misses, no crash."""
    one = np.ones(1, np.int64)
    nothing = Ranking(
        np.full((1, 2), -1, np.int32), np.zeros((1, 2), np.float32), 0 * one, 0 * one, 0 * one
    )
    report = evaluate(nothing, Csr.empty(1, 0), one, ks=[2], n_items=0)
    assert set(report.metrics.values()) == {0.0}
