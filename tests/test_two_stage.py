"""Retrieve from codes, rank by a model of clicks: slowly, user by user."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from hashrec.ctr import CtrModel, CtrRecipe
from hashrec.encoders import Spectral
from hashrec.errors import DataError, UnknownIdError, UsageError
from hashrec.impressions import planted_impressions
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender
from hashrec.two_stage import _best, retrieve_and_rank

LOG = planted_impressions(1_200, users=40, items=60, communities=3, seed=3)
RETRIEVER = Recommender(Recipe(encoder=Spectral(dim=8))).fit(LOG.interactions())
RANKER = CtrModel(CtrRecipe.from_dict({"dim": 4, "training": {"epochs": 2}})).fit(LOG)
NOW = {"hour": "hour012", "device": "phone"}


def ranked(users: Any = None, k: int = 5, **options: Any) -> Any:
    return retrieve_and_rank(RETRIEVER, RANKER, users, k, context=NOW, **options)


def slowly(user: int, k: int, candidates: int) -> list[tuple[int, float, int, int]]:
    found = RETRIEVER.recommend([user], candidates).to_pylist()
    rows = pa.table({
        "user": [user] * len(found), "item": [row["item"] for row in found],
        **{name: [value] * len(found) for name, value in NOW.items()},
    })  # fmt: skip
    scores = RANKER.score(rows)["score"].to_pylist()
    order = sorted(range(len(found)), key=lambda at: (-scores[at], at))[:k]
    return [
        (found[at]["item"], scores[at], place + 1, found[at]["rank"])
        for place, at in enumerate(order)
    ]


@pytest.mark.parametrize(("k", "candidates"), [(5, 20), (5, 5), (1, 7), (50, 1_000)])
def test_the_best_of_each_users_candidates(k: int, candidates: int) -> None:
    users = [7, 3, 31]
    found = ranked(users, k, candidates=candidates)
    assert found.column_names == ["user", "item", "score", "rank", "retrieved"]
    expected = [(user, *row) for user in users for row in slowly(user, k, candidates)]
    assert found["user"].to_pylist() == [row[0] for row in expected]
    assert found["item"].to_pylist() == [row[1] for row in expected]
    assert found["score"].to_pylist() == pytest.approx([row[2] for row in expected], rel=1e-5)
    assert found["rank"].to_pylist() == [row[3] for row in expected]
    assert found["retrieved"].to_pylist() == [row[4] for row in expected]
    assert str(found["score"].type) == "float" and str(found["rank"].type) == "int32"


def test_equal_chances_stay_in_the_retrievers_order() -> None:
    found = pa.table({"user": ["a"] * 20, "item": list(range(20)), "rank": list(range(1, 21))})
    score = pa.array([0.5] * 18 + [0.25, 0.75], pa.float32())
    best = _best(found, score, 19)
    assert best["item"].to_pylist() == [19, *range(18)]
    assert best["retrieved"].to_pylist() == [20, *range(1, 19)]


def test_it_ranks_otherwise_than_it_retrieves_and_shows_nothing_seen() -> None:
    found = ranked(None, 5, candidates=30)
    assert found["retrieved"].to_pylist() != found["rank"].to_pylist()
    assert LOG.user is not None and LOG.item is not None
    seen = set(zip(LOG.user.tolist(), LOG.item.tolist(), strict=True))
    pairs = zip(found["user"].to_pylist(), found["item"].to_pylist(), strict=True)
    assert not seen & set(pairs)


def test_only_what_is_allowed_is_retrieved() -> None:
    found = ranked([3], 5, candidates=30, allow=[1, 2, 4])
    assert set(found["item"].to_pylist()) <= {1, 2, 4}
    assert len(ranked([3], 5, candidates=30, allow=[])) == 0


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="candidates: fewer candidates than results; expected at"):
        ranked([3], 5, candidates=4)
    with pytest.raises(UnknownIdError, match="1 unknown user: 4000"):
        ranked([4000])
    assert len(ranked([4000, 3], unknown="skip")) == 5
    with pytest.raises(
        DataError, match="are missing; expected 'device'; got 'hour'. Give them with cont"
    ):
        retrieve_and_rank(RETRIEVER, RANKER, [3], 5, context={"hour": "hour012"})


def test_a_context_is_of_the_moment_alone() -> None:
    """Bug: an id among it made every user the one named there."""
    words = "context: 'user' is no field of the model of clicks; expected segment, "
    with pytest.raises(UsageError, match=words):
        retrieve_and_rank(RETRIEVER, RANKER, [3], 5, context={**NOW, "user": 7})
    with pytest.raises(UsageError, match="'devize' is no field.*Did you mean device"):
        retrieve_and_rank(RETRIEVER, RANKER, [3], 5, context={**NOW, "devize": "x"})
    with pytest.raises(UsageError, match="k: lists of nothing; expected 1 or more; got 0"):
        ranked([3], 0)
