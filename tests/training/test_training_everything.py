"""The softmax over all items by blocks against a dense log_softmax in float64 with autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from hashrec.learning import Batch
from hashrec.training import everything
from hashrec.training.everything import block_bytes, precision_of, softmax_over_all

WEIGHTS = ("interactions", "equal")
TEMPERATURES = (0.01, 0.03, 0.1, 0.5, 2.0)

# Largest error of the loss, and of gradients in shares of their largest entry. Numbers of bfloat16
# have 8 bits: a score of s is off by s / 512, and exp(s) by as much in proportion; at T = 0.01
# scores go up to 100.
TOLERANCES = {
    (torch.float64, T): (1e-12, 1e-11) for T in TEMPERATURES
} | {(torch.float32, T): (1e-4, 1e-4) for T in TEMPERATURES} | {
    (torch.bfloat16, 0.01): (0.05, 0.2),
    (torch.bfloat16, 0.03): (0.02, 0.08),
    (torch.bfloat16, 0.1): (0.02, 0.04),
    (torch.bfloat16, 0.5): (0.02, 0.04),
    (torch.bfloat16, 2.0): (0.02, 0.04),
}  # fmt: skip


def case(n_users: int, n_items: int = 150, dim: int = 16, seed: int = 0) -> tuple[Any, Any, Batch]:
    """Unit vectors, near those of the positives as after some training; user 0 has every item."""
    rng = np.random.default_rng(seed)
    items = rng.normal(size=(n_items, dim))
    users, lists = rng.normal(size=(n_users, dim)), []
    for user in range(n_users):
        n = n_items if user == 0 else int(rng.integers(1, 12))
        lists.append(np.sort(rng.choice(n_items, n, replace=False)))
        users[user] = users[user] * 0.5 + items[lists[-1]].mean(0)
    owner = np.repeat(np.arange(n_users), [len(one) for one in lists])
    batch = Batch(
        torch.arange(n_users), torch.tensor(np.concatenate(lists)), owner=torch.tensor(owner)
    )
    unit = (normalize(torch.tensor(side), dim=-1) for side in (users, items))
    return *unit, batch


def dense(users: Any, items: Any, batch: Batch, temperature: float, weight: str) -> Any:
    logs = torch.log_softmax(users @ items.T / temperature, 1)
    losses = -logs[batch.owner, batch.items]
    if weight == "interactions":
        return losses.mean()
    means = [losses[batch.owner == user].mean() for user in range(len(users))]
    return torch.stack(means).mean()


def both(
    one: tuple[Any, Any, Batch], temperature: float, weight: str, precision: Any
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """(loss, gradient of users, gradient of items) found and expected, in float64."""
    *sides, batch = one
    wide = torch.float64 if precision is torch.float64 else torch.float32
    mine = [side.to(wide).requires_grad_() for side in sides]
    theirs = [side.double().requires_grad_() for side in sides]
    found = softmax_over_all(mine[0], mine[1], batch, temperature, weight, precision)
    expected = dense(theirs[0], theirs[1], batch, temperature, weight)
    assert found.dtype == wide
    return (
        (found.detach().double(), *(g.double() for g in torch.autograd.grad(found, mine))),
        (expected.detach(), *torch.autograd.grad(expected, theirs)),
    )


def check(one: tuple[Any, Any, Batch], temperature: float, weight: str, precision: Any) -> None:
    found, expected = both(one, temperature, weight, precision)
    of_loss, of_gradients = TOLERANCES[precision, temperature]
    torch.testing.assert_close(found[0], expected[0], rtol=of_loss, atol=of_loss)
    for mine, theirs in zip(found[1:], expected[1:], strict=True):
        largest = float(theirs.abs().max())
        torch.testing.assert_close(mine, theirs, rtol=0, atol=of_gradients * largest)


@pytest.mark.parametrize("precision", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("n_users", [1, 40])
def test_values_and_gradients(
    n_users: int, temperature: float, weight: str, precision: Any
) -> None:
    check(case(n_users), temperature, weight, precision)


@pytest.mark.parametrize("precision", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("temperature", [0.01, 0.1])
def test_more_users_than_a_block(
    temperature: float, weight: str, precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two whole blocks and one of a single user."""
    monkeypatch.setattr(everything, "_BLOCK", 13)
    check(case(27), temperature, weight, precision)


def test_the_block_as_it_is() -> None:
    check(case(513, 60), 0.1, "interactions", torch.float32)


def test_a_user_with_every_item_alone() -> None:
    """Their gradient pulls scores towards each other, and the loss is never below log n."""
    users, items, batch = case(1, 40)
    assert len(batch.items) == 40
    found, _ = both((users, items, batch), 0.1, "interactions", torch.float64)
    assert float(found[0]) > np.log(40)
    check((users, items, batch), 0.1, "interactions", torch.float32)


def test_by_hand() -> None:
    """Two items, one with the user's direction and one against it, T = 1 / 2."""
    users, items = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    batch = Batch(torch.tensor([0]), torch.tensor([0]), owner=torch.tensor([0]))
    found = softmax_over_all(users, items, batch, 0.5, "equal", torch.float32)
    assert float(found) == pytest.approx(np.log(1 + np.exp(-4)), rel=1e-5)


def test_equal_weights_and_interactions_differ_where_users_do() -> None:
    one = case(20)
    losses = [both(one, 0.1, weight, torch.float64)[1][0] for weight in WEIGHTS]
    assert abs(float(losses[0] - losses[1])) > 0.1


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_the_smallest_temperatures_stay_finite(precision: Any) -> None:
    """exp of scores of 10,000 overflows in every type unless the largest is taken off first."""
    found, expected = both(case(30), 1e-4, "interactions", precision)
    assert all(torch.isfinite(one).all() for one in found)
    assert float(found[0]) == pytest.approx(float(expected[0]), rel=0.05)


@pytest.mark.parametrize("temperature", [0.05, 0.07, 0.15])
def test_what_is_taken_off_the_scores_is_what_is_added_again(temperature: float) -> None:
    """Bug: 1 / 0.07 was taken off as 14.3125 in bfloat16 and added as 14.2857: every loss was
    0.026 too large. Rounding of scores and sums, 2^-9 of each, averages out over users."""
    generator = torch.Generator().manual_seed(0)
    users, items = (
        normalize(torch.randn(n, 16, generator=generator), dim=-1) for n in (400, 3_000)
    )
    owner = torch.arange(400)
    batch = Batch(owner, owner, owner=owner)
    found = softmax_over_all(users, items, batch, temperature, "equal", torch.bfloat16)
    expected = dense(users.double(), items.double(), batch, temperature, "equal")
    assert float(found) == pytest.approx(float(expected), abs=3e-3)


def test_zero_vectors_score_nothing() -> None:
    """Of users and of items: log n for the one, and no NaN for the others."""
    users, items, batch = case(5)
    users[3], items[7] = 0, 0
    check((users, items, batch), 0.1, "interactions", torch.float32)


def test_the_scale_of_the_loss_reaches_the_gradients() -> None:
    users, items, batch = case(6)
    sides = [side.requires_grad_() for side in (users, items)]
    loss = softmax_over_all(*sides, batch, 0.1, "equal", torch.float64)
    once = torch.autograd.grad(loss, sides, retain_graph=True)
    thrice = torch.autograd.grad(3 * loss, sides)
    for one, three in zip(once, thrice, strict=True):
        torch.testing.assert_close(three, 3 * one)


def test_inputs_are_not_changed() -> None:
    users, items, batch = case(6)
    before = users.clone(), items.clone()
    softmax_over_all(users, items, batch, 0.1, "equal", torch.float64)
    assert torch.equal(users, before[0])
    assert torch.equal(items, before[1])


class TestPrecision:
    def test_by_name(self) -> None:
        assert precision_of("float32", "cpu") is torch.float32
        assert precision_of("bfloat16", "cpu") is torch.bfloat16

    @pytest.mark.parametrize("native", [False, True])
    def test_auto_asks_the_processor(self, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native, raising=False)
        assert precision_of("auto", "cpu") is (torch.bfloat16 if native else torch.float32)
        assert precision_of("auto", "cuda") is torch.bfloat16

    def test_a_torch_that_cannot_say_has_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
        assert precision_of("auto", "cpu") is torch.float32


def test_bytes_of_a_block() -> None:
    assert block_bytes(41_000) == 512 * 41_000 * 4
