"""Propagation and its gradient against sums of powers of the dense matrix, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hashrec.csr import Csr
from hashrec.graph import BipartiteOperator
from hashrec.interactions import planted
from hashrec.training.propagation import Propagation

DIM = 5
LOG = planted(50, 40, communities=4, degree=5, noise=0.2, seed=0).interactions
# Users 50 and 51 and items 40 to 42 have no edges.
MATRIX = Csr.from_pairs(LOG.matrix.row_of_entry, LOG.matrix.indices, n_rows=52, n_columns=43)
N_USERS, N_ITEMS = 52, 43

WEIGHTS = [
    (1.0,),
    (-0.7,),
    (0.5, 0.5),
    (0.0, 1.0),
    (1 / 3, 1 / 3, 1 / 3),
    (0.3, -1.2, 0.0, 2.0),
    tuple(np.random.default_rng(0).normal(size=6).tolist()),
]
every_sum = pytest.mark.parametrize("weights", WEIGHTS, ids=str)
every_way = pytest.mark.parametrize("concatenate", [False, True])


def dense(matrix: Csr = MATRIX) -> Any:
    """(n, n) float64 symmetric normalised adjacency, entry by entry."""
    n, m = matrix.n_rows, matrix.n_columns
    adjacency = np.zeros((n + m, n + m))
    for user in range(n):
        for item in matrix.row(user):
            adjacency[user, n + item] = adjacency[n + item, user] = 1
    degrees = adjacency.sum(1)
    scale = np.array([d**-0.5 if d else 0.0 for d in degrees])
    return torch.tensor(scale[:, None] * adjacency * scale[None])


def slow(weights: tuple[float, ...], stacked: Any, concatenate: bool) -> Any:
    """sum_k a_k N^k x, each power multiplied out."""
    matrix = dense()
    layers = [
        weight * torch.linalg.matrix_power(matrix, k) @ stacked for k, weight in enumerate(weights)
    ]
    return torch.cat(layers, 1) if concatenate else sum(layers)


def inputs(seed: int = 0) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(seed)
    users, items = (torch.randn(n, DIM, generator=generator) for n in (N_USERS, N_ITEMS))
    return users.requires_grad_(), items.requires_grad_()


def made(weights: tuple[float, ...], concatenate: bool = False) -> Propagation:
    return Propagation(BipartiteOperator.normalised(MATRIX), weights, concatenate=concatenate)


@every_way
@every_sum
def test_values_and_gradients(weights: tuple[float, ...], concatenate: bool) -> None:
    users, items = inputs()
    before = users.detach().clone(), items.detach().clone()
    found = made(weights, concatenate)(users, items)
    stacked = torch.cat([users, items]).detach().double().requires_grad_()
    expected = slow(weights, stacked, concatenate)
    torch.testing.assert_close(torch.cat(found).double(), expected, rtol=1e-5, atol=1e-6)
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    torch.cat(found).backward(upstream)
    expected.backward(upstream.double())
    gradient = torch.cat([users.grad, items.grad]).double()
    torch.testing.assert_close(gradient, stacked.grad, rtol=1e-5, atol=1e-6)
    assert torch.equal(users.detach(), before[0])
    assert torch.equal(items.detach(), before[1])


def test_the_dense_matrix_of_the_test_is_symmetric_with_ones_as_its_largest_value() -> None:
    """Guards the guard."""
    matrix = dense()
    assert torch.equal(matrix, matrix.T)
    assert float(torch.linalg.eigvalsh(matrix)[-1]) == pytest.approx(1)


@every_way
def test_gradients_through_one_side_alone(concatenate: bool) -> None:
    """A loss that looks at users only still reaches the items, through the graph."""
    users, items = inputs()
    found, _ = made((0.5, 0.25, 0.25), concatenate)(users, items)
    found.sum().backward()
    stacked = torch.cat([users, items]).detach().double().requires_grad_()
    slow((0.5, 0.25, 0.25), stacked, concatenate)[:N_USERS].sum().backward()
    gradient = torch.cat([users.grad, items.grad]).double()
    torch.testing.assert_close(gradient, stacked.grad, rtol=1e-5, atol=1e-6)
    assert items.grad[:40].any()


def test_gradients_add_up_over_steps_as_those_of_torch_do() -> None:
    users, items = inputs()
    for _ in range(2):
        torch.cat(made((0.5, 0.5))(users, items)).sum().backward()
    once = inputs()
    torch.cat(made((0.5, 0.5))(*once)).sum().backward()
    torch.testing.assert_close(users.grad, 2 * once[0].grad)


@every_way
def test_without_layers_nothing_is_propagated(concatenate: bool) -> None:
    users, items = inputs()
    found = made((1.0,), concatenate)(users, items)
    assert torch.equal(found[0], users)
    assert torch.equal(found[1], items)


@every_sum
def test_ids_without_edges_keep_the_first_weight_of_their_own(weights: tuple[float, ...]) -> None:
    users, items = inputs()
    found = made(weights)(users, items)
    torch.testing.assert_close(found[0][50:], weights[0] * users[50:])
    torch.testing.assert_close(found[1][40:], weights[0] * items[40:])
    side_by_side = made(weights, True)(users, items)
    assert not side_by_side[1][40:, DIM:].any()


def test_upstream_gradients_that_are_no_plain_rows() -> None:
    """Transposed and expanded gradients come from ordinary losses; kernels want rows."""
    users, items = inputs()
    weights = torch.randn(DIM, N_USERS, generator=torch.Generator().manual_seed(2))
    found = made((0.5, 0.5))(users, items)
    (found[0].T * weights).sum().backward()
    again = inputs()
    (made((0.5, 0.5))(*again)[0] * weights.T.contiguous()).sum().backward()
    assert torch.equal(items.grad, again[1].grad)


def test_elsewhere_torchs_sparse_product_gives_the_same() -> None:
    """The path of accelerators, on the CPU: its matrices against the kernel.

    Bug: making them warned of checks left out and of a beta, once a process.
    """
    users, items = inputs()
    propagation = made((1.0, 1.0))
    by_user, by_item = propagation._on("cpu")
    mine = propagation.product(users.detach(), items.detach())
    torch.testing.assert_close(torch.sparse.mm(by_user, items.detach()), mine[0])
    torch.testing.assert_close(torch.sparse.mm(by_item, users.detach()), mine[1])
    assert propagation._on("cpu")[0] is by_user


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@every_way
def test_on_an_accelerator(concatenate: bool) -> None:
    users, items = inputs()
    there = [side.detach().cuda().requires_grad_() for side in (users, items)]
    mine = torch.cat(made((0.2, 0.3, 0.5), concatenate)(users, items))
    theirs = torch.cat(made((0.2, 0.3, 0.5), concatenate)(*there))
    torch.testing.assert_close(mine, theirs.cpu())
    mine.square().sum().backward()
    theirs.square().sum().backward()
    torch.testing.assert_close(items.grad, there[1].grad.cpu(), rtol=1e-4, atol=1e-5)
