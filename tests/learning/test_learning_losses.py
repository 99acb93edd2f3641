"""Each loss against its formula written out in loops over pairs, in float64 with dense autograd."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hashrec.csr import Csr
from hashrec.errors import RecipeError
from hashrec.learning import LOSSES, SAMPLERS, Batch, Loss, Source
from hashrec.training.backbone import Vectors

N_USERS, N_ITEMS, DIM = 7, 9, 4
Slow = Callable[[Any, Any, Batch], Any]


def vectors(seed: int = 0, n: int = N_USERS, m: int = N_ITEMS) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(seed)
    users, items = (
        torch.randn(size, DIM, generator=generator, dtype=torch.float64) for size in (n, m)
    )
    return users.requires_grad_(), items.requires_grad_()


def view(users: Any, items: Any) -> Vectors:
    seen = Vectors(users, items)
    seen.precision = users.dtype
    return seen


def cosine(one: Any, other: Any) -> Any:
    return one @ other / (one.norm() * other.norm())


def own_negatives() -> Batch:
    """Five positives, user 2 twice; user 0 meets item 3 both as a positive and as a negative."""
    return Batch(
        torch.tensor([2, 0, 2, 6, 5]),
        torch.tensor([1, 3, 8, 0, 3]),
        torch.tensor([[4, 5, 6], [3, 3, 0], [1, 2, 4], [7, 7, 7], [0, 8, 2]]),
    )


def shared_negatives() -> Batch:
    chance = torch.tensor([0.2, 1.5, 0.7, 0.7], dtype=torch.float64).log()
    clash = torch.zeros(5, 4, dtype=torch.bool)
    clash[0, 1] = clash[3, 0] = clash[3, 3] = True
    clash[4] = True  # somebody who has met the whole sample
    one = own_negatives()
    return Batch(one.users, one.items, torch.tensor([7, 4, 2, 2]), chance, clash)


def whole_users() -> Batch:
    """Four users with 1, 3, 2 and all items."""
    rows = [[2], [0, 3, 8], [1, 2], list(range(N_ITEMS))]
    owner = [index for index, row in enumerate(rows) for _ in row]
    return Batch(
        torch.tensor([5, 0, 3, 2]),
        torch.tensor([item for row in rows for item in row]),
        owner=torch.tensor(owner),
    )


def slow_bpr(users: Any, items: Any, batch: Batch) -> Any:
    terms = []
    for u, i, drawn in zip(batch.users, batch.items, batch.negatives, strict=True):
        for j in drawn:
            terms.append(-torch.log(torch.sigmoid(users[u] @ items[i] - users[u] @ items[j])))
    return sum(terms) / len(terms)


def slow_logistic(users: Any, items: Any, batch: Batch) -> Any:
    wanted, others = [], []
    for u, i, drawn in zip(batch.users, batch.items, batch.negatives, strict=True):
        wanted.append(-torch.log(torch.sigmoid(users[u] @ items[i])))
        others += [-torch.log(torch.sigmoid(-(users[u] @ items[j]))) for j in drawn]
    return sum(wanted) / len(wanted) + sum(others) / len(others)


def slow_ccl(margin: float, weight: float) -> Slow:
    def slow(users: Any, items: Any, batch: Batch) -> Any:
        terms = []
        for u, i, drawn in zip(batch.users, batch.items, batch.negatives, strict=True):
            others = [(cosine(users[u], items[j]) - margin).clamp(min=0) for j in drawn]
            terms.append(1 - cosine(users[u], items[i]) + weight * sum(others) / len(others))
        return sum(terms) / len(terms)

    return slow


def slow_directau(gamma: float, most: int) -> Slow:
    def uniformity(rows: Any) -> Any:
        some = min(most, len(rows))
        rows = [rows[number * len(rows) // some] for number in range(some)]
        rows = [row / row.norm() for row in rows]
        terms = [
            torch.exp(-2 * ((rows[a] - rows[b]) ** 2).sum())
            for a in range(len(rows))
            for b in range(a)
        ]
        return torch.log(sum(terms) / len(terms))

    def slow(users: Any, items: Any, batch: Batch) -> Any:
        left, right = users[batch.users], items[batch.items]
        apart = [
            ((u / u.norm() - i / i.norm()) ** 2).sum() for u, i in zip(left, right, strict=True)
        ]
        return sum(apart) / len(apart) + gamma / 2 * (uniformity(left) + uniformity(right))

    return slow


def slow_sampled(temperature: float) -> Slow:
    def slow(users: Any, items: Any, batch: Batch) -> Any:
        terms = []
        for row, (u, i) in enumerate(zip(batch.users, batch.items, strict=True)):
            wanted = torch.exp(cosine(users[u], items[i]) / temperature)
            total = wanted
            for column, j in enumerate(batch.negatives):
                if not batch.clash[row, column]:
                    expected = torch.exp(batch.log_chance[column])
                    total = total + torch.exp(cosine(users[u], items[j]) / temperature) / expected
            terms.append(-torch.log(wanted / total))
        return sum(terms) / len(terms)

    return slow


def slow_softmax(temperature: float, weight: str) -> Slow:
    def slow(users: Any, items: Any, batch: Batch) -> Any:
        each = []
        for index, u in enumerate(batch.users):
            scores = torch.stack([cosine(users[u], item) for item in items]) / temperature
            logs = torch.log_softmax(scores, 0)
            each.append([-logs[i] for i in batch.items[batch.owner == index]])
        if weight == "equal":
            return sum(sum(terms) / len(terms) for terms in each) / len(each)
        flat = [term for terms in each for term in terms]
        return sum(flat) / len(flat)

    return slow


def slow_contrast(margin: float, weight: float) -> Slow:
    def slow(users: Any, items: Any, batch: Batch) -> Any:
        terms = []
        for place, item in zip(batch.owner.tolist(), batch.items.tolist(), strict=True):
            user = users[batch.users[place]]
            cosines = [cosine(user, other) for other in items]
            beyond = [torch.clamp(one - margin, min=0) for one in cosines]
            terms.append(1 - cosines[item] + weight * sum(beyond) / len(beyond))
        return sum(terms) / len(terms)

    return slow


CASES: list[tuple[dict[str, Any], Callable[[], Batch], Slow]] = [
    ({"name": "bpr"}, own_negatives, slow_bpr),
    ({"name": "logistic"}, own_negatives, slow_logistic),
    ({"name": "sampled-ccl"}, own_negatives, slow_ccl(0.4, 64)),
    ({"name": "sampled-ccl", "margin": -0.3, "weight": 2.5}, own_negatives, slow_ccl(-0.3, 2.5)),
    ({"name": "directau"}, own_negatives, slow_directau(1, 2048)),
    ({"name": "directau", "gamma": 3, "pairs": 3}, own_negatives, slow_directau(3, 3)),
    ({"name": "sampled-softmax"}, shared_negatives, slow_sampled(0.1)),
    ({"name": "sampled-softmax", "temperature": 0.7}, shared_negatives, slow_sampled(0.7)),
    ({"name": "ccl", "margin": 0.1}, whole_users, slow_contrast(0.1, 150)),
    ({"name": "ccl", "margin": -1, "negatives": 3}, whole_users, slow_contrast(-1, 3)),
    ({"name": "softmax"}, whole_users, slow_softmax(0.1, "interactions")),
    ({"name": "softmax", "temperature": 0.01}, whole_users, slow_softmax(0.01, "interactions")),
    (
        {"name": "softmax", "temperature": 0.5, "weight": "equal"},
        whole_users,
        slow_softmax(0.5, "equal"),
    ),
]


def gradients(loss: Any, users: Any, items: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = torch.autograd.grad(loss, (users, items))
    return found


@pytest.mark.parametrize(("options", "batch", "slow"), CASES, ids=[str(c[0]) for c in CASES])
def test_values_and_gradients(
    options: dict[str, Any], batch: Callable[[], Batch], slow: Slow
) -> None:
    loss = LOSSES.parse(options)
    users, items = vectors()
    found, expected = loss(view(users, items), batch()), slow(users, items, batch())
    assert found.shape == ()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    for mine, theirs in zip(
        gradients(found, users, items), gradients(expected, users, items), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients_by_finite_differences(name: str) -> None:
    """Independent of autograd; at a temperature at which a step of 1e-6 is a small one."""
    gentle = {"temperature": 0.5} if "softmax" in name else {}
    loss = LOSSES.parse({"name": name, **({"margin": 0.1} if name == "ccl" else gentle)})
    batch = whole_users() if loss.over == "users" else own_negatives()
    batch = shared_negatives() if loss.shared else batch
    assert torch.autograd.gradcheck(
        lambda users, items: loss(view(users, items), batch), vectors(3), eps=1e-6, atol=1e-6
    )


def test_every_loss_has_a_case() -> None:
    """Guards the guard: a loss added later must be compared with its formula."""
    assert {case[0]["name"] for case in CASES} == set(LOSSES)


class TestBprByHand:
    def test_equal_scores_are_log_2(self) -> None:
        users, items = torch.zeros(1, 2), torch.ones(3, 2)
        batch = Batch(torch.tensor([0]), torch.tensor([1]), torch.tensor([[0, 2]]))
        found = float(LOSSES.parse("bpr")(Vectors(users, items), batch))
        assert found == pytest.approx(math.log(2))

    def test_scores_far_apart_neither_overflow_nor_vanish(self) -> None:
        users, items = torch.full((1, 1), 200.0), torch.tensor([[1.0], [-1.0]])
        wrong = Batch(torch.tensor([0]), torch.tensor([1]), torch.tensor([[0]]))
        right = Batch(torch.tensor([0]), torch.tensor([0]), torch.tensor([[1]]))
        loss = LOSSES.parse("bpr")
        assert float(loss(Vectors(users, items), wrong)) == 400.0
        assert float(loss(Vectors(users, items), right)) == 0.0


class TestDirectAU:
    def test_one_row_has_nobody_to_keep_away_from(self) -> None:
        """The mean over no pairs would be NaN."""
        users, items = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 0.5]])
        batch = Batch(torch.tensor([0]), torch.tensor([0]))
        assert float(LOSSES.parse("directau")(Vectors(users, items), batch)) == pytest.approx(2)

    def test_lengths_do_not_matter(self) -> None:
        users, items = vectors()
        loss, batch = LOSSES.parse("directau"), own_negatives()
        short = loss(Vectors(users * 0.01, items * 7), batch)
        torch.testing.assert_close(short, loss(Vectors(users, items), batch))


class TestSampledSoftmax:
    def test_whoever_has_met_the_whole_sample_loses_and_learns_nothing(self) -> None:
        users, items = vectors()
        one = shared_negatives()
        batch = Batch(one.users[4:], one.items[4:], one.negatives, one.log_chance, one.clash[4:])
        loss = LOSSES.parse("sampled-softmax")(Vectors(users, items), batch)
        assert float(loss.detach()) == 0
        assert all(not gradient.any() for gradient in gradients(loss, users, items))

    @pytest.mark.parametrize("sampler", ["uniform", {"name": "popularity", "exponent": 0.6}])
    def test_with_many_negatives_is_the_softmax_over_all(self, sampler: Any) -> None:
        """Everybody has one positive, so that no clash takes anything out of the sum; popularity
        never draws what nobody has met, so every item is somebody's."""
        n, m, k = 40, 12, 60_000
        users, items = vectors(1, n, m)
        positives = np.arange(n) % m
        positives[:15] = 3
        seen = Csr.from_pairs(np.arange(n), positives, n_rows=n, n_columns=m)
        source = Source(seen, seen.column_counts())
        drawn, chance = SAMPLERS.parse(sampler).sample(source, positives, k, 5)
        shared = Batch(
            torch.arange(n), torch.tensor(positives), torch.tensor(drawn), torch.tensor(chance),
            torch.tensor(drawn[None] == positives[:, None]),
        )  # fmt: skip
        full = Batch(torch.arange(n), torch.tensor(positives), owner=torch.arange(n))
        sampled = LOSSES.parse({"name": "sampled-softmax", "temperature": 0.5})
        all_items = LOSSES.parse({"name": "softmax", "temperature": 0.5})
        found, expected = (
            loss(view(users, items), batch)
            for loss, batch in ((sampled, shared), (all_items, full))
        )
        # Standard error of a row's sum: its relative spread, about 1, over sqrt(k): .4 %.
        torch.testing.assert_close(found, expected, rtol=6e-3, atol=0)
        for mine, theirs in zip(
            gradients(found, users, items), gradients(expected, users, items), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=0.02 * float(theirs.abs().max()))


class TestOptions:
    @pytest.mark.parametrize("name", list(LOSSES))
    def test_round_trip(self, name: str) -> None:
        loss = LOSSES.parse(name)
        assert isinstance(loss, Loss)
        assert LOSSES.parse(loss.to_dict()) == loss

    @pytest.mark.parametrize("name", ["bpr", "logistic", "sampled-ccl", "sampled-softmax"])
    def test_samplers_by_name_and_how_many_are_drawn(self, name: str) -> None:
        given = {"name": name, "sampler": {"name": "popularity", "exponent": 0.5}, "negatives": 3}
        loss = LOSSES.parse(given)
        assert loss.drawing is not None
        sampler, k = loss.drawing
        assert sampler.to_dict() == {"name": "popularity", "exponent": 0.5, "reject": False}
        assert k == 3
        assert LOSSES.parse(loss.to_dict()) == loss

    @pytest.mark.parametrize("name", ["softmax", "directau"])
    def test_two_draw_nothing(self, name: str) -> None:
        assert LOSSES.parse(name).drawing is None

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"name": "bpr", "negatives": 0}, "loss.negatives: .*greater than or equal to 1, got"),
            ({"name": "sampled-softmax", "negatives": 0}, "greater than or equal to 1, got 0"),
            ({"name": "softmax", "temperature": 0}, "loss.temperature: .*greater than 0, got 0"),
            ({"name": "sampled-softmax", "temperature": -1}, "greater than 0, got -1"),
            ({"name": "softmax", "weight": "none"}, "loss.weight: .*'interactions' or 'equal'"),
            ({"name": "softmax", "negatives": 5}, "unknown key loss.negatives"),
            ({"name": "sampled-ccl", "margin": 1}, "less than 1, got 1"),
            ({"name": "sampled-ccl", "weight": 0}, "greater than 0, got 0"),
            ({"name": "directau", "gamma": float("nan")}, "got nan"),
            ({"name": "directau", "pairs": 1}, "greater than or equal to 2, got 1"),
            ({"name": "bpr", "sampler": "hardest"}, "unknown sampler 'hardest'.*uniform"),
            ({"name": "softmx"}, "unknown loss 'softmx'.*Did you mean softmax"),
        ],
    )
    def test_bad_options(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(RecipeError, match=words):
            LOSSES.parse(options)
