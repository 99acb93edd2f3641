"""Real data: the counts its makers published."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashrec.interactions import Cleaning, read, read_parts

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA}"),
]


@pytest.mark.parametrize(
    ("folder", "users", "items", "train", "test"),
    [
        ("gowalla", 29_858, 40_981, 810_128, 217_242),
        ("gowalla-random", 29_858, 40_981, 821_896, 102_737),
        ("beauty", 22_363, 12_101, 158_801, 19_851),
        ("ml-1m", 6_040, 3_706, 797_758, 202_451),  # 3,952 ids, of which 3,706 are used
    ],
)
def test_published_counts(folder: str, users: int, items: int, train: int, test: int) -> None:
    parts = read_parts(DATA / folder)
    assert parts.test is not None
    assert (parts.train.n_users, parts.train.n_items) == (users, items)
    assert (parts.train.n_interactions, parts.test.n_interactions) == (train, test)
    assert parts.test.report.overlap == 0


def test_movielens_100k_with_ratings_and_times() -> None:
    log = read(DATA / "ml-100k" / "ml-100k.inter")
    assert (log.n_users, log.n_items, log.n_interactions) == (943, 1682, 100_000)
    assert log.times is not None
    assert (log.times.min(), log.times.max()) == (874_724_710, 893_286_638)
    liked = read(DATA / "ml-100k" / "ml-100k.inter", cleaning=Cleaning(min_rating=4))
    assert liked.n_interactions == 55_375
