"""Planted logs: what is promised about them, by counting."""

from __future__ import annotations

import numpy as np
import pytest

from hashrec.errors import UsageError
from hashrec.interactions import planted


def test_without_noise_nobody_leaves_their_community() -> None:
    log, users, items = planted(60, 35, communities=4, degree=10, noise=0, seed=3)
    assert np.array_equal(users[log.matrix.row_of_entry], items[log.matrix.indices])
    assert np.bincount(users).tolist() == [15] * 4
    assert sorted(np.bincount(items).tolist()) == [8, 9, 9, 9]
    assert log.users.array.to_pylist() == list(range(60))
    assert log.items.array.to_pylist() == list(range(35))
    assert 1 <= log.matrix.lengths.min() <= log.matrix.lengths.max() <= 10


def test_noise_is_spread_over_all_communities() -> None:
    log, users, items = planted(500, 400, communities=4, degree=20, noise=1, seed=3)
    same = np.mean(users[log.matrix.row_of_entry] == items[log.matrix.indices])
    assert same == pytest.approx(0.25, abs=0.02)


def test_popularity_falls_like_one_over_rank() -> None:
    log, _, items = planted(20_000, 100, communities=2, degree=1, noise=0, seed=0)
    counts = np.sort(log.matrix.column_counts()[items == 0])[::-1]
    assert counts[0] / counts[1] == pytest.approx(2, rel=0.15)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.3)
    assert np.all(counts > 0)


def test_a_smaller_community_draws_by_its_own_ranks() -> None:
    log, _, items = planted(20_000, 5, communities=2, degree=1, noise=0, seed=0)
    large, small = (np.sort(log.matrix.column_counts()[items == c])[::-1] for c in (0, 1))
    assert large / large[0] == pytest.approx([1, 1 / 2, 1 / 3], rel=0.1)
    assert small / small[0] == pytest.approx([1, 1 / 2], rel=0.1)


def test_the_same_seed_plants_the_same_log() -> None:
    prints = [
        planted(30, 20, communities=3, degree=5, noise=0.1, seed=seed).interactions.fingerprint()
        for seed in (1, 1, 2)
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    "bad", [{"communities": 0}, {"communities": 6}, {"degree": 0}, {"noise": 1.5}]
)
def test_sizes_that_make_no_sense_are_refused(bad) -> None:
    sizes = {"communities": 2, "degree": 3, "noise": 0.1, "seed": 0} | bad
    with pytest.raises(UsageError, match=f"no planted log.*{next(iter(bad))}"):
        planted(5, 9, **sizes)
