"""`--budget`: what is tried, what is taken, and on which interactions."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashrec import budget
from hashrec.budget import candidates, choose
from hashrec.encoders import Spectral
from hashrec.errors import DataError, UsageError
from hashrec.interactions import Parts, UserSplit, planted
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender
from hashrec.workflow import Job, run

LOG = planted(200, 120, communities=8, degree=15, noise=0.2, seed=4).interactions
TORCH = importlib.util.find_spec("torch") is not None


@pytest.mark.parametrize("most", [1, 4, 5, 8, 16, 33])
def test_whatever_is_taken_fits(most: int) -> None:
    recipe, tried = choose(LOG, Recipe(), most)
    model = Recommender(recipe).fit(LOG)
    assert model.fitted.item_codes.bytes_per_row <= most
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
        (dim, codes["name"], codes.get("bits"), codes.get("scale") or codes.get("size"))
        for dim, codes in candidates(Recipe(), 32, 10_000)
    }
    assert found == {
        (8, "float", 32, None), (16, "float", 16, None), (28, "int", 8, None),
        (56, "int", 4, None), (112, "int", 2, None), (224, "sign", None, None),
        (256, "sign", None, "none"), (32, "transform", None, 32), (64, "transform", None, 32),
        (128, "transform", None, 32),
    }  # fmt: skip


def test_no_more_dimensions_than_the_data_give() -> None:
    assert max(dim for dim, _ in candidates(Recipe(), 400, 120)) == 120


@pytest.mark.skipif(not TORCH, reason="trains")
def test_an_encoder_that_trains_is_given_learned_codes() -> None:
    recipe = Recipe.from_dict({"encoder": {"name": "mf", "dim": 6},
                               "training": {"epochs": 2, "valid": 0}})  # fmt: skip
    assert list(candidates(recipe, 12, 40)) == [
        (3, {"name": "float", "bits": 32}), (6, {"name": "float", "bits": 16}),
        (12, {"name": "transform", "size": 12}), (12, {"name": "tuned", "size": 12}),
        (24, {"name": "transform", "size": 12}), (24, {"name": "tuned", "size": 12}),
        (40, {"name": "transform", "size": 12}), (40, {"name": "tuned", "size": 12}),
    ]  # fmt: skip
    _, tried = choose(LOG, recipe, 12)
    assert {trial.codes["name"] for trial in tried} == {"float", "transform", "tuned"}


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


LEAST = {
    "spectral": ({}, 1),  # eight signs
    "mf": ({"name": "mf"}, 1),  # eight bits
    "two layers": ({"name": "lightgcn", "layers": 1, "concatenate": True}, 1),
    "many layers": ({"name": "lightgcn", "layers": 19, "concatenate": True}, 5),  # of 2 bits
    "neumf": ({"name": "neumf"}, 1),
}


@pytest.mark.parametrize("case", list(LEAST))
def test_nothing_is_so_small(case: str) -> None:
    """Bug: whatever the encoder, a byte was said to do."""
    encoder, least = LEAST[case]
    recipe = Recipe.from_dict({"encoder": encoder})
    for most in {0, least - 1}:
        words = f"--budget: no code is so small; expected {least} bytes or more with encoder "
        with pytest.raises(UsageError, match=words + f".*; got {most}"):
            choose(LOG, recipe, most)
    assert list(candidates(recipe, least, 120))


def test_nothing_can_be_held_out() -> None:
    """Bug: it ended in words on test items that nobody had given."""
    few = planted(30, 20, communities=2, degree=3, noise=0, seed=0).interactions
    most = int(few.matrix.lengths.max())
    if most >= 5:  # a tenth of four rounds to nothing
        pytest.fail("the log is too large for this test")
    words = (
        "--budget: nothing could be held out to choose a code on; expected a user with five "
        f"interactions or more; got 30 users with at most {most} each"
    )
    with pytest.raises(DataError, match=words):
        choose(few, Recipe(), 16)


def test_no_more_dimensions_than_there_are_in_a_recipe() -> None:
    """Bug: a large budget ended in a traceback on encoder.dim."""
    for encoder in ("spectral", "mf"):
        recipe = Recipe.from_dict({"encoder": encoder})
        made = list(candidates(recipe, 10**6, 10**9))
        assert len(made) >= 7
        assert max(dim for dim, _ in made) == 65_536
        assert max(codes.get("dim", 1) for _, codes in made) in (1, 65_536)
        for dim, codes in made:
            Recipe.from_dict({"encoder": {"name": encoder, "dim": dim}, "codes": codes})


def test_networks_are_given_no_learned_codes() -> None:
    network = Recipe.from_dict({"encoder": {"name": "neumf", "dim": 6}})
    assert {codes["name"] for _, codes in candidates(network, 12, 120)} == {"float", "transform"}


def test_few_dimensions_have_no_use_for_many_bytes() -> None:
    """Bug to be: 8 bits are the most that a direction takes."""
    for encoder in ({"name": "spectral"}, {"name": "lightgcn", "layers": 1, "concatenate": True}):
        recipe = Recipe.from_dict({"encoder": encoder})
        wide = {codes["size"] for dim, codes in candidates(recipe, 50, 5) if "size" in codes}
        assert wide == {5 if encoder["name"] == "spectral" else 10}


def test_layers_side_by_side_share_the_bytes() -> None:
    encoder = {"name": "lightgcn", "layers": 2, "concatenate": True, "dim": 6}
    recipe = Recipe.from_dict({"encoder": encoder})
    found = [(dim, codes["bits"]) for dim, codes in candidates(recipe, 28, 120)
             if codes["name"] == "float"]  # fmt: skip
    assert found == [(2, 32), (4, 16)]  # 7 floats and 14 halves, in three layers
    sized = [(dim, codes["size"]) for dim, codes in candidates(recipe, 28, 120)
             if codes["name"] == "tuned"]  # fmt: skip
    assert sized == [(9, 27), (18, 28), (37, 28)]


TRAINING = {"epochs": 1, "valid": 0}


@pytest.mark.skipif(not TORCH, reason="trains")
@pytest.mark.parametrize(
    "encoder",
    [{"name": "neumf", "dim": 4, "hidden": [4]},
     {"name": "lightgcn", "dim": 4, "layers": 1, "concatenate": True}],
    ids=lambda encoder: encoder["name"],
)  # fmt: skip
def test_every_encoder_keeps_to_the_budget(encoder: dict[str, Any]) -> None:
    """Bug: NeuMF met codes it cannot learn, and layers side by side took twice the bytes."""
    loss = "bpr" if encoder["name"] == "neumf" else "softmax"
    recipe = Recipe.from_dict({"encoder": encoder, "training": {**TRAINING, "loss": loss}})
    _, tried = choose(LOG, recipe, 16)
    assert len(tried) >= 5
    assert all(trial.bytes_per_item <= 16 for trial in tried)
    assert max(trial.bytes_per_item for trial in tried) == 16


def test_what_does_not_fit_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """However well it ranks; and it is told of as tried."""
    large, fits = (32, {"name": "float", "bits": 32}), (2, {"name": "int", "bits": 8})
    monkeypatch.setattr(budget, "candidates", lambda *given: iter([large, fits]))
    recipe, tried = choose(LOG, Recipe(), 9)
    by_size = sorted(tried, key=lambda trial: trial.bytes_per_item)
    assert [trial.bytes_per_item for trial in by_size] == [6, 128]
    assert by_size[0].recall < by_size[1].recall
    assert recipe.codes.name == "int" and recipe.encoder.to_dict()["dim"] == 2


@pytest.mark.parametrize("turned", [False, True])
def test_of_equals_the_smaller_is_taken_then_the_earlier(
    monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    """16 and 32 bits of the same vectors rank alike."""
    made = [(8, {"name": "float", "bits": 32}), (8, {"name": "float", "bits": 16}),
            (8, {"name": "float", "bits": 16})]  # fmt: skip
    monkeypatch.setattr(budget, "candidates", lambda *given: iter(made[::-1] if turned else made))
    recipe, tried = choose(LOG, Recipe(), 64)
    assert len({trial.recall for trial in tried}) == 1
    assert recipe.codes.to_dict()["bits"] == 16


def test_the_rest_of_the_recipe_stays() -> None:
    given = Recipe.from_dict({
        "seed": 5, "encoder": {"dim": 7, "item_exponent": 0.4}, "users": "stored",
        "user_codes": {"name": "float", "bits": 16}, "data": {"user_core": 2},
        "holdout": {"name": "user", "test": 0.3},
    })  # fmt: skip
    found, _ = choose(LOG, given, 16)
    before, after = given.to_dict(), found.to_dict()
    after["encoder"]["dim"], after["codes"] = 7, before["codes"]
    assert after == before


@pytest.mark.skipif(not TORCH, reason="trains")
def test_features_reach_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    encode = Recommender.encode

    def watched(self: Any, train: Any, **options: Any) -> Any:
        seen.append(options["features"])
        return encode(self, train, **options)

    monkeypatch.setattr(Recommender, "encode", watched)
    features = {"item": np.eye(LOG.n_items, 3, dtype=np.float32)}
    recipe = Recipe.from_dict({"encoder": {"name": "two-tower", "dim": 4}, "training": TRAINING})
    choose(LOG, recipe, 6, features)
    assert seen and all(given is features for given in seen)
