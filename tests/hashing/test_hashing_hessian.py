"""The trace of a Hessian that is known, and delta from it."""

from __future__ import annotations

import pytest
import torch

from hashrec.hashing.hessian import delta_of, trace
from hashrec.hashing.hessian_aware import Twice
from hashrec.learning import Batch
from hashrec.training.backbone import Vectors


def quadratic(dim: int, seed: int = 0) -> tuple[object, object, object]:
    """x.A x / 2 + b.x with A symmetric, so the Hessian is A."""
    rng = torch.Generator().manual_seed(seed)
    half = torch.randn(dim, dim, generator=rng, dtype=torch.float64)
    a = half @ half.T / dim + torch.eye(dim, dtype=torch.float64)
    b = torch.randn(dim, generator=rng, dtype=torch.float64)
    return a, b, lambda x: (x @ a @ x) / 2 + b @ x


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dim", [1, 50, 200])
def test_the_trace_of_a_quadratic(dim: int, seed: int) -> None:
    a, b, loss = quadratic(dim, seed)
    at = torch.ones(dim, dtype=torch.float64)
    found, gradient = trace(loss, at, torch.Generator().manual_seed(seed))
    assert found == pytest.approx(float(a.trace()), rel=0.05)
    assert torch.allclose(gradient, a @ at + b)


def test_a_diagonal_hessian_is_exact_at_once() -> None:
    """v_i^2 = 1, so every probe gives the trace itself."""
    weights = torch.tensor([1.0, 4.0, 0.5], dtype=torch.float64)
    probes = []

    def loss(x: object) -> object:
        probes.append(1)
        return (weights * x**2).sum()

    found, _ = trace(loss, torch.ones(3, dtype=torch.float64), torch.Generator())
    assert found == pytest.approx(11.0)
    assert len(probes) == 1  # the loss is computed once, however many probes there are


def test_delta_of_a_known_hessian() -> None:
    """(tr A / N) / (3 std g), N = 40."""
    a, b, loss = quadratic(40)
    at = torch.linspace(-1, 1, 40, dtype=torch.float64)
    expected = float(a.trace()) / 40 / (3 * float((a @ at + b).std()))
    found = delta_of([loss, loss, loss], at, torch.Generator().manual_seed(0))
    assert found == pytest.approx(expected, rel=0.05)


def test_delta_is_never_negative() -> None:
    at = torch.linspace(-1, 1, 40, dtype=torch.float64)
    assert delta_of([lambda x: -(x**2).sum()], at, torch.Generator()) == 0.0


def test_delta_of_a_constant_gradient_is_nothing() -> None:
    at = torch.ones(4, dtype=torch.float64)
    assert delta_of([lambda x: (x * 2).sum() + 0 * (x**2).sum()], at, torch.Generator()) == 0.0


@pytest.mark.parametrize("weight", ["interactions", "equal"])
def test_losses_that_are_differentiated_twice_are_those_of_training(weight: str) -> None:
    rng = torch.Generator().manual_seed(4)
    users, items = torch.randn(6, 5, generator=rng), torch.randn(9, 5, generator=rng)
    owner = torch.tensor([0, 0, 1, 2, 2, 2])
    batch = Batch(torch.tensor([1, 3, 5]), torch.tensor([0, 4, 8, 1, 1, 7]), owner=owner)
    twice, once = Twice(users, items), Vectors(users, items)
    assert float(twice.softmax(batch, 0.2, weight)) == pytest.approx(
        float(once.softmax(batch, 0.2, weight)), rel=1e-5
    )
    assert float(twice.contrast(batch, 0.1, 30.0)) == pytest.approx(
        float(once.contrast(batch, 0.1, 30.0)), rel=1e-5
    )
