"""What each step looks at: every interaction once an epoch, and who has met what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from training_cases import LOG, SMALL, batches_of, interactions_of

from hashrec.errors import RecipeError
from hashrec.learning import LOSSES
from hashrec.learning.draws import stream
from hashrec.training.backbone import Vectors
from hashrec.training.batches import Batches, check_sampler


def epoch_of(batches: Batches, epoch: int) -> list[Any]:
    order = batches.order(epoch)
    return [batches.batch(order, epoch, step) for step in range(len(batches))]


def pairs(made: list[Any], of_users: bool) -> list[tuple[int, int]]:
    found = []
    for batch in made:
        users = batch.users[batch.owner] if of_users else batch.users
        found += list(zip(users.tolist(), batch.items.tolist(), strict=True))
    return found


ALL = list(zip(LOG.matrix.row_of_entry.tolist(), LOG.matrix.indices.tolist(), strict=True))


@pytest.mark.parametrize("name", list(LOSSES))
def test_an_epoch_is_every_interaction_once(name: str) -> None:
    batches = batches_of(LOG, name, 70)
    made = epoch_of(batches, 3)
    found = pairs(made, batches.loss.over == "users")
    assert len(found) == len(ALL)
    assert set(found) == set(ALL)
    population = 300 if batches.loss.over == "users" else len(ALL)
    assert [len(batch.users) for batch in made[:-1]] == [70] * (population // 70)
    assert len(made[-1].users) == population % 70


@pytest.mark.parametrize("name", ["softmax", "bpr"])
def test_epochs_and_seeds_have_orders_of_their_own(name: str) -> None:
    orders = [batches_of(LOG, name, seed=seed).order(epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({order.tobytes() for order in orders}) == 4
    again = batches_of(LOG, name, seed=1).order(1)
    assert np.array_equal(again, orders[3])


@pytest.mark.parametrize(("name", "usual"), [("softmax", 300), ("bpr", len(ALL))])
def test_a_batch_larger_than_the_data_is_all_of_them(name: str, usual: int) -> None:
    for wanted in (10_000_000, None):
        batches = batches_of(LOG, name, wanted)
        assert (batches.size, len(batches)) == (usual, 1)
        assert len(epoch_of(batches, 0)[0].users) == usual


def test_usual_sizes() -> None:
    rows = [[user % 50, 50 + user % 7] for user in range(5_000)]
    log = interactions_of(rows, 60)
    assert batches_of(log, "softmax").size == 2_048
    assert batches_of(log, "bpr").size == 8_192


def test_users_without_interactions_are_in_no_step() -> None:
    batches = batches_of(interactions_of([[], [1, 2], [], [0]], 3), "softmax", 1)
    made = epoch_of(batches, 0)
    assert sorted(batch.users.item() for batch in made) == [1, 3]


def test_owners_point_to_the_users_of_the_batch() -> None:
    (batch,) = epoch_of(batches_of(interactions_of([[4], [], [0, 3]], 5), "softmax"), 0)
    assert batch.users.tolist() == [0, 2]
    assert batch.items.tolist() == [4, 0, 3]
    assert batch.owner.tolist() == [0, 1, 1]


@pytest.mark.parametrize("name", ["bpr", "logistic", "sampled-ccl"])
def test_negatives_are_the_samplers_under_the_key_of_the_step(name: str) -> None:
    loss = LOSSES.parse({"name": name, "negatives": 3, "sampler": {"name": "popularity"}})
    batches = batches_of(LOG, loss, 500, seed=8)
    for step, batch in enumerate(epoch_of(batches, 2)):
        assert loss.drawing is not None
        drawn = loss.drawing[0].draw(batches.source, batch.users.numpy(), 3, stream(8, 2, step))
        assert np.array_equal(batch.negatives.numpy(), drawn)


@pytest.mark.parametrize("sampler", ["uniform", "popularity", "in-batch"])
def test_clashes_are_what_the_users_have_met(sampler: str) -> None:
    """Every pair of a user and a shared negative, looked up one by one; negatives repeat."""
    met = {user: set(SMALL.matrix.row(user).tolist()) for user in range(SMALL.n_users)}
    loss = {"name": "sampled-softmax", "sampler": sampler, "negatives": 45}
    batches = batches_of(SMALL, loss, 25)
    for batch in epoch_of(batches, 0):
        expected = [
            [item in met[user] for item in batch.negatives.tolist()]
            for user in batch.users.tolist()
        ]
        assert batch.clash.tolist() == expected
        assert batch.clash.any() and not batch.clash.all()
        assert batch.log_chance.dtype == torch.float32
        assert batch.log_chance.shape == batch.negatives.shape
    if sampler == "in-batch":
        rows = torch.arange(len(batch.users))
        assert batch.clash[rows, rows].all()  # one's own positive is nobody's negative


def test_losses_without_draws_get_none() -> None:
    batch = epoch_of(batches_of(LOG, "directau"), 0)[0]
    assert (batch.negatives, batch.log_chance, batch.clash, batch.owner) == (None,) * 4


def test_uniformity_keeps_users_of_all_positions_apart() -> None:
    """Bug: batches are sorted, and the first rows of each were compared: the same few users for
    ever. Whose gradient depends on gamma is compared."""
    compared: set[int] = set()
    losses = [LOSSES.parse({"name": "directau", "pairs": 40, "gamma": gamma}) for gamma in (1, 2)]
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 4, generator=generator).requires_grad_() for n in (300, 200))
    for batch in epoch_of(batches_of(LOG, "directau", 500), 0):
        slopes = [torch.autograd.grad(loss(Vectors(users, items), batch), users)[0]
                  for loss in losses]  # fmt: skip
        found = set(torch.nonzero((slopes[0] != slopes[1]).any(1))[:, 0].tolist())
        assert 10 < len(found) <= 40
        compared |= found
    for quarter in range(4):
        assert len(compared & set(range(75 * quarter, 75 * (quarter + 1)))) > 20


@pytest.mark.parametrize("sampler", ["uniform", "popularity"])
def test_rejection_is_refused_where_a_sample_is_shared(sampler: str) -> None:
    """Bug: it was taken and changed nothing. Losses that draw for each positive heed it."""
    words = (
        "training.loss.sampler.reject: a sample that a whole batch shares rejects nothing; "
        "expected false; got true with loss sampled-softmax"
    )
    given = {"name": sampler, "reject": True}
    with pytest.raises(RecipeError, match=words):
        check_sampler(LOSSES.parse({"name": "sampled-softmax", "sampler": given}))
    loss = LOSSES.parse({"name": "sampled-ccl", "negatives": 20, "sampler": given})
    check_sampler(loss)
    met = {user: set(LOG.matrix.row(user).tolist()) for user in range(LOG.n_users)}
    for batch in epoch_of(batches_of(LOG, loss, 500), 0):
        for user, drawn in zip(batch.users.tolist(), batch.negatives.tolist(), strict=True):
            assert not met[user] & set(drawn)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"name": "bpr", "sampler": "in-batch"},
         "training.loss.sampler: the in-batch sampler cannot draw negatives of each positive.*"
         "got loss bpr. Take uniform or popularity"),
        ({"name": "sampled-ccl", "sampler": "in-batch"}, "cannot draw negatives of each positive"),
        ({"name": "sampled-softmax", "sampler": "hard"},
         "the hard sampler cannot draw a sample shared by a batch.*got loss sampled-softmax"),
    ],
)  # fmt: skip
def test_a_sampler_that_cannot_serve_the_loss(loss: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        check_sampler(LOSSES.parse(loss))


def test_all_others_can() -> None:
    for loss in ("bpr", "logistic", "sampled-ccl"):
        for sampler in ("uniform", "popularity", "hard"):
            check_sampler(LOSSES.parse({"name": loss, "sampler": sampler}))
    for sampler in ("uniform", "popularity", "in-batch"):
        check_sampler(LOSSES.parse({"name": "sampled-softmax", "sampler": sampler}))
    check_sampler(LOSSES.parse("softmax"))
    check_sampler(LOSSES.parse("directau"))
