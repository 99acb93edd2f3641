"""Transform codes in the loop: each step sees what they decode to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hashing_cases import TEST, TRAIN, options, recipe

from hashrec.codes import Basis, TransformCodes, code_items
from hashrec.encoders import Encoding
from hashrec.errors import RecipeError, UsageError
from hashrec.hashing import TunedCodes, transformed
from hashrec.hashing import taught as module_of_taught
from hashrec.hashing.taught import taught
from hashrec.hashing.transformed import Transformed, TransformedSide
from hashrec.learning import Task
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender, load


def vectors(n: int, d: int, seed: int) -> Any:
    sizes = torch.from_numpy(2.0 ** -np.arange(d)).float()
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator) * sizes + 0.3


def looked(total: int, n: int = 200, d: int = 6) -> tuple[TransformedSide, Any, Any]:
    items, users = vectors(n, d, 0), vectors(50, d, 1).flip(1)
    side = TransformedSide(d, total)
    side.look(items, torch.nn.functional.normalize(users, dim=-1))
    return side, items, users


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_what_a_step_sees_is_nearly_what_transform_codes_decode_to(bits: int) -> None:
    """The codes' gains are fitted a little better once the codes are known."""
    side, items, users = looked(6 * bits)
    codes = code_items(TransformCodes(bits=bits), items.numpy(), 0, users.numpy())
    seen = side(items).detach().numpy()
    lost = np.square(codes.restore() - items.numpy()).mean()
    assert np.square(seen - codes.restore()).mean() < 0.1 * lost


def test_gradients_pass_to_directions_with_bits_alone() -> None:
    side, items, _ = looked(3)
    x = items[:5].clone().requires_grad_(True)
    arriving = torch.randn(5, 6, generator=torch.Generator().manual_seed(3))
    side(x).backward(arriving)
    live = (side.top > 0).float()
    assert 0 < live.sum() < 6
    expected = ((arriving @ side.back.T) * live) @ side.turn.T
    assert torch.allclose(x.grad, expected, atol=1e-5)


def test_all_is_fitted_anew_before_each_epoch(
    encodings: dict[str, Encoding], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    look = TransformedSide.look

    def counted(side: TransformedSide, x: Any, queries: Any) -> None:
        look(side, x, queries)
        seen.append(f"{float(x.sum()):.6f}")

    monkeypatch.setattr(transformed.TransformedSide, "look", counted)
    for users, sides in (("float", 1), ("coded", 2)):
        seen.clear()
        coder = {"name": "tuned", "epochs": 3, "users": users}
        Recommender(recipe("lightgcn", coder)).code(TRAIN, encodings["lightgcn"])
        assert len(seen) == 3 * sides
        assert len(set(seen)) == len(seen)


def test_tuned_codes_rank_better_than_those_of_the_teacher() -> None:
    base = {"encoder": {"name": "lightgcn", "dim": 8}, "training": {"epochs": 10, "valid": 0},
            "seed": 3}  # fmt: skip
    teacher = Recommender(Recipe.from_dict({**base, "codes": "float"})).encode(TRAIN)
    found = {}
    for name, more in (("transform", {}), ("tuned", {})):
        model = Recommender(Recipe.from_dict({**base, "codes": {"name": name, "size": 1, **more}}))
        found[name] = model.code(TRAIN, teacher).evaluate(TEST, [10]).metrics["recall@10"]
        assert model.fitted.sizes()["bytes_per_item"] == 1
    assert found["tuned"] > found["transform"] + 0.05


@pytest.mark.parametrize("users", ["float", "coded"])
def test_a_model_keeps_its_basis(encodings: dict[str, Encoding], users: str, tmp_path: Any) -> None:
    made = Recommender(recipe("lightgcn", options("tuned", users=users)))
    model = made.code(TRAIN, encodings["lightgcn"])
    model.save(tmp_path / "m")
    again = load(tmp_path / "m", verify=True)
    assert isinstance(again.fitted.item_codes.rotation, Basis)
    assert model.recommend(k=7).equals(again.recommend(k=7))
    assert model.similar(TRAIN.items.array.to_pylist()[:3]).equals(
        again.similar(TRAIN.items.array.to_pylist()[:3])
    )
    alone = again.recommend(TRAIN.users.array.to_pylist()[5:6], k=7)
    whole = again.recommend(k=7)
    assert whole.slice(35, 7)["score"].equals(alone["score"])


def test_more_bytes_than_there_is_use_for_are_refused(encodings: dict[str, Encoding]) -> None:
    with pytest.raises(UsageError, match="8 dimensions have no use for so many bytes"):
        Recommender(recipe("lightgcn", options("tuned", size=9))).code(TRAIN, encodings["lightgcn"])


def test_sides_are_fitted_to_what_ranks(
    encodings: dict[str, Encoding], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items as long as they rank, met by users of length one; users, met by items around their
    mean."""
    looked: list[tuple[Any, Any]] = []
    monkeypatch.setattr(
        TransformedSide, "look", lambda side, x, queries: looked.append((x, queries))
    )
    module = transformed_module(encodings["lightgcn"], users="coded")
    module.refresh(0, 1, None)  # type: ignore[arg-type]
    degrees = torch.from_numpy(TRAIN.matrix.column_counts()).float().clamp(min=1)
    tilt = Recipe().training.loss.tilt
    (items, users), (own, met) = looked
    assert tilt > 0 and torch.allclose(items.norm(dim=1), degrees**tilt, rtol=1e-4)
    assert torch.allclose(users.norm(dim=1), torch.ones(len(users)), atol=1e-5)
    assert torch.allclose(own.norm(dim=1), torch.ones(len(own)), atol=1e-5)
    assert torch.allclose(met, items - items.mean(0), atol=1e-6)
    transformed_module(encodings["lightgcn"], loss="bpr").refresh(0, 1, None)  # type: ignore[arg-type]
    assert torch.allclose(looked[-1][1].norm(dim=1), torch.ones(len(users)), atol=1e-5)


def transformed_module(encoding: Encoding, loss: str = "softmax", **more: Any) -> Transformed:
    made = recipe("lightgcn", options("tuned", **more), loss=loss)
    assert isinstance(made.codes, TunedCodes)
    task = Task(TRAIN, 0, made.table, made.training)
    return Transformed(encoding.model.module, made.codes, task)


def test_the_teacher_is_the_encoder_as_it_ranks(encodings: dict[str, Encoding]) -> None:
    """Whatever loss it was trained for: with dot products lengths stay."""
    encoding = encodings["lightgcn"]
    users, items = (torch.from_numpy(side) for side in (encoding.users, encoding.items))
    module = transformed_module(encoding)
    assert torch.allclose(module.teacher_users, users, atol=1e-5)
    assert torch.allclose(module.teacher_items, items, atol=1e-4)
    raw = encoding.model.module.export()
    plain = transformed_module(encoding, loss="bpr")
    assert torch.allclose(plain.teacher_users, raw[0]) and torch.allclose(
        plain.teacher_items, raw[1]
    )
    scores = (raw[0] @ raw[1].T).double()
    assert plain.usual == pytest.approx(float(scores.std(dim=1, correction=0).mean()), rel=1e-4)


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_taught_is_the_cross_entropy_and_its_gradient(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module_of_taught, "_BLOCK_NUMBERS", block * 9)
    generator = torch.Generator().manual_seed(block)
    users, items = torch.randn(12, 4, generator=generator), torch.randn(9, 4, generator=generator)
    told = torch.randn(12, 6, generator=generator), torch.randn(9, 6, generator=generator)
    found, wanted = [], []
    for kept, slow in ((found, False), (wanted, True)):
        u, x = users.clone().requires_grad_(True), items.clone().requires_grad_(True)
        if slow:
            p = torch.softmax(told[0] @ told[1].T / 0.3, dim=1)
            loss = -(p * torch.log_softmax(u @ x.T / 0.3, dim=1)).sum(1).mean()
        else:
            loss = taught(u, x, *told, 0.3)
        (2 * loss).backward()
        kept.extend([loss.detach(), u.grad, x.grad])
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_loss_of_interactions_is_refused() -> None:
    with pytest.raises(RecipeError, match="taught by the encoder's scores.*got bpr"):
        recipe("lightgcn", options("tuned", loss="bpr"))
