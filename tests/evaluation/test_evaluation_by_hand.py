"""Cases worked by hand, the arithmetic beside them; D(r) = 1 / log2(r + 1) is written out.

D(1) = 1, D(2) = 0.6309297535714575, D(3) = 0.5, D(4) = 0.43067655807339306.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from hashrec.csr import Csr
from hashrec.evaluation import Ranking, Report, evaluate

D1, D2, D3, D4 = 1.0, 0.6309297535714575, 0.5, 0.43067655807339306


def listed(
    *lists: Sequence[tuple[int, float]],
    k: int,
    ties: Sequence[int] = (),
    relevant_ties: Sequence[int] = (),
) -> Ranking:
    """A ranking from lists of (position, score), and what was left out of each."""
    n_users = len(lists)
    positions, scores = np.full((n_users, k), -1, np.int32), np.zeros((n_users, k), np.float32)
    for user, row in enumerate(lists):
        for place, (position, score) in enumerate(row):
            positions[user, place], scores[user, place] = position, score
    return Ranking(
        positions,
        scores,
        np.array([len(row) for row in lists], np.int64),
        np.array(ties or [0] * n_users, np.int64),
        np.array(relevant_ties or [0] * n_users, np.int64),
    )


def measure(
    ranking: Ranking,
    truth: list[list[int]],
    *,
    k: int,
    sizes: list[int] | None = None,
    protocol: str = "lightgcn",
    n_items: int = 10,
) -> Report:
    rows = Csr.from_lists(truth, n_columns=n_items)
    totals = rows.lengths if sizes is None else np.array(sizes)
    return evaluate(ranking, rows, totals, ks=[k], protocol=protocol, n_items=n_items)


def check(report: Report, k: int, **expected: float) -> None:
    found = {name: report.metrics[f"{name}@{k}"] for name in expected}
    assert found == pytest.approx(expected, abs=1e-9)


NO_TIES = listed([(5, 9.0), (2, 8.0), (7, 7.0), (0, 6.0)], k=4)


def test_without_ties() -> None:
    # T = {2, 0, 8}; hits at ranks 2 and 4; K = 4.
    check(
        measure(NO_TIES, [[0, 2, 8]], k=4),
        4,
        recall=2 / 3,
        precision=2 / 4,
        ndcg=(D2 + D4) / (D1 + D2 + D3),
        f1=4 / 7,  # 2PR/(P+R) = 2 (1/2)(2/3) / (7/6) = 4/7
        mrr=1 / 2,
        hit_rate=1.0,
        coverage=4 / 10,
        tie_rate=0.0,
    )


def test_a_smaller_cut_than_the_list() -> None:
    # K = 1: nothing found. K = 3: one hit, at rank 2; the ideal has min(3, 3) hits.
    check(measure(NO_TIES, [[0, 2, 8]], k=1), 1, recall=0, ndcg=0, f1=0, mrr=0, hit_rate=0)
    check(
        measure(NO_TIES, [[0, 2, 8]], k=3),
        3,
        recall=1 / 3,
        precision=1 / 3,
        ndcg=D2 / (D1 + D2 + D3),
        mrr=1 / 2,
        coverage=3 / 10,
    )


def test_all_cuts_at_once_are_the_cuts_one_by_one() -> None:
    truth = Csr.from_lists([[0, 2, 8]], n_columns=10)
    both = evaluate(NO_TIES, truth, truth.lengths, ks=[3, 1], n_items=10)
    single = [evaluate(NO_TIES, truth, truth.lengths, ks=[k], n_items=10) for k in (3, 1)]
    assert both.metrics == {**single[0].metrics, **single[1].metrics}


@pytest.mark.parametrize(
    ("protocol", "recall", "ndcg", "f1"),
    [
        # |T| = 5, K = 4, hits at ranks 2 and 4, P = 1/2.
        ("lightgcn", 2 / 5, (D2 + D4) / (D1 + D2 + D3 + D4), 4 / 9),
        ("graphhash", 2 / 4, (D2 + D4) / (D1 + D2 + D3 + D4), 4 / 8),
        ("hashlgn", 2 / 5, (D2 + D4) / (D1 + D2 + D3 + D4), 4 / 9),
    ],
)
def test_protocols_where_more_are_wanted_than_shown(
    protocol: str, recall: float, ndcg: float, f1: float
) -> None:
    # Two of the five are in truth; the other three the model does not know: `sizes` says so.
    report = measure(NO_TIES, [[0, 2]], sizes=[5], k=4, protocol=protocol)
    check(report, 4, recall=recall, precision=1 / 2, ndcg=ndcg, f1=f1)


@pytest.mark.parametrize(
    ("protocol", "ideal"),
    [("lightgcn", D1), ("graphhash", D1), ("hashlgn", D1 + D2 + D3 + D4)],
)
def test_protocols_where_fewer_are_wanted_than_shown(protocol: str, ideal: float) -> None:
    report = measure(NO_TIES, [[2]], k=4, protocol=protocol)
    check(report, 4, recall=1.0, precision=1 / 4, ndcg=D2 / ideal, f1=2 / 5)


TIED = listed([(1, 9.0), (3, 5.0), (4, 5.0), (6, 5.0), (0, 1.0)], k=5)


def test_a_cut_through_a_tie() -> None:
    # Rank 1: item 1, a miss. Ranks 2..4 hold {3, 4, 6} in random order, 3 and 6 relevant. K = 2:
    # one of the three is shown, relevant with probability 2/3. |T| = 2.
    check(
        measure(TIED, [[3, 6]], k=2),
        2,
        recall=(2 / 3) / 2,
        precision=(2 / 3) / 2,
        ndcg=(2 / 3) * D2 / (D1 + D2),
        f1=2 * (2 / 3) / (2 + 2),
        mrr=(2 / 3) / 2,
        hit_rate=2 / 3,
        coverage=2 / 10,  # as served: items 1 and 3
        tie_rate=1.0,
    )


def test_a_cut_deeper_in_a_tie() -> None:
    # K = 3: two of the three are shown. At least one is relevant for certain: C(1, 2) = 0. The
    # first hit is at rank 2 with 2/3, else at rank 3.
    check(
        measure(TIED, [[3, 6]], k=3),
        3,
        recall=(4 / 3) / 2,
        precision=(4 / 3) / 3,
        ndcg=(2 / 3) * (D2 + D3) / (D1 + D2),
        mrr=(2 / 3) / 2 + (1 / 3) / 3,
        hit_rate=1.0,
        tie_rate=1.0,
    )


def test_a_tie_wholly_above_the_cut_still_counts_in_the_ranks() -> None:
    # K = 4 shows all three, so recall is certain; NDCG and MRR still average over their order.
    check(
        measure(TIED, [[3, 6]], k=4),
        4,
        recall=1.0,
        precision=1 / 2,
        ndcg=(2 / 3) * (D2 + D3 + D4) / (D1 + D2),
        mrr=(2 / 3) / 2 + (1 / 3) / 3,
        hit_rate=1.0,
        tie_rate=0.0,
    )


def test_a_group_that_goes_on_behind_the_end_of_the_list() -> None:
    # k = 3 lists 9 | 2 5; behind it 3 more level with 2 and 5, two of them relevant. So the group
    # has c = 5 members on ranks 2..6, r = 3 (5 and two unlisted); |T| = 4, one unknown. K = 3:
    # E hits = 2 * 3/5; none in two draws = C(2,2)/C(5,2) = 1/10; first at rank 2: 3/5, at rank 3:
    # 2/5 * 3/4 = 3/10.
    ranking = listed([(9, 2.0), (2, 1.0), (5, 1.0)], k=3, ties=[3], relevant_ties=[2])
    check(
        measure(ranking, [[5, 6, 8]], sizes=[4], k=3),
        3,
        recall=(6 / 5) / 4,
        precision=(6 / 5) / 3,
        ndcg=(3 / 5) * (D2 + D3) / (D1 + D2 + D3),
        f1=2 * (6 / 5) / (3 + 4),
        mrr=(3 / 5) / 2 + (3 / 10) / 3,
        hit_rate=9 / 10,
        coverage=3 / 10,
        tie_rate=1.0,
    )
    # Cut above the group, nothing of it is seen, and nothing is decided by chance.
    check(measure(ranking, [[5, 6, 8]], k=1), 1, recall=0, hit_rate=0, tie_rate=0)


def test_everything_tied() -> None:
    # Four items, all equal, one relevant, two listed: a random pair. It stands at each of the four
    # ranks with probability 1/4, so MRR@2 = (1 + 1/2) / 4.
    ranking = listed([(0, 0.0), (1, 0.0)], k=2, ties=[2], relevant_ties=[1])
    check(
        measure(ranking, [[3]], k=2, n_items=4),
        2,
        recall=1 / 2,
        precision=1 / 4,
        ndcg=(D1 + D2) / 4,
        mrr=(1 + 1 / 2) / 4,
        hit_rate=1 / 2,
        coverage=2 / 4,
        tie_rate=1.0,
    )


def test_zeros_of_both_signs_are_one_score() -> None:
    ranking = listed([(0, 0.0), (1, -0.0)], k=2)
    check(measure(ranking, [[1]], k=1), 1, recall=1 / 2, tie_rate=1.0)


def test_a_hundred_thousand_tied_items() -> None:
    # c = 100,002, r = 1,001, K = 2. none = (c-r)(c-r-1) / (c (c-1)).
    ranking = listed([(0, 0.0), (1, 0.0)], k=2, ties=[100_000], relevant_ties=[1_000])
    truth = [[1, *range(2, 1_002)]]
    c, r = 100_002, 1_001
    none = (c - r) * (c - r - 1) / (c * (c - 1))
    check(
        measure(ranking, truth, k=2, n_items=c),
        2,
        recall=2 * (r / c) / r,
        mrr=r / c + (c - r) / c * (r / (c - 1)) / 2,
        hit_rate=1 - none,
    )


def test_a_hundred_thousand_tied_items_over_a_long_list() -> None:
    # With r = 2 all is a polynomial: first at offset t has (c-1-t) / C(c, 2).
    k, c = 1_000, 100_000
    ranking = listed([(i, 0.0) for i in range(k)], k=k, ties=[c - k], relevant_ties=[1])
    pairs = c * (c - 1) // 2
    check(
        measure(ranking, [[0, c - 1]], k=k, n_items=c),
        k,
        recall=k / c,
        mrr=math.fsum((c - 1 - t) / (t + 1) for t in range(k)) / pairs,
        hit_rate=1 - (c - k) * (c - k - 1) / 2 / pairs,
    )


def test_a_list_that_ends_before_the_cut() -> None:
    # Only two unseen items, both tied, one relevant; K = 4. Membership is certain: no tie at the
    # cut, though the order is random. Precision still divides by K.
    ranking = listed([(3, 1.0), (8, 1.0)], k=4)
    check(
        measure(ranking, [[8]], k=4),
        4,
        recall=1.0,
        precision=1 / 4,
        ndcg=(D1 + D2) / 2,
        mrr=(1 + 1 / 2) / 2,
        hit_rate=1.0,
        coverage=2 / 10,
        tie_rate=0.0,
    )
    check(measure(ranking, [[8]], k=2), 2, recall=1.0, tie_rate=0.0)
    check(measure(ranking, [[8]], k=1), 1, recall=1 / 2, tie_rate=1.0)


def test_an_empty_place_is_not_the_last_item_of_the_user_before() -> None:
    """-1 as a key of user 1 is the key of the last item of user 0: it must not count as found."""
    ranking = listed([(9, 1.0)], [], k=2)
    report = measure(ranking, [[9], [4]], k=2)
    assert report.per_user["recall@2"].tolist() == [1.0, 0.0]


def test_an_empty_list_is_all_misses() -> None:
    report = measure(listed([], k=3), [[1]], k=3)
    assert set(report.metrics.values()) == {0.0}


def test_more_asked_than_items_exist() -> None:
    # Three items in all, K = 5, hit at rank 3.
    ranking = listed([(2, 3.0), (0, 2.0), (1, 1.0)], k=5)
    check(
        measure(ranking, [[1]], k=5, n_items=3),
        5,
        recall=1.0,
        precision=1 / 5,
        ndcg=D3,
        mrr=1 / 3,
        coverage=1.0,
    )


def test_only_unknown_test_items_are_all_misses() -> None:
    report = measure(NO_TIES, [[]], sizes=[2], k=4)
    check(report, 4, recall=0, precision=0, ndcg=0, f1=0, mrr=0, hit_rate=0, coverage=4 / 10)
    assert report.users_evaluated == 1


def test_users_without_test_items_are_left_out_and_counted() -> None:
    # User 1 has none. His list counts in coverage, which is of what is served, and nowhere else:
    # not in the tie rate either, though his cut is a tie.
    ranking = listed(
        [(5, 2.0), (2, 1.0)], [(0, 1.0), (1, 1.0)], [(7, 2.0), (5, 1.0)], k=2, ties=[0, 4, 0]
    )
    report = measure(ranking, [[2], [], [0]], k=2)
    check(report, 2, recall=1 / 2, precision=1 / 4, mrr=1 / 4, tie_rate=0, coverage=5 / 10)
    assert (report.users_evaluated, report.users_without_test) == (2, 1)
    assert np.isnan(report.per_user["recall@2"]).tolist() == [False, True, False]
    assert report.per_user["recall@2"][[0, 2]].tolist() == [1.0, 0.0]


def test_f1_is_a_mean_of_users_but_in_hashlgn_of_means() -> None:
    # K = 2. User 0: 1 hit of |T| = 1: P = 1/2, R = 1, F1 = 2/3. User 1: 1 hit of |T| = 4:
    # P = 1/2, R = 1/4, F1 = 1/3. Mean F1 = 1/2. Of the means P = 1/2, R = 5/8:
    # 2 (1/2)(5/8) / (9/8) = 5/9.
    ranking = listed([(5, 2.0), (2, 1.0)], [(0, 2.0), (1, 1.0)], k=2)
    truth = [[2], [0, 5, 6, 7]]
    check(measure(ranking, truth, k=2), 2, precision=1 / 2, recall=5 / 8, f1=1 / 2)
    # graphhash: user 1 has R = 1/2, F1 = 1/2.
    check(measure(ranking, truth, k=2, protocol="graphhash"), 2, f1=(2 / 3 + 1 / 2) / 2)
    hashlgn = measure(ranking, truth, k=2, protocol="hashlgn")
    check(hashlgn, 2, precision=1 / 2, recall=5 / 8, f1=5 / 9)
    assert hashlgn.per_user["f1@2"] == pytest.approx([2 / 3, 1 / 3], abs=1e-9)


def test_f1_of_means_that_are_both_zero_is_zero() -> None:
    check(measure(NO_TIES, [[9]], k=4, protocol="hashlgn"), 4, f1=0.0)
