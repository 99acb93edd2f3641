"""What training asks of search, by other arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashrec.codes import SignCodes
from hashrec.csr import Csr
from hashrec.interactions import UserSplit, planted
from hashrec.watching import hardest, some_of, watcher

LOG = planted(90, 60, communities=5, degree=14, noise=0.15, seed=4).interactions
TRAIN, TEST = LOG.split(UserSplit(test=0.25, seed=1))


def test_few_users_are_all_of_them_and_of_many_some() -> None:
    few, many = np.arange(3, 10_003), np.arange(0, 20_002, 2)
    assert some_of(few, 0).tolist() == few.tolist()
    some = some_of(many, 0)
    assert len(some) == 10_000
    assert (np.diff(some) > 0).all()
    assert np.isin(some, many).all()


def vectors(n_users: int = TRAIN.n_users) -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    sides = [rng.normal(size=(n, 16)).astype(np.float32) for n in (n_users, TRAIN.n_items)]
    return sides[0], sides[1]


def test_training_is_watched_by_the_recall_of_unseen_items() -> None:
    """By loops: scores of all items, the seen ones out, the best 20, the share of valid found."""
    users, items = vectors()
    metrics = watcher(0)(TRAIN, TEST)(users, items)
    assert set(metrics) == {"recall@20", "ndcg@20"}
    recalls = []
    for user in np.flatnonzero(TEST.matrix.lengths):
        scores = items @ users[user]
        scores[TRAIN.matrix.row(user)] = -np.inf
        best = np.argsort(-scores)[:20]
        recalls.append(np.isin(TEST.matrix.row(user), best).mean())
    assert metrics["recall@20"] == pytest.approx(np.mean(recalls), abs=1e-6)


def test_of_many_users_the_same_few_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    users, items = vectors()
    whole = watcher(0)(TRAIN, TEST)(users, items)
    monkeypatch.setattr("hashrec.watching._SOME", 10)
    some = watcher(0)(TRAIN, TEST)
    assert some(users, items) == some(users, items) == watcher(0)(TRAIN, TEST)(users, items)
    assert some(users, items) != whole
    assert watcher(1)(TRAIN, TEST)(users, items) != some(users, items)


def test_the_hardest_items_are_those_that_signs_rank_first() -> None:
    users, items = vectors()
    coder = SignCodes()
    scores = coder.encode(users).decode() @ coder.encode(items).decode().T
    found = hardest(users, items, TRAIN.matrix, 5)
    assert (found.dtype, found.shape) == (np.int32, (TRAIN.n_users, 5))
    for user, row in enumerate(found):
        assert not set(row) & set(TRAIN.matrix.row(user))
        scores[user, TRAIN.matrix.row(user)] = -np.inf
        assert sorted(scores[user])[-5:] == pytest.approx(sorted(scores[user, row]), rel=1e-5)


def test_who_has_met_nearly_everything_has_few_hard_items() -> None:
    users, items = vectors(2)
    seen = Csr.from_lists([list(range(2, 60)), []], n_columns=60)
    found = hardest(users, items, seen, 80)
    assert found.shape == (2, 80)
    assert set(found[0, :2]) == {0, 1}
    assert (found[0, 2:] == -1).all()
    assert sorted(found[1, :60]) == list(range(60))
    assert (found[1, 60:] == -1).all()
