"""What every learned code keeps to, on every encoder it can go with."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hashing_cases import DIM, LEARNED, TEST, TRAIN, TRAINED, options, recipe

from hashrec.codes import Codes
from hashrec.encoders import Encoding
from hashrec.errors import RecipeError, UsageError
from hashrec.hashing import CODES
from hashrec.hashing.centred import Centred
from hashrec.hashing.quantisers import sign
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender, load
from hashrec.training.backbone import Backbone, Vectors


def widths(name: str) -> list[int]:
    return [1, 2, 3, 8] if name in ("ste", "hq") else [1]


CASES = [
    (encoder, name, bits, users)
    for encoder, name in itertools.product(TRAINED, LEARNED)
    for bits in widths(name)
    for users in ("float", "coded")
    if not (name == "hashlgn" and users == "coded")
]


@pytest.mark.parametrize(("encoder", "name", "bits", "users"), CASES)
def test_a_code_is_learned_kept_and_reopened(
    encodings: dict[str, Encoding], tmp_path: Path, encoder: str, name: str, bits: int, users: str
) -> None:
    before = encodings[encoder].users.copy(), encodings[encoder].items.copy()
    model = Recommender(recipe(encoder, options(name, bits=bits, users=users)))
    model.code(TRAIN, encodings[encoder])
    items, known = model.fitted.item_codes, model.fitted.user_codes
    assert known is not None and items.bits == bits
    assert len(items) == TRAIN.n_items and len(known) == TRAIN.n_users
    assert known.packed is (users == "coded")
    assert np.isfinite(items.decode()).all()
    assert len(np.unique(items.data, axis=0)) > 10  # not one code for all
    found = model.recommend(k=7)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m", verify=True)
    assert again.recommend(k=7).equals(found)
    assert again.fitted.sizes() == model.fitted.sizes()
    # The teacher is as it was, so the next code starts from it too.
    assert np.array_equal(before[0], encodings[encoder].users)
    second = Recommender(recipe(encoder, options(name, bits=bits, users=users)))
    second.code(TRAIN, encodings[encoder])
    assert second.fitted.item_codes.data.tobytes() == items.data.tobytes()
    assert _scales(second.fitted.item_codes) == _scales(items)


def _scales(codes: Codes) -> bytes:
    return b"" if codes.scales is None else codes.scales.tobytes()


@pytest.mark.parametrize("name", LEARNED)
def test_searches_are_products_of_what_codes_decode_to(
    encodings: dict[str, Encoding], name: str
) -> None:
    """By numpy: all scores, seen items out, a full sort."""
    model = Recommender(recipe("lightgcn", options(name))).code(TRAIN, encodings["lightgcn"])
    fitted = model.fitted
    users = fitted.queries(np.arange(len(fitted.users)))
    scores = users.decode().astype(np.float64) @ fitted.item_codes.decode().T
    for user, ids in enumerate(fitted.users.array.to_pylist()[:10]):
        scores[user, fitted.seen.row(user)] = -np.inf
        found = model.recommend([ids], k=5)
        best = np.sort(scores[user])[::-1][:5]
        assert found["score"].to_numpy() == pytest.approx(best, rel=1e-5, abs=1e-6)


# `tuned` learns from its teacher's scores, which are noise here, and not from interactions.
@pytest.mark.parametrize("name", [name for name in LEARNED if name != "tuned"])
def test_codes_learn(name: str) -> None:
    """Communities come out of one-bit codes that began from noise."""
    options = {"encoder": {"name": "lightgcn", "dim": 32, "start": "normal"}, "seed": 1,
               "training": {"epochs": 1, "valid": 0, "learning_rate": 1e-9},
               "codes": {"name": name, "epochs": 30, "learning_rate": 0.05}}  # fmt: skip
    model = Recommender(Recipe.from_dict(options)).fit(TRAIN)
    learned = model.evaluate(TEST, [10]).metrics["recall@10"]
    untrained = Recommender(Recipe.from_dict({**options, "codes": "sign"})).fit(TRAIN)
    assert learned > untrained.evaluate(TEST, [10]).metrics["recall@10"]
    assert learned > 0.45  # by chance it is a fifth


def test_users_computed_from_coded_items(encodings: dict[str, Encoding]) -> None:
    model = Recommender(recipe("lightgcn", options("ste"), users="computed"))
    model.code(TRAIN, encodings["lightgcn"])
    assert model.fitted.user_codes is None and model.fitted.sizes()["bytes_per_user"] == 0
    assert model.evaluate(TEST, [10]).metrics["recall@10"] > 0.45


def test_float_users_beside_learned_items_may_be_rounded(encodings: dict[str, Encoding]) -> None:
    model = Recommender(recipe("lightgcn", options("ste"), user_codes="sign"))
    model.code(TRAIN, encodings["lightgcn"])
    assert model.fitted.user_codes is not None and model.fitted.user_codes.bits == 1
    assert model.fitted.user_codes.rotation == model.fitted.item_codes.rotation


def test_what_the_loss_ranks_by_is_in_the_scales(encodings: dict[str, Encoding]) -> None:
    """With cosines, one-bit items differ by popularity alone, and not at all without it."""
    model = Recommender(recipe("lightgcn", options("ste"))).code(TRAIN, encodings["lightgcn"])
    norms = model.fitted.item_codes.norms
    degrees = np.maximum(model.fitted.item_degrees, 1).astype(np.float64)
    assert norms == pytest.approx(degrees**0.05, rel=1e-5)
    plain = {"name": "softmax", "popularity": 0}
    flat = Recommender(recipe("lightgcn", options("ste", loss=plain)))
    flat.code(TRAIN, encodings["lightgcn"])
    assert flat.fitted.item_codes.scales is None
    assert flat.fitted.sizes()["bytes_per_item"] == 1


@pytest.mark.parametrize("dim", [5, 16])
@pytest.mark.parametrize("name", ["ste", "hashgnn", "hashlgn", "bgch"])
def test_codes_of_another_length(encodings: dict[str, Encoding], name: str, dim: int) -> None:
    model = Recommender(recipe("mf", options(name, dim=dim))).code(TRAIN, encodings["mf"])
    assert model.fitted.item_codes.dim == dim
    assert model.recommend(k=3).num_rows == 3 * TRAIN.n_users


def test_hq_finds_delta_and_says_it(encodings: dict[str, Encoding]) -> None:
    model = Recommender(recipe("lightgcn", options("hq"))).code(TRAIN, encodings["lightgcn"])
    facts = model.fitted.facts["codes"]
    assert facts["user_delta"] > 0 and facts["item_delta"] > 0
    fixed = Recommender(recipe("lightgcn", options("hq", delta=0.25)))
    fixed.code(TRAIN, encodings["lightgcn"])
    assert fixed.fitted.facts["codes"]["item_delta"] == 0.25


def test_what_all_items_share_takes_no_bits() -> None:
    """Vectors that are mostly one direction: their signs are alike until it is taken off."""
    inner = Shifted()
    centred = Centred(inner, unit=False)
    users, items = centred.export()
    assert len(torch.unique(sign(inner.shown[1]), dim=0)) == 1
    assert len(torch.unique(sign(items), dim=0)) > 30
    before, after = inner.shown[0] @ inner.shown[1].T, users @ items.T
    assert torch.equal(before.argsort(1), after.argsort(1))
    view, where = centred(), torch.tensor([3, 0])
    assert torch.equal(view.items(where), items[where])
    assert torch.equal(view.all_items(), items)
    assert torch.equal(view.users(where), users[where])


class Shifted(Backbone):
    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        users = torch.randn(7, DIM, generator=rng, dtype=torch.float64)
        self.shown = users, torch.randn(40, DIM, generator=rng, dtype=torch.float64) * 0.1 + 5
        self.user_table = self.item_table = None  # type: ignore[assignment]

    def forward(self) -> Any:
        return Vectors(*self.shown)

    def export(self) -> Any:
        return self.shown


def test_rotations_turn_the_centre_too(encodings: dict[str, Encoding]) -> None:
    inner = encodings["lightgcn"].model.module
    kept = {name: one.clone() for name, one in inner.state_dict().items()}
    centred = Centred(inner, unit=True)
    users, items = centred.export()
    matrix, _ = torch.linalg.qr(torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(0)))
    assert centred.rotate(matrix)
    turned_users, turned_items = centred.export()
    inner.load_state_dict(kept)
    assert torch.allclose(turned_users, users @ matrix, atol=1e-6)
    assert torch.allclose(turned_users @ turned_items.T, users @ items.T, atol=1e-5)


BAD: dict[str, tuple[Any, str]] = {
    "no bits": ({"name": "ste", "bits": 0}, "codes.bits: input should be greater than or equal"),
    "too many": ({"name": "hq", "bits": 9}, "codes.bits: input should be less than or equal to 8"),
    "sign alone": ({"name": "ste", "bits": 2, "estimator": "dirac"}, "so bits must be 1"),
    "users": ({"name": "hashlgn", "users": "coded"}, "codes.users"),
    "margin": ({"name": "ste", "loss": "ccl"}, "a margin in cosines of floats is beyond"),
    "unknown": ({"name": "stee"}, "unknown codes .stee.; expected one of"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_options(case: str) -> None:
    codes, words = BAD[case]
    with pytest.raises(RecipeError, match=words):
        recipe("lightgcn", codes)


def test_an_encoder_that_does_not_train_has_nothing_to_learn_with() -> None:
    with pytest.raises(RecipeError, match="ste codes are learned together with an enco"):
        Recipe.from_dict({"codes": "ste"})


def test_a_network_of_scores_has_no_codes_to_learn() -> None:
    model = Recommender(recipe("neumf", "ste", loss="bpr"))
    with pytest.raises(UsageError, match="ste codes need scores that are dot products"):
        model.fit(TRAIN)


def test_coded_users_cannot_be_computed() -> None:
    with pytest.raises(RecipeError, match="coded users are stored, not computed"):
        recipe("lightgcn", {"name": "hq"}, users="computed")


def test_user_codes_beside_coded_users_are_refused() -> None:
    """Nobody would heed them."""
    with pytest.raises(RecipeError, match="hq codes its users itself; got sign"):
        recipe("lightgcn", {"name": "hq"}, user_codes="sign")


def test_user_codes_are_not_learned_alone() -> None:
    with pytest.raises(RecipeError, match="user codes cannot be learned by themselves"):
        recipe("lightgcn", "sign", user_codes="ste")


def test_vectors_alone_are_not_enough(encodings: dict[str, Encoding]) -> None:
    with pytest.raises(UsageError, match="vectors alone are not enough. Fit a hashrec.Recommender"):
        CODES["ste"]().encode(np.ones((2, 8), np.float32))
    bare = Encoding(encodings["mf"].users, encodings["mf"].items, None)
    with pytest.raises(UsageError, match="this one does not train"):
        Recommender(recipe("mf", "ste")).code(TRAIN, bare)


@pytest.mark.parametrize("name", LEARNED)
def test_numbers_rank_what_codes_found(encodings: dict[str, Encoding], name: str) -> None:
    """With all items as candidates, the second stage alone decides: half precision of numbers."""
    options_ = options(name, epochs=10)
    made = recipe("lightgcn", options_, rerank=TRAIN.n_items, rerank_codes={"bits": 32})
    model = Recommender(made).code(TRAIN, encodings["lightgcn"])
    second = model.fitted.second
    assert second is not None
    sizes = np.abs(second.items.decode()[0])
    assert np.ptp(sizes) > 0.01 * sizes.max()  # numbers, and not signs
    both = model.evaluate(TEST, [10]).metrics["recall@10"]
    alone = model.evaluate(TEST, [10], rerank=False).metrics["recall@10"]
    scores = second.users.decode().astype(np.float64) @ second.items.decode().T
    user = 3
    scores[user, model.fitted.seen.row(user)] = -np.inf
    found = model.recommend([model.fitted.users.array[user].as_py()], k=4)["score"].to_numpy()
    assert found == pytest.approx(np.sort(scores[user])[::-1][:4], rel=1e-5)
    assert both > alone - 0.02
