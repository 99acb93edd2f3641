"""Gradients of every estimator against its formula, and values against the step itself."""

from __future__ import annotations

import math

import pytest
import torch

from hashrec.hashing.estimators import SLOPES, annealed, guided, scaled, sloped
from hashrec.hashing.quantisers import sign

X = torch.tensor([-3.0, -1.0, -0.4, -0.0, 0.0, 0.3, 1.0, 2.5], dtype=torch.float64)
G = torch.tensor([0.5, -2.0, 1.0, 3.0, -1.0, 0.25, -0.125, 4.0], dtype=torch.float64)


def by_hand(name: str, x: float) -> float:
    """The formula, in plain Python."""
    if name == "identity":
        return 1.0
    if name == "clipped":
        return 1.0 if abs(x) <= 1 else 0.0
    if name == "dirac":
        return min(max(math.exp(-x * x) / math.sqrt(math.pi), 1e-8), 1.0)
    total = sum(math.cos(i * x) for i in (1, 3, 5, 7))
    return min(max(4 / math.pi * total, -1.0), 1.0)


@pytest.mark.parametrize("name", list(SLOPES))
def test_slopes(name: str) -> None:
    x = X.clone().requires_grad_(True)
    value = sloped(x, sign(x), SLOPES[name](x.detach()))
    assert value.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
    value.backward(G)
    expected = [g * by_hand(name, at) for g, at in zip(G.tolist(), X.tolist(), strict=True)]
    assert x.grad.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("delta", [0.0, 0.3, 2.0])
def test_element_wise_gradient_scaling(delta: float) -> None:
    x = X.clone().requires_grad_(True)
    hard = torch.round(x.detach())
    scaled(x, hard, delta).backward(G)
    expected = [
        g * (1 + delta * math.copysign(1, g) * (at - whole))
        for g, at, whole in zip(G.tolist(), X.tolist(), hard.tolist(), strict=True)
    ]
    assert x.grad.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("at", "g", "expected"), [(0.3, 1, 1.3), (0.3, -1, -0.7),
                                                    (-0.3, 1, 0.7), (-0.3, -1, -1.3)])  # fmt: skip
def test_steps_back_to_the_middle_of_the_cell_are_longer(
    at: float, g: float, expected: float
) -> None:
    """A step goes against g: down for a positive one, which from 0.3 is towards 0."""
    x = torch.tensor([at], dtype=torch.float64, requires_grad=True)
    scaled(x, torch.zeros(1, dtype=torch.float64), 1.0).backward(torch.tensor([g]).double())
    assert float(x.grad) == pytest.approx(expected)


def test_a_gradient_of_nothing_stays_nothing_under_scaling() -> None:
    x = X.clone().requires_grad_(True)
    scaled(x, torch.round(x.detach()), 0.7).backward(torch.zeros_like(G))
    assert x.grad.tolist() == [0.0] * len(X)


@pytest.mark.parametrize("sharpness", [0.5, 3.0, 40.0])
def test_annealing(sharpness: float) -> None:
    x = X.clone().requires_grad_(True)
    value = annealed(x, sharpness)
    value.backward(G)
    expected = [
        g * sharpness * (1 - math.tanh(sharpness * at) ** 2)
        for g, at in zip(G.tolist(), X.tolist(), strict=True)
    ]
    assert value.tolist() == pytest.approx([math.tanh(sharpness * at) for at in X.tolist()])
    assert x.grad.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_guidance_takes_whole_rows(share: float) -> None:
    soft, hard = torch.zeros(4_000, 3), torch.ones(4_000, 3)
    mixed = guided(soft, hard, share, torch.Generator().manual_seed(1))
    rows = mixed.mean(1)
    assert set(rows.tolist()) <= {0.0, 1.0}
    # Five standard deviations of a share of 4,000 draws.
    assert float(rows.mean()) == pytest.approx(share, abs=5 * math.sqrt(0.25 / 4_000))
    again = guided(soft, hard, share, torch.Generator().manual_seed(1))
    assert torch.equal(mixed, again)


def test_guided_gradients_go_where_the_row_came_from() -> None:
    soft, hard = (torch.zeros(50, 2, requires_grad=True) for _ in range(2))
    mixed = guided(soft, hard, 0.5, torch.Generator().manual_seed(0))
    mixed.sum().backward()
    assert torch.equal(soft.grad + hard.grad, torch.ones(50, 2))
    assert 0 < float(hard.grad.sum()) < 100
