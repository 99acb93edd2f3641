"""Each model's mathematics, written out slowly in NumPy from its papers' equations."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hashrec.ctr import MODELS, AutoInt, Dcn, DeepFm, Dlrm, WideDeep
from hashrec.ctr.architecture import Architecture, Looked, Shape
from hashrec.ctr.layers import Dropout, Noise
from hashrec.errors import RecipeError

F, D, Q, B = 3, 4, 2, 5
Weights = dict[str, np.ndarray[Any, Any]]


def looked(seed: int = 0, fields: int = F, numbers: int = Q) -> Looked:
    draw = torch.Generator().manual_seed(seed)
    return Looked(
        torch.randn(B, fields, D, generator=draw),
        torch.randn(B, generator=draw),
        torch.randn(B, numbers, generator=draw),
    )


def body(options: Architecture, numbers: int = Q) -> tuple[Any, Weights]:
    """A body whose weights, biases too, are noise; and those weights."""
    made = options.body(Shape(F, D, numbers), Noise(0)).eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in made.parameters():
            one.normal_(generator=draw)
    return made, {name: one.double().numpy() for name, one in made.state_dict().items()}


def deep(x: Any, weights: Weights, name: str) -> Any:
    """Linear and ReLU for each layer; Linear, ReLU and Dropout stand at places 0, 1 and 2."""
    for at in itertools.count(step=3):
        if f"{name}.{at}.weight" not in weights:
            return x
        x = np.maximum(x @ weights[f"{name}.{at}.weight"].T + weights[f"{name}.{at}.bias"], 0)


def slow_wide_deep(row: Any, linear: float, numbers: Any, w: Weights) -> float:
    return float(linear + w["head.weight"][0] @ deep(row.ravel(), w, "deep"))


def slow_deep_fm(row: Any, linear: float, numbers: Any, w: Weights) -> float:
    pairs = sum(row[i] @ row[j] for i, j in itertools.combinations(range(F), 2))
    return float(linear + pairs + w["head.weight"][0] @ deep(row.ravel(), w, "deep"))


def slow_dcn(row: Any, linear: float, numbers: Any, w: Weights) -> float:
    first = x = row.ravel()
    for layer in itertools.count():
        if f"crosses.{layer}.weight" in w:
            inside = w[f"crosses.{layer}.weight"] @ x + w[f"crosses.{layer}.bias"]
        elif f"crosses.{layer}.0.weight" in w:
            matrix = w[f"crosses.{layer}.1.weight"] @ w[f"crosses.{layer}.0.weight"]
            inside = matrix @ x + w[f"crosses.{layer}.1.bias"]
        else:
            break
        x = first * inside + x
    return float(w["head.weight"][0] @ np.concatenate([x, deep(first, w, "deep")]))


def slow_dlrm(row: Any, linear: float, numbers: Any, w: Weights) -> float:
    vectors = list(row)
    if "bottom.1.weight" in w:
        dense = w["bottom.1.weight"] @ deep(numbers, w, "bottom.0") + w["bottom.1.bias"]
        vectors = [dense, *vectors]
    else:
        dense = row.mean(0)
    dots = [a @ b for a, b in itertools.combinations(vectors, 2)]
    return float(w["head.weight"][0] @ deep(np.concatenate([dense, dots]), w, "top"))


def slow_auto_int(heads: int) -> Callable[..., float]:
    def slow(row: Any, linear: float, numbers: Any, w: Weights) -> float:
        fields = row
        for layer in itertools.count():
            name = f"attention.{layer}"
            if f"{name}.query.weight" not in w:
                break
            new = []
            for field in fields:
                parts = []
                for head in range(heads):
                    q, k, v = (
                        np.split(w[f"{name}.{what}.weight"], heads)[head]
                        for what in ("query", "key", "value")
                    )
                    match = np.exp([(q @ field) @ (k @ other) for other in fields])
                    shares = match / match.sum()
                    parts.append(
                        sum(s * (v @ other) for s, other in zip(shares, fields, strict=True))
                    )
                new.append(np.maximum(np.concatenate(parts) + w[f"{name}.past.weight"] @ field, 0))
            fields = np.stack(new)
        found = w["head.weight"][0] @ fields.ravel()
        if "deep.1.weight" in w:
            found += w["deep.1.weight"][0] @ deep(row.ravel(), w, "deep.0")
        return float(found)

    return slow


CASES: list[tuple[Architecture, Callable[..., float], int]] = [
    (WideDeep(hidden=(6, 5)), slow_wide_deep, Q),
    (WideDeep(hidden=()), slow_wide_deep, Q),
    (DeepFm(hidden=(6,)), slow_deep_fm, Q),
    (Dcn(hidden=(6, 5), crosses=1), slow_dcn, Q),
    (Dcn(hidden=(6,), crosses=3), slow_dcn, Q),
    (Dcn(hidden=(6,), crosses=2, rank=2), slow_dcn, Q),
    (Dlrm(bottom=(5,), top=(6, 4)), slow_dlrm, Q),
    (Dlrm(bottom=(), top=(6,)), slow_dlrm, Q),
    (Dlrm(top=(6,)), slow_dlrm, 0),
    (AutoInt(layers=1, heads=1, width=3, hidden=()), slow_auto_int(1), Q),
    (AutoInt(layers=2, heads=2, width=6, hidden=(5,)), slow_auto_int(2), Q),
]


@pytest.mark.parametrize(("options", "slow", "numbers"), CASES, ids=[repr(one[0]) for one in CASES])
def test_a_body_is_its_equations(
    options: Architecture, slow: Callable[..., float], numbers: int
) -> None:
    made, weights = body(options, numbers)
    given = looked(numbers=numbers)
    with torch.no_grad():
        found = made(given)
    expected = [
        slow(given.vectors[at].double().numpy(), float(given.linear[at]),
             given.numbers[at].double().numpy(), weights)
        for at in range(B)
    ]  # fmt: skip
    assert found.shape == (B,)
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-4, atol=2e-4)


def test_every_model_is_checked_against_its_equations() -> None:
    assert {type(options) for options, _, _ in CASES} == {MODELS[name] for name in MODELS}


@pytest.mark.parametrize("name", list(MODELS))
def test_dropout_depends_on_the_key_of_a_step_and_is_off_when_serving(name: str) -> None:
    noise = Noise(0)
    made = MODELS[name].model_validate({"dropout": 0.5}).body(Shape(F, D, Q), noise)
    given = looked()

    def asked(key: int) -> Any:
        noise.restart(key)
        return made(given).detach()

    assert torch.equal(asked(1), asked(1)) and not torch.equal(asked(1), asked(2))
    made.eval()
    assert torch.equal(asked(1), asked(2))


def test_nothing_is_drawn_from_everybodys_generator() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    for name in MODELS:
        noise = Noise(0)
        made = MODELS[name]().body(Shape(F, D, Q), noise)
        noise.restart(3)
        made(looked())
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    words = r"model\.width: the width is no multiple of the heads; expected a multiple of 3; got 32"
    with pytest.raises(RecipeError, match=words):
        AutoInt(heads=3)


def test_dropout_keeps_the_mean() -> None:
    """What stays is divided by the share that stays."""
    found = Dropout(0.25, Noise(0))(torch.ones(40_000))
    assert set(found.tolist()) == {0.0, float(torch.tensor(1) / 0.75)}
    assert float(found.mean()) == pytest.approx(1, abs=0.02)  # seven deviations
