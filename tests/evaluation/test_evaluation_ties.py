"""The probabilities at each rank, worked by hand."""

from __future__ import annotations

import numpy as np

from hashrec.csr import Csr
from hashrec.evaluation import Ranking
from hashrec.evaluation.ties import expected_ranks


def test_the_probabilities_at_each_rank() -> None:
    # User 0: rank 1 alone and relevant; then c = 3 with r = 2: 2/3 each, and given none before
    # 2/3, then 2/2, then certain still (a rank that is never reached without a hit).
    # User 1: a list of one, a miss; nothing behind its end.
    ranking = Ranking(
        np.array([[3, 0, 1, 2], [2, -1, -1, -1]], np.int32),
        np.array([[5, 1, 1, 1], [0, 0, 0, 0]], np.float32),
        np.array([4, 1]),
        np.zeros(2, np.int64),
        np.zeros(2, np.int64),
    )
    truth = Csr.from_lists([[0, 2, 3], [1]], n_columns=4)
    ranks = expected_ranks(ranking, truth, depth=4)
    np.testing.assert_allclose(ranks.relevant, [[1, 2 / 3, 2 / 3, 2 / 3], [0] * 4], atol=1e-15)
    np.testing.assert_allclose(ranks.first, [[1, 2 / 3, 1, 1], [0] * 4], atol=1e-15)
    assert ranks.parted.tolist() == [[False, True, True, False], [False] * 4]


def test_a_smaller_depth_still_counts_groups_whole() -> None:
    # c = 2 listed + 2 left out, r = 1 of the listed: 1/4 at rank 1.
    one = np.ones(1, np.int64)
    ranking = Ranking(
        np.array([[0, 1]], np.int32), np.zeros((1, 2), np.float32), 2 * one, 2 * one, 0 * one
    )
    ranks = expected_ranks(ranking, Csr.from_lists([[1]], n_columns=4), depth=1)
    assert ranks.relevant.tolist() == ranks.first.tolist() == [[0.25]]
    assert ranks.parted.tolist() == [[True]]


def test_no_users() -> None:
    none = np.zeros(0, np.int64)
    nobody = Ranking(np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), none, none, none)
    ranks = expected_ranks(nobody, Csr.empty(0, 5), depth=2)
    assert ranks.relevant.shape == ranks.first.shape == ranks.parted.shape == (0, 2)
