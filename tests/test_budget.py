"""`--budget`: what is tried, what is taken, and on which interactions."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from hashrec.budget import candidates, choose
from hashrec.codes import FloatCodes, IntCodes, SignCodes
from hashrec.encoders import Spectral
from hashrec.errors import UsageError
from hashrec.interactions import Parts, UserSplit, planted
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender
from hashrec.workflow import Job, run

LOG = planted(200, 120, communities=8, degree=15, noise=0.2, seed=4).interactions
TORCH = importlib.util.find_spec("torch") is not None


@pytest.mark.parametrize("budget", [1, 4, 5, 8, 16, 33])
def test_whatever_is_taken_fits(budget: int) -> None:
    recipe, tried = choose(LOG, Recipe(), budget)
    model = Recommender(recipe).fit(LOG)
    assert model.fitted.item_codes.bytes_per_row <= budget
    taken = max(tried, key=lambda trial: (trial.recall, -trial.bytes_per_item))
    assert taken.codes["name"] == recipe.codes.name
    assert isinstance(recipe.encoder, Spectral) and taken.encoder_dim == recipe.encoder.dim


def test_every_trial_is_what_a_fit_by_hand_finds() -> None:
    recipe = Recipe(seed=3)
    part, valid = LOG.split(UserSplit(test=0.1, seed=3))
    _, tried = choose(LOG, recipe, 16)
    assert len(tried) >= 6
    for trial in tried:
        by_hand = Recipe.from_dict(
            {"seed": 3, "encoder": {"dim": trial.encoder_dim}, "codes": trial.codes}
        )
        model = Recommender(by_hand).fit(part)
        assert model.fitted.item_codes.bytes_per_row == trial.bytes_per_item
        recall = model.evaluate(valid, [20]).metrics["recall@20"]
        assert trial.recall == pytest.approx(recall, abs=1e-5)


def test_bytes_are_spent_to_the_last() -> None:
    found = {
        (dim, codes["name"], codes.get("bits"), codes.get("scale"))
        for dim, codes in candidates(Recipe(), 32, 10_000)
    }
    assert found == {
        (8, "float", 32, None), (16, "float", 16, None), (28, "int", 8, None),
        (56, "int", 4, None), (112, "int", 2, None), (224, "sign", None, None),
        (256, "sign", None, "none"),
    }  # fmt: skip
    for dim, codes in candidates(Recipe(), 32, 10_000):
        recipe = Recipe.from_dict({"codes": codes})
        assert isinstance(recipe.codes, FloatCodes | IntCodes | SignCodes)
        assert 0 < dim <= 256


def test_no_more_dimensions_than_the_data_give() -> None:
    assert max(dim for dim, _ in candidates(Recipe(), 400, 120)) == 120


@pytest.mark.skipif(not TORCH, reason="trains")
def test_an_encoder_that_trains_is_given_learned_codes() -> None:
    recipe = Recipe.from_dict({"encoder": {"name": "mf", "dim": 6},
                               "training": {"epochs": 2, "valid": 0}})  # fmt: skip
    made = list(candidates(recipe, 12, 120))
    assert (6, {"name": "ste", "dim": 64}) in made
    assert all(codes["name"] != "sign" for _, codes in made)
    _, tried = choose(LOG, recipe, 12)
    assert {trial.codes["name"] for trial in tried} == {"float", "int", "ste"}


def test_the_test_part_is_not_looked_at(tmp_path: Path) -> None:
    train, test = LOG.split(UserSplit(test=0.2, seed=0))
    other = LOG.split(UserSplit(test=0.2, seed=9))[1]
    found = []
    for number, part in enumerate((test, other)):
        job = Job(Recipe(), tmp_path / str(number), budget=8)
        found.append(run(Parts(train, None, part), job).result["budget"])
    assert found[0] == found[1]
    assert found[0]["bytes"] == 8 and len(found[0]["tried"]) >= 5


def test_the_model_written_is_within_the_budget(tmp_path: Path) -> None:
    job = Job(Recipe(), tmp_path / "m", budget=10)
    outcome = run(Parts(LOG, None, None), job)
    assert outcome.result["bytes_per_item"] <= 10
    assert outcome.result["refitted"] is True


def test_nothing_is_so_small() -> None:
    with pytest.raises(UsageError, match="--budget: no code is so small"):
        choose(LOG, Recipe(), 0)
