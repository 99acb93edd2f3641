"""The closed form against every order of tied items, and the oracle against thought."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.csr import Csr
from hashrec.evaluation import PROTOCOLS, evaluate
from hashrec.evaluation.oracle import (
    every_order,
    expected_metrics,
    list_metrics,
    rank_everything,
)

MOST_ITEMS = 6  # at most 720 orders a user


class Case(NamedTuple):
    scores: npt.NDArray[np.float32]
    seen: list[list[int]]
    truth: list[list[int]]
    sizes: list[int]
    k: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few users, three score levels, seen and test items apart, some test items unknown."""
    n_users, n_items = draw(st.integers(1, 4)), draw(st.integers(1, MOST_ITEMS))
    scores, seen, truth, sizes = [], [], [], []
    for _ in range(n_users):
        scores.append(
            draw(st.lists(st.sampled_from([-1, 0, 2]), min_size=n_items, max_size=n_items))
        )
        marks = draw(st.lists(st.sampled_from("-st"), min_size=n_items, max_size=n_items))
        seen.append([item for item, mark in enumerate(marks) if mark == "s"])
        truth.append([item for item, mark in enumerate(marks) if mark == "t"])
        sizes.append(len(truth[-1]) + draw(st.integers(0, 2)))
    # At least one user has something to find.
    sizes[0] = max(sizes[0], 1)
    k = draw(st.integers(1, n_items + 2))
    return Case(np.array(scores, np.float32), seen, truth, sizes, k)


@settings(max_examples=300, deadline=None)
@given(case=cases(), name=st.sampled_from(sorted(PROTOCOLS)), wider=st.integers(0, 3))
def test_the_closed_form_is_the_mean_over_every_order(case: Case, name: str, wider: int) -> None:
    n_items = case.scores.shape[1]
    truth = Csr.from_lists(case.truth, n_columns=n_items)
    seen = Csr.from_lists(case.seen, n_columns=n_items)
    ranking = rank_everything(case.scores, seen, truth, k=case.k + wider)
    sizes = np.array(case.sizes)
    report = evaluate(ranking, truth, sizes, ks=[case.k], protocol=name, n_items=n_items)
    for user in np.flatnonzero(sizes):
        slow = expected_metrics(
            case.scores[user].tolist(),
            case.seen[user],
            case.truth[user],
            size=case.sizes[user],
            k=case.k,
            protocol=PROTOCOLS[name],
        )
        fast = {metric: report.per_user[f"{metric}@{case.k}"][user] for metric in slow}
        assert fast == pytest.approx(slow, abs=1e-9)


def test_every_order_keeps_scores_falling_and_leaves_seen_items_out() -> None:
    orders = list(every_order([1.0, 3.0, 1.0, 9.0, 2.0], seen={3}))
    assert orders == [[1, 4, 0, 2], [1, 4, 2, 0]]
    assert list(every_order([1.0], seen={0})) == [[]]


def test_rank_everything_lists_by_score_then_position_and_counts_what_it_leaves_out() -> None:
    scores = np.array([[1, 5, 1, 1, 9, 1], [3, 2, 1, 0, 0, 0]], np.float32)
    seen = Csr.from_lists([[4], [1, 2, 3, 4, 5]], n_columns=6)
    truth = Csr.from_lists([[3, 5], []], n_columns=6)
    ranking = rank_everything(scores, seen, truth, k=2)
    assert ranking.positions.tolist() == [[1, 0], [0, -1]]
    assert ranking.scores[0].tolist() == [5, 1]
    assert ranking.counts.tolist() == [2, 1]
    assert ranking.ties.tolist() == [3, 0]  # 2, 3 and 5 are level with 0
    assert ranking.relevant_ties.tolist() == [2, 0]


def test_list_metrics_of_one_list() -> None:
    # hits at ranks 1 and 3, K = 4, |T| = 3: see the definitions.
    found = list_metrics([7, 1, 4], {7, 4, 5}, size=3, k=4, protocol=PROTOCOLS["lightgcn"])
    assert found == pytest.approx(
        {
            "recall": 2 / 3,
            "precision": 1 / 2,
            "ndcg": 1.5 / (1.5 + 0.6309297535714575),
            "f1": 4 / 7,
            "mrr": 1.0,
            "hit_rate": 1.0,
        },
        abs=1e-12,
    )
