"""What a training of codes leaves alone, what it refuses, and what it does at the edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hashing_cases import LEARNED, TRAIN, options, recipe

from hashrec.csr import Csr
from hashrec.encoders import Encoding
from hashrec.errors import RecipeError, UsageError
from hashrec.hashing.centred import Centred
from hashrec.hashing.coded import CodedModule
from hashrec.hashing.hash_layer import DispersedLayer, GuidedLayer, Mapped
from hashrec.hashing.hash_mlp import HashMlp
from hashrec.hashing.quantisers import Plain, Side, Uniform
from hashrec.interactions import Ids, Interactions, planted
from hashrec.recommender import Recommender


@pytest.mark.parametrize("name", LEARNED)
def test_nothing_but_the_code_is_new_afterwards(encodings: dict[str, Encoding], name: str) -> None:
    """Bug: the teacher came back in evaluation mode with the last step's gradients, and `hashlgn`
    moved torch's own generator."""
    module = encodings["lightgcn"].model.module
    kept = {key: one.clone() for key, one in module.state_dict().items()}
    module.train()
    module.item_table.eval()
    generator = torch.get_rng_state()
    Recommender(recipe("lightgcn", options(name))).code(TRAIN, encodings["lightgcn"])
    assert torch.equal(torch.get_rng_state(), generator)
    assert module.training and module.user_table.training and not module.item_table.training
    assert all(one.grad is None for one in module.parameters())
    assert all(torch.equal(one, kept[key]) for key, one in module.state_dict().items())
    module.train()


@pytest.mark.parametrize("name", LEARNED)
def test_after_a_fault_too(encodings: dict[str, Encoding], name: str) -> None:
    module = encodings["mf"].model.module
    kept = {key: one.clone() for key, one in module.state_dict().items()}
    module.train()

    def listen(event: Mapping[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model = Recommender(recipe("mf", options(name)))
        model.code(TRAIN, encodings["mf"], listeners=[listen])
    assert module.training and all(one.grad is None for one in module.parameters())
    assert all(torch.equal(one, kept[key]) for key, one in module.state_dict().items())


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("seed", [2**47, 2**63 - 1])
def test_every_seed_of_a_recipe_is_one(
    encodings: dict[str, Encoding], name: str, seed: int
) -> None:
    """Bug: torch takes no seed of 2^64 or more, and ours were multiplied."""
    model = Recommender(recipe("mf", options(name), seed=seed)).code(TRAIN, encodings["mf"])
    assert len(model.fitted.item_codes) == TRAIN.n_items


def small(rows: list[list[int]], n_items: int) -> Interactions:
    log = planted(len(rows), n_items, communities=1, degree=1, noise=0, seed=0).interactions
    import pyarrow as pa

    users, items = (Ids(pa.array(np.arange(n))) for n in (len(rows), n_items))
    return replace(log, users=users, items=items, matrix=Csr.from_lists(rows, n_columns=n_items))


SMALL = {
    "1 x 5": small([[0, 2, 4]], 5),
    "1 x all": small([[0, 1, 2, 3, 4]], 5),
    "5 x 1": small([[0]] * 5, 1),
    "1 x 1": small([[0]], 1),
}


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("log", list(SMALL))
def test_logs_of_one(name: str, log: str) -> None:
    """Bug: tables of one number, or one item around its mean, ended in tracebacks."""
    for encoder in ("mf", "lightgcn"):
        model = Recommender(recipe(encoder, options(name))).fit(SMALL[log])
        found = model.recommend(k=2, filter_seen=False)
        assert found.num_rows == min(2, SMALL[log].n_items) * SMALL[log].n_users
        assert np.isfinite(found["score"].to_numpy()).all()


@pytest.mark.parametrize("name", LEARNED)
def test_weights_beyond_all_numbers_are_not_served(
    encodings: dict[str, Encoding], name: str
) -> None:
    """Bug: codes of one epoch at a rate that blows up were served: no loss came after it."""
    codes = options(name, epochs=1, learning_rate=1e30)
    model = Recommender(recipe("mf", codes))
    with pytest.raises(UsageError, match=r"smaller codes\.learning_rate than 1e\+30"):
        model.code(TRAIN, encodings["mf"])


START = torch.eye(4)
SIDES: dict[str, Side] = {
    "row": Uniform(2, "row", "clipped", START),
    "table": Uniform(2, "table", "clipped", START),
    "dimension": Uniform(1, "dimension", "scaled", START),
    "guided": GuidedLayer(START, 1.0),
    "dispersed": DispersedLayer(START, 0.1),
    "mlp": HashMlp(START, 3, "clipped", torch.Generator()),
    "mapped": Mapped(START, Plain()),
    "plain": Plain(),
}


@pytest.mark.parametrize("side", list(SIDES))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_codes_have_no_place_for_what_is_not_finite(side: str, bad: float) -> None:
    x = torch.ones(3, 4)
    x[1, 2] = bad
    with pytest.raises(ValueError, match="vector 1 is not finite"):
        SIDES[side].codes(x)


def test_losses_that_torch_differentiates_once_have_no_hessian() -> None:
    """Bug: the first step ended in NotImplementedError."""
    words = r"codes\.loss: the Hessian of this loss cannot be had.*got directau"
    with pytest.raises(RecipeError, match=words):
        recipe("mf", {"name": "hq", "loss": "directau"})


def test_with_a_fixed_delta_they_are_fine(encodings: dict[str, Encoding]) -> None:
    codes = options("hq", loss="directau", delta=0.1)
    model = Recommender(recipe("mf", codes)).code(TRAIN, encodings["mf"])
    assert model.fitted.facts["codes"]["item_delta"] == pytest.approx(0.1)


def test_a_map_is_turned_in_any_case() -> None:
    with pytest.raises(RecipeError, match="the map to dim dimensions is always turned"):
        recipe("mf", {"name": "ste", "dim": 16, "rotate": False})


def test_layers_side_by_side_are_as_wide_as_they_are() -> None:
    """Bug: the estimate of memory was told the tables' dimensions."""
    wide = recipe("lightgcn", "float").encoder.model_copy(update={"concatenate": True})
    teacher = Recommender(recipe("lightgcn", "float").model_copy(update={"encoder": wide}))
    inner = teacher.encode(TRAIN).model.module
    centred = Centred(inner, unit=True)
    assert inner.width == centred.width == CodedModule(centred, Plain(), Plain()).width == 24


def test_scores_keep_the_unit_of_the_loss(encodings: dict[str, Encoding]) -> None:
    """Bug: a scale that all items shared was dropped, and scores and thresholds were of no unit.

    Without popularity the loss ranks by cosines, so a score is that of what both decode to."""
    plain = {"name": "softmax", "popularity": 0}
    for users in ("float", "coded"):
        for name in ("ste", "hashgnn"):
            codes = options(name, users=users, loss=plain)
            model = Recommender(recipe("mf", codes)).code(TRAIN, encodings["mf"])
            fitted = model.fitted
            assert fitted.item_codes.scales is None and fitted.user_codes is not None
            assert users == "float" or fitted.user_codes.scales is None
            length = fitted.user_codes.norms.astype(float)[:, None] * fitted.item_codes.norms
            assert length == pytest.approx(1, rel=1e-4)
            user = fitted.users.array.to_pylist()[3]
            best = float(model.recommend([user], k=1)["score"][0].as_py())
            found = model.recommend([user], threshold=best - 1e-6)
            assert 0 < best <= 1 and found.num_rows >= 1
