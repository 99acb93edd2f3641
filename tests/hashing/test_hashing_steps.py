"""What the parts of learned codes do in a step and between epochs, by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hashing_cases import DIM, TRAIN, options, recipe
from torch.nn.functional import normalize, softplus

from hashrec.encoders import Encoding
from hashrec.hashing import BgchCodes, HashGnnCodes, HqCodes, hessian_aware
from hashrec.hashing.centred import Centred
from hashrec.hashing.coded import CodedModule
from hashrec.hashing.distilled import Distilled, best_lists
from hashrec.hashing.estimators import SLOPES
from hashrec.hashing.hash_layer import DispersedLayer, GuidedLayer, dispersed_module, share_of_codes
from hashrec.hashing.hash_mlp import HashMlp
from hashrec.hashing.hessian_aware import HessianAware
from hashrec.hashing.quantisers import BOUNDS, Plain, Uniform, size_of
from hashrec.learning import LOSSES, Batch, Source, Task
from hashrec.recommender import Recommender
from hashrec.training.backbone import Backbone, Vectors
from hashrec.training.batches import Batches

SEEN = TRAIN.matrix
MET = {(u, int(i)) for u in range(SEEN.n_rows) for i in SEEN.row(u)}


class Fixed(Backbone):
    """Vectors that are given."""

    def __init__(self, users: Any, items: Any) -> None:
        super().__init__()
        self.shown = users, items
        self.user_table = self.item_table = None  # type: ignore[assignment]

    def forward(self) -> Any:
        return Vectors(*self.shown)

    def export(self) -> Any:
        return self.shown


def fixed(seed: int = 0) -> Fixed:
    rng = torch.Generator().manual_seed(seed)
    sizes = TRAIN.n_users, TRAIN.n_items
    users, items = (torch.randn(n, DIM, generator=rng) + 0.3 for n in sizes)
    return Fixed(users, items)


def batches(loss: str = "softmax", wanted: int | None = 32, seed: int = 0) -> Batches:
    return Batches(Source(SEEN, SEEN.column_counts()), LOSSES.parse(loss), seed, wanted)


def first(loss: str = "softmax", seed: int = 0) -> Batch:
    made = batches(loss, seed=seed)
    return made.batch(made.order(0), 0, 0)


class TestGradientsOfAQuantiser:
    X = torch.tensor([[-4.0, -1.2, -0.5, -0.01], [0.02, 0.7, 1.3, 9.0]])
    G = torch.tensor([[1.0, -2.0, 0.5, 3.0], [-1.0, 0.25, 2.0, -1.0]])

    def found(self, side: Uniform) -> Any:
        x = self.X.clone().requires_grad_(True)
        side(x).backward(self.G)
        return x.grad

    @pytest.mark.parametrize("bits", [1, 2, 4])
    def test_scaled(self, bits: int) -> None:
        """g bound / reach (1 + delta sign(g) (x_n - x_q)) within reach, x_n and x_q in [0, 1]; 0
        beyond. At one bit the reach is three standard deviations."""
        side = Uniform(bits, "table", "scaled", self.X)
        side.delta.fill_(0.7)
        bound = 0.9
        side.log_bound.data.fill_(math.log(bound))
        reach = 3 * bound / BOUNDS[0] if bits == 1 else bound
        x_n = (self.X / reach).clamp(-1, 1) / 2 + 0.5
        x_q = torch.from_numpy(side.codes(self.X).levels() / side.top / 2 + 0.5)
        expected = self.G * (1 + 0.7 * self.G.sign() * (x_n - x_q)) * bound / reach
        expected[self.X.abs() > reach] = 0
        assert (expected == 0).sum() >= 1 and (expected != 0).sum() >= 4
        assert torch.allclose(self.found(side), expected.float(), atol=1e-6)

    @pytest.mark.parametrize("bits", [1, 2, 4])
    def test_slopes_are_of_usual_sizes(self, bits: int) -> None:
        """A number of the usual size is 1 to an estimator, however many bits there are."""
        side = Uniform(bits, "table", "clipped", self.X)
        usual = self.X / self.X.square().mean().sqrt()
        expected = torch.where(usual.abs() <= 1, self.G, 0)
        assert 0 < int((expected != 0).sum()) < 8
        assert torch.allclose(self.found(side), expected, atol=1e-6)


def test_at_one_bit_the_least_below_zero_is_below_zero() -> None:
    """Bug: x / u + 1 rounded to 1, so tiny negatives went up."""
    x = torch.tensor([[-1e-9, 1e-9, -0.0, 0.0, -5.0, 5.0, -1e-40, 1e-40]])
    side = Uniform(1, "row", "clipped", x)
    assert side.codes(x).levels().tolist() == [[-1, 1, 1, 1, -1, 1, -1, 1]]
    assert torch.equal(side(x), side.bound(x) * torch.where(x >= 0, 1.0, -1.0))


def test_annealing_goes_from_one_to_a_hundred() -> None:
    inner = fixed()
    sides = [Uniform(1, "row", "tanh", x) for x in inner.export()]
    module = CodedModule(inner, *sides)
    found = []
    for epoch in range(5):
        module.refresh(epoch, 5, batches())
        assert sides[0].sharpness == sides[1].sharpness
        found.append(sides[0].sharpness)
    assert found == pytest.approx([1, 100**0.25, 10, 100**0.75, 100])


def test_every_epoch_is_told_its_number_and_a_rate_along_a_cosine(
    encodings: dict[str, Encoding], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    rates: list[float] = []

    def refresh(self: Any, epoch: int, epochs: int, batches: Batches) -> None:
        told.append((epoch, epochs))

    def listen(event: Mapping[str, Any]) -> None:
        rates.append(event["rate"])

    monkeypatch.setattr(CodedModule, "refresh", refresh)
    model = Recommender(recipe("mf", {"name": "ste", "epochs": 4, "learning_rate": 0.02}))
    model.code(TRAIN, encodings["mf"], listeners=[listen])
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4)]
    # One step an epoch: the rate of its only one.
    expected = [0.01 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]
    assert rates == pytest.approx(expected)


def test_the_centre_is_of_vectors_at_the_length_at_which_they_are_compared() -> None:
    inner = fixed()
    items = inner.export()[1]
    items *= torch.linspace(0.1, 20, len(items))[:, None]
    unit, plain = Centred(inner, unit=True), Centred(inner, unit=False)
    assert torch.allclose(unit.centre, normalize(items, dim=1).mean(0))
    assert torch.allclose(plain.centre, items.mean(0))
    assert float(unit.export()[1].mean(0).abs().max()) < 1e-6


class TestHashGnn:
    def module(self, seed: int = 0, **more: Any) -> Any:
        coder = HashGnnCodes.model_validate({"dim": DIM, **more})
        return coder.build(fixed(), Task(TRAIN, seed))

    @pytest.mark.parametrize(
        ("guidance", "epochs", "expected"),
        [
            (0.8, 5, [0, 0.25, 0.5, 0.75, 1]),
            (0.5, 4, [0, 0.5, 1, 1]),
            (0.0, 3, [1, 1, 1]),
            (0.8, 1, [1]),
            (1.0, 1, [1]),
            (1.0, 4, [0, 0.25, 0.5, 1]),
            (0.8, 2, [0, 1]),
        ],
    )
    def test_shares(self, guidance: float, epochs: int, expected: list[float]) -> None:
        """Bug: the first epoch had no code whatever `guidance` was, a lone one as well."""
        module = self.module(guidance=guidance)
        found = []
        for epoch in range(epochs):
            module.refresh(epoch, epochs, batches())
            assert module.user_side.share == module.item_side.share
            found.append(module.item_side.share)
        assert found == pytest.approx(expected)
        assert found == [share_of_codes(epoch, epochs, guidance) for epoch in range(epochs)]

    def test_draws_are_those_of_the_epoch(self) -> None:
        """Of the seed and the epoch alone, and each side has its own."""

        def drawn(module: Any, epoch: int) -> list[float]:
            module.refresh(epoch, 9, batches())
            generators = [module.user_side.generator, module.item_side.generator, module.generator]
            return [float(torch.rand((), generator=one)) for one in generators]

        module = self.module()
        found = [drawn(module, 3), drawn(module, 4), drawn(self.module(seed=1), 3)]
        assert len({number for three in found for number in three}) == 9
        assert drawn(self.module(), 3) == found[0] == drawn(module, 3)

    @pytest.mark.parametrize("loss", ["softmax", "bpr"])
    def test_negatives_are_no_edges(self, loss: str) -> None:
        """Bug: they were the next row's items, in a batch that is sorted by user: mostly edges."""
        module, batch = self.module(), first(loss)
        module.refresh(2, 9, batches())
        users = batch.users if batch.owner is None else batch.users[batch.owner]
        orders = []
        for _ in range(3):
            others, none = module.strangers(users, batch.items)
            assert sorted(others.tolist()) == sorted(batch.items.tolist())
            pairs = list(zip(users.tolist(), others.tolist(), strict=True))
            assert none.tolist() == [pair not in MET for pair in pairs]
            assert float(none.double().mean()) > 0.7
            orders.append(others.tolist())
        assert len({tuple(order) for order in orders}) == 3  # another at every step
        module.refresh(2, 9, batches())
        assert module.strangers(users, batch.items)[0].tolist() == orders[0]

    @pytest.mark.parametrize("loss", ["softmax", "bpr"])
    def test_the_reconstruction(self, loss: str) -> None:
        module, batch = self.module(reconstruction=0.3).eval(), first(loss)
        users = batch.users if batch.owner is None else batch.users[batch.owner]
        module.refresh(0, 9, batches())
        others, none = module.strangers(users, batch.items)
        module.refresh(0, 9, batches())
        found = float(module().extra(batch).detach())
        user_codes, item_codes = (side.detach().numpy() for side in module.export())

        def score(items: Any) -> Any:
            pairs = (user_codes[users] * item_codes[items]).sum(1)
            return torch.from_numpy(pairs.astype(np.float64)) / math.sqrt(DIM)

        edges = softplus(-score(batch.items)).mean()
        apart = softplus(score(others))[none].mean()
        assert found == pytest.approx(0.3 * float(edges + apart) / 2, rel=1e-5)

    def test_without_weight_there_is_none(self) -> None:
        assert self.module(reconstruction=0)().extra(first()) == 0.0

    def test_users_who_have_met_all(self) -> None:
        """No pair is none, and nothing is divided by nothing."""
        module = self.module()
        module.met = torch.arange(TRAIN.n_users * TRAIN.n_items)
        assert math.isfinite(float(module().extra(first()).detach()))

    def test_guidance_reaches_training(self, encodings: dict[str, Encoding]) -> None:
        """Rows of continuous numbers, not codes alone nor none: both ends differ from it."""
        found = {}
        for guidance in (0.0, 0.8):
            codes = options("hashgnn", guidance=guidance, epochs=3, users="float")
            model = Recommender(recipe("mf", codes)).code(TRAIN, encodings["mf"])
            assert model.fitted.user_codes is not None
            found[guidance] = model.fitted.user_codes.data.tobytes()
        assert found[0.0] != found[0.8]

    def test_a_share_of_rows(self) -> None:
        side = GuidedLayer(torch.eye(DIM), 1.0)
        x = fixed().export()[0]
        side.share = 0.0
        assert torch.equal(side(x), side.continuous(x))
        side.share = 1.0
        assert torch.equal(side(x).abs(), torch.ones_like(x))


class TestBgch:
    def test_the_direction_is_looked_for_before_each_epoch(self) -> None:
        inner = fixed()
        module = dispersed_module(inner, BgchCodes(), 0)
        for scale in (0.0, 5.0):
            inner.export()[1][:, 2] += scale
            module.refresh(0, 3, batches())
            for side, x in zip((module.user_side, module.item_side), inner.export(), strict=True):
                assert isinstance(side, DispersedLayer)
                strongest = torch.linalg.svd(x)[2][0]
                assert abs(float(side.v @ strongest)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("estimator", list(SLOPES))
def test_a_hash_network_heeds_its_estimator(estimator: str) -> None:
    side = HashMlp(torch.eye(DIM), 4, estimator, torch.Generator().manual_seed(0))
    x = fixed().export()[1].clone().requires_grad_(True)
    side(x).sum().backward()
    usual = (x / size_of(x)).detach()  # the network starts as the matrix it is given
    assert torch.allclose(x.grad, SLOPES[estimator](usual), atol=1e-5)


class TestDistilled:
    def test_lists_are_the_best_unseen_by_cosine(self) -> None:
        """By numpy, user by user."""
        users, items = fixed(3).export()
        found = best_lists(users, items, SEEN, 7).numpy()
        unit = [(x / x.norm(dim=1, keepdim=True)).double().numpy() for x in (users, items)]
        for user, scores in enumerate(unit[0] @ unit[1].T):
            scores[SEEN.row(user)] = -np.inf
            assert found[user].tolist() == np.argsort(-scores)[:7].tolist()

    def test_lists_end_where_nothing_is_unseen(self) -> None:
        users, items = fixed(3).export()
        found = best_lists(users, items, SEEN, TRAIN.n_items).numpy()
        unseen = TRAIN.n_items - SEEN.lengths
        assert ((found >= 0).sum(1) == unseen).all()
        assert (found[np.arange(len(found)), unseen] == -1).all()

    def test_what_is_added(self) -> None:
        """weight * mean over users and places of exp(-rank / 10) softplus(-10 cos)."""
        inner, k, weight = fixed(4), 6, 0.4
        module = Distilled(inner, Plain(), Plain(), Task(TRAIN), weight, k)
        batch = first()
        users, items = (normalize(side, dim=1).double() for side in inner.export())
        total = 0.0
        for user in batch.users.tolist():
            for rank, item in enumerate(module.lists[user].tolist(), start=1):
                cosine = float(users[user] @ items[item])
                total += math.exp(-rank / 10) * math.log1p(math.exp(-10 * cosine))
        expected = weight * total / (k * len(batch.users))
        assert expected > 0.001
        assert float(module().extra(batch).detach()) == pytest.approx(expected, rel=1e-4)


class TestHessianAware:
    def test_delta_is_found_anew_every_few_epochs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = iter(range(1, 100))
        monkeypatch.setattr(hessian_aware, "delta_of", lambda *given: float(next(found)))
        module = HessianAware(fixed(), HqCodes(refresh=3, rotate=False), 0)
        seen = []
        for epoch in range(7):
            module.refresh(epoch, 7, batches())
            seen.append((float(module.user_side.delta), float(module.item_side.delta)))
        assert seen == [(1, 2)] * 3 + [(3, 4)] * 3 + [(5, 6)]

    @pytest.mark.parametrize("loss", ["softmax", "bpr"])
    def test_probes_are_of_batches_that_no_step_sees(self, loss: str) -> None:
        module = HessianAware(fixed(), HqCodes(rotate=False), 0)
        training = batches(loss, 16)
        step = training.batch(training.order(0), 0, 0).users.tolist()
        probed = [module._batch(training, 0, number).users.tolist() for number in range(3)]
        assert len({tuple(users) for users in (step, *probed)}) == 4
        assert all(len(users) == 16 for users in probed)
