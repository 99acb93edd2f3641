"""Adam of whole tensors and of rows: by NumPy's arithmetic, and taken up where it was left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hashrec.training.keeping import Keeper
from hashrec.training.optimiser import Optimiser, beside

ROWS, DIM = 6, 3
RATE = 0.1
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Mixed(nn.Module):
    """A table whose gradients are sparse or not, another one, a layer, and a lone number."""

    def __init__(self, *, sparse: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Embedding(ROWS, DIM, sparse=sparse)
        self.other = nn.Embedding(ROWS, DIM)
        self.layer = nn.Linear(DIM, 1)
        self.bias = nn.Parameter(torch.zeros(()))
        with torch.no_grad():
            for one in self.parameters():
                one.normal_(generator=generator)

    def forward(self, ids: Any) -> Any:
        return self.layer(torch.tanh(self.table(ids) * self.other(ids))).squeeze(1) + self.bias


def made(module: Any) -> Optimiser:
    return Optimiser(dict(module.named_parameters()), module, RATE)


def trained(module: Any, optimiser: Optimiser, batches: Sequence[list[int]]) -> None:
    """A step a batch, at rates that fall."""
    for ids in batches:
        optimiser.forget()
        chosen = torch.tensor(ids)
        (module(chosen) - chosen / ROWS).square().mean().backward()
        optimiser.step(RATE / (1 + len(ids)))


BATCHES = [[0, 1, 1], [2, 2, 5], [0], [5, 4, 1, 0], [3, 3]]


def bits(module: Any) -> dict[str, bytes]:
    return {name: one.detach().numpy().tobytes() for name, one in module.named_parameters()}


def state_of(module: Any, optimiser: Optimiser) -> dict[str, Any]:
    """All that is kept of a run's optimiser, as a checkpoint holds it."""
    found: dict[str, Any] = {}
    for name, _ in module.named_parameters():
        found |= {key: one.clone() for key, one in optimiser.kept(name).items()}
    return found


def again(module: Any, state: dict[str, Any], *, sparse: bool) -> tuple[Any, Optimiser]:
    """Another module with the same weights, and an optimiser that has taken up `state`."""
    copy = Mixed(sparse=sparse)
    copy.load_state_dict(module.state_dict())
    optimiser = made(copy)
    for name, _ in copy.named_parameters():
        optimiser.take_up(name, state)
    return copy, optimiser


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
@pytest.mark.parametrize("stopped", range(len(BATCHES) + 1))
def test_a_run_that_was_stopped_has_the_bits_of_one_that_was_not(
    sparse: bool, stopped: int
) -> None:
    module = Mixed(sparse=sparse)
    optimiser = made(module)
    trained(module, optimiser, BATCHES[:stopped])
    other, later = again(module, state_of(module, optimiser), sparse=sparse)
    trained(module, optimiser, BATCHES[stopped:])
    trained(other, later, BATCHES[stopped:])
    assert bits(other) == bits(module)
    kept, taken_up = state_of(module, optimiser), state_of(other, later)
    assert kept.keys() == taken_up.keys()
    for key, one in kept.items():
        assert taken_up[key].dtype == one.dtype
        assert taken_up[key].numpy().tobytes() == one.numpy().tobytes()


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_a_checkpoint_in_a_file_is_enough(tmp_path: Path, sparse: bool) -> None:
    module = Mixed(sparse=sparse)
    optimiser = made(module)
    trained(module, optimiser, BATCHES[:3])
    keeper = Keeper(tmp_path / "run.safetensors", {"seed": 0})
    keeper.save(state_of(module, optimiser), {})
    checkpoint = keeper.load()
    assert checkpoint is not None
    other, later = again(module, dict(checkpoint.tensors), sparse=sparse)
    trained(module, optimiser, BATCHES[3:])
    trained(other, later, BATCHES[3:])
    assert bits(other) == bits(module)


def test_without_its_state_it_would_have_gone_elsewhere() -> None:
    """That the tests above can fail: moments and counts matter to these five steps."""
    module = Mixed(sparse=True)
    optimiser = made(module)
    trained(module, optimiser, BATCHES[:3])
    other, later = again(module, {}, sparse=True)
    trained(module, optimiser, BATCHES[3:])
    trained(other, later, BATCHES[3:])
    assert all(bits(other)[name] != one for name, one in bits(module).items())


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_what_was_taken_up_is_not_changed_by_going_on(sparse: bool) -> None:
    """Bug: Adam's count of steps was shared with the checkpoint, and counted on in it."""
    module = Mixed(sparse=sparse)
    optimiser = made(module)
    trained(module, optimiser, BATCHES[:2])
    state = state_of(module, optimiser)
    before = {key: one.clone() for key, one in state.items()}
    trained(*again(module, state, sparse=sparse), BATCHES[2:])
    assert [key for key, one in state.items() if not torch.equal(one, before[key])] == []


def dense_adam(weight: Any, gradients: Sequence[Any], rates: Sequence[float]) -> Any:
    """D. P. Kingma, J. Ba, "Adam", 2015, in float64."""
    weight = weight.astype(np.float64)
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        first = BETA1 * first + (1 - BETA1) * gradient
        second = BETA2 * second + (1 - BETA2) * gradient**2
        corrected = first / (1 - BETA1**step), second / (1 - BETA2**step)
        weight = weight - rate * corrected[0] / (np.sqrt(corrected[1]) + EPSILON)
    return weight


def lazy_adam(weight: Any, gradients: Sequence[Any], rates: Sequence[float]) -> Any:
    """The same, but in each step only rows with a gradient move, and only their moments fade."""
    weight = weight.astype(np.float64)
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        for row in np.flatnonzero(np.abs(gradient).sum(axis=1)):
            first[row] = BETA1 * first[row] + (1 - BETA1) * gradient[row]
            second[row] = BETA2 * second[row] + (1 - BETA2) * gradient[row] ** 2
            # All rows share one count of steps.
            bias = np.sqrt(1 - BETA2**step) / (1 - BETA1**step)
            weight[row] -= rate * bias * first[row] / (np.sqrt(second[row]) + EPSILON)
    return weight


def tables(*, sparse: bool) -> Iterator[tuple[Any, Optimiser]]:
    for kind in (nn.Embedding, nn.EmbeddingBag):
        torch.manual_seed(3)
        module = nn.Sequential(kind(ROWS, DIM, sparse=sparse))
        yield module, made(module)


PULLS = [({0: 2.0, 1: -1.0}, 0.1), ({1: 3.0}, 0.05), ({0: 0.5, 4: 1.0}, 0.2), ({4: -9.0}, 0.2)]


def gradient(pull: dict[int, float]) -> Any:
    found = np.zeros((ROWS, DIM))
    for row, force in pull.items():
        found[row] = force * np.arange(1, DIM + 1)
    return found


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_steps_are_those_of_numpy(sparse: bool) -> None:
    for module, optimiser in tables(sparse=sparse):
        weight = module[0].weight
        start = weight.detach().numpy().copy()
        for pull, rate in PULLS:
            optimiser.forget()
            ids = torch.tensor([[row] for row in pull])
            found = module(ids).reshape(len(pull), DIM)
            forces = torch.tensor(list(pull.values()))[:, None] * torch.arange(1, DIM + 1)
            (found * forces).sum().backward()
            assert weight.grad.is_sparse == sparse
            optimiser.step(rate)
        by_hand = lazy_adam if sparse else dense_adam
        expected = by_hand(
            start, [gradient(pull) for pull, _ in PULLS], [rate for _, rate in PULLS]
        )
        assert weight.detach().numpy() == pytest.approx(expected, abs=1e-6)
        other = dense_adam if sparse else lazy_adam
        wrong = other(start, [gradient(pull) for pull, _ in PULLS], [rate for _, rate in PULLS])
        assert np.abs(wrong - expected).max() > 0.01  # the two do differ here


def test_an_id_that_comes_twice_in_a_batch_is_one_gradient() -> None:
    for module, optimiser in tables(sparse=True):
        start = module[0].weight.detach().numpy().copy()
        module(torch.tensor([[2], [2], [2]])).sum().backward()
        optimiser.step(RATE)
        expected = lazy_adam(start, [3 * (np.arange(ROWS) == 2)[:, None] * np.ones(DIM)], [RATE])
        assert module[0].weight.detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_rows_that_no_step_touched_stay_to_the_bit_and_others_wait() -> None:
    module = Mixed(sparse=True)
    before = module.table.weight.detach().clone()
    optimiser = made(module)
    trained(module, optimiser, [[1, 2]])
    after = module.table.weight.detach().clone()
    assert [row for row in range(ROWS) if not torch.equal(before[row], after[row])] == [1, 2]
    trained(module, optimiser, [[4]])
    last = module.table.weight.detach()
    assert [row for row in range(ROWS) if not torch.equal(after[row], last[row])] == [4]
    moments = optimiser.kept("table.weight")["adam.table.weight.exp_avg"]
    assert [row for row in range(ROWS) if moments[row].any()] == [1, 2, 4]


def test_a_dense_table_goes_on_moving_where_it_was_once_touched() -> None:
    module = Mixed(sparse=False)
    optimiser = made(module)
    trained(module, optimiser, [[1, 2]])
    after = module.table.weight.detach().clone()
    trained(module, optimiser, [[4]])
    last = module.table.weight.detach()
    assert [row for row in range(ROWS) if not torch.equal(after[row], last[row])] == [1, 2, 4]


def test_each_step_is_at_its_own_rate() -> None:
    """Adam's first step is the rate, whatever the gradient, in both kinds of tables."""
    for rate in (0.5, 0.001, 0.0):
        module = Mixed(sparse=True)
        before = {name: one.detach().clone() for name, one in module.named_parameters()}
        optimiser = made(module)
        module(torch.tensor([0, 1])).sum().backward()
        optimiser.step(rate)
        for name, one in module.named_parameters():
            moved = (one.detach() - before[name]).abs().max().item()
            assert moved == pytest.approx(rate, rel=1e-3, abs=1e-7), name


def test_gradients_are_forgotten_and_not_zeroed() -> None:
    module = Mixed(sparse=True)
    optimiser = made(module)
    module(torch.tensor([0, 1])).sum().backward()
    assert all(one.grad is not None for one in module.parameters())
    optimiser.forget()
    assert all(one.grad is None for one in module.parameters())
    before = bits(module)
    optimiser.step(RATE)
    assert bits(module) == before


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_nothing_is_kept_before_the_first_step_and_then_three_tensors(sparse: bool) -> None:
    module = Mixed(sparse=sparse)
    optimiser = made(module)
    assert state_of(module, optimiser) == {}
    trained(module, optimiser, BATCHES[:2])
    for name, one in module.named_parameters():
        kept = optimiser.kept(name)
        assert set(kept) == {f"adam.{name}.{key}" for key in ("exp_avg", "exp_avg_sq", "step")}
        assert kept[f"adam.{name}.exp_avg"].shape == one.shape
        assert kept[f"adam.{name}.exp_avg_sq"].shape == one.shape
        assert kept[f"adam.{name}.step"].tolist() == 2


def test_what_is_not_among_the_tensors_starts_afresh() -> None:
    """A state of one weight is of no use to another."""
    module = Mixed(sparse=True)
    optimiser = made(module)
    trained(module, optimiser, BATCHES[:2])
    some = {key: one for key, one in state_of(module, optimiser).items() if "table" in key}
    _, later = again(module, some, sparse=True)
    assert {name for name, _ in module.named_parameters() if later.kept(name)} == {"table.weight"}
    assert later.kept("table.weight")["adam.table.weight.step"].tolist() == 2


@pytest.mark.parametrize(
    "module",
    [nn.Linear(2, 1), nn.Sequential(nn.Embedding(4, 2, sparse=True))],
    ids=["no table", "nothing but a sparse table"],
)
def test_either_kind_may_be_alone(module: Any) -> None:
    optimiser = made(module)
    given = torch.tensor([[0], [1]]) if isinstance(module, nn.Sequential) else torch.ones(2, 2)
    before = bits(module)
    module(given).sum().backward()
    optimiser.step(RATE)
    assert all(bits(module)[name] != one for name, one in before.items())


def test_state_is_laid_out_as_its_weight_is() -> None:
    """Bug: a checkpoint keeps rows; beside a turned weight the moments were read in its order."""

    def turned() -> Any:
        module = nn.Linear(4, 3, bias=False)
        start = torch.arange(12.0).reshape(4, 3) / 10 - 0.5
        module.weight = nn.Parameter(start.clone().T)
        return module

    def steps(module: Any, optimiser: Optimiser, numbers: range) -> None:
        for number in numbers:
            optimiser.forget()
            (module(torch.arange(4.0)[None] + number) * torch.tensor([1.0, -2, 5])).sum().backward()
            optimiser.step(RATE)

    module, whole = turned(), turned()
    assert not module.weight.is_contiguous()
    optimiser = made(module)
    steps(module, optimiser, range(2))
    kept = {key: one.contiguous() for key, one in optimiser.kept("weight").items()}
    copy = turned()
    with torch.no_grad():
        copy.weight.copy_(module.weight)
    later = made(copy)
    later.take_up("weight", kept)
    assert later.kept("weight")["adam.weight.exp_avg"].stride() == copy.weight.stride()
    steps(copy, later, range(2, 5))
    steps(whole, made(whole), range(5))
    assert bits(copy) == bits(whole)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.int64], ids=str)
def test_what_is_put_beside_a_weight_keeps_its_values_and_type(kind: Any) -> None:
    weight = nn.Parameter(torch.zeros(2, 3).T)
    kept = torch.arange(6).reshape(3, 2).to(kind)
    found = beside(weight, kept)
    assert (found.dtype, found.stride(), found.requires_grad) == (kind, (1, 3), False)
    assert found.tolist() == [[0, 1], [2, 3], [4, 5]]
    found += 1
    assert kept.tolist() == [[0, 1], [2, 3], [4, 5]]
    count = torch.tensor(7.0)
    assert beside(weight, count).tolist() == 7
