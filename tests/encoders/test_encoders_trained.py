"""What every trained encoder promises, over the registries of encoders and of bucket methods."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hashrec.bucketing import METHODS, Buckets
from hashrec.csr import Csr
from hashrec.encoders import ENCODERS, Encoding, Spectral, TrainedEncoder
from hashrec.errors import DataError, RecipeError
from hashrec.graph import BipartiteOperator
from hashrec.interactions import planted
from hashrec.learning import Source, Table, Task, Training
from hashrec.training.batches import Batches

LOG = planted(300, 200, communities=6, degree=12, noise=0.1, seed=0).interactions
DIM = 8
TRAINED = [name for name in ENCODERS if issubclass(ENCODERS[name], TrainedEncoder)]
# Those that look at side features, which a table has none of.
WITH_FEATURES = {"lsh"}
TABLED = [name for name in METHODS if name not in WITH_FEATURES]
random = np.random.default_rng(0)
FEATURES = {
    "user": random.normal(size=(300, 3)).astype(np.float32),
    "item": random.normal(size=(200, 5)).astype(np.float32),
}

every_encoder = pytest.mark.parametrize("name", TRAINED)
every_start = pytest.mark.parametrize("start", ["spectral", "normal"])


def encoder_of(name: str, **options: Any) -> TrainedEncoder:
    small = {"hidden": [6]} if name in ("neumf", "two-tower") else {}
    made = ENCODERS.parse({"name": name, "dim": DIM, **small, **options})
    assert isinstance(made, TrainedEncoder)
    return made


def training_of(name: str, **options: Any) -> Training:
    loss = "bpr" if name == "neumf" else "softmax"
    return Training(**{"loss": loss, "epochs": 2, "valid": 0, "batch": 500, **options})


def table_of(method: str) -> Table:
    return Table(method=method, rows=0.5 if METHODS[method]().needs_rows else None)


def task_of(name: str, method: str = "full", log: Any = LOG, **options: Any) -> Task:
    beside = {key: options.pop(key) for key in ("features", "seed", "table") if key in options}
    given = {"table": table_of(method), **beside}
    return Task(log, training=training_of(name, **options), **given)


@cache
def buckets_of(method: str) -> Buckets:
    return table_of(method).buckets(LOG, DIM, 0)


def bits(found: Encoding) -> tuple[bytes, bytes]:
    return found.users.tobytes(), found.items.tobytes()


class TestContract:
    @pytest.mark.parametrize("method", TABLED)
    @every_encoder
    def test_vectors_facts_and_the_same_bytes_again(self, name: str, method: str) -> None:
        encoder, task = encoder_of(name), task_of(name, method)
        found = encoder.fit(task)
        for side, n in ((found.users, 300), (found.items, 200)):
            assert side.dtype == np.float32
            assert side.shape == (n, found.items.shape[1])
            assert np.isfinite(side).all()
            assert side.any(axis=1).all()
        assert found.fold_in is not None
        made = buckets_of(method)
        assert found.facts["table_rows"] == made.rows
        assert found.facts["buckets"] == made.fingerprint()
        assert found.facts["epochs"] == 2
        assert bits(encoder.fit(task)) == bits(found)

    @pytest.mark.parametrize("method", TABLED)
    @every_encoder
    def test_gradients_reach_the_rows_of_both_tables(self, name: str, method: str) -> None:
        """Every row of every user of the batch, and of every positive; with draws, nearly: a
        negative in the rows of its positive undoes it."""
        made, task = buckets_of(method), task_of(name, method)
        module = encoder_of(name, start="normal").build(task, LOG, made)
        source = Source(LOG.matrix, LOG.matrix.column_counts())
        batches = Batches(source, task.training.loss, 0, 20)
        batch = batches.batch(batches.order(0), 0, 0)
        view = module()
        view.precision = torch.float32
        task.training.loss(view, batch).backward()
        for table, side, positions in (
            (module.user_table, made.users, batch.users),
            (module.item_table, made.items, batch.items),
        ):
            rows = np.unique(side.buckets[positions.numpy()])
            weights = side.weights
            if weights is not None:  # a row that counts nothing learns nothing
                picked = side.buckets[positions.numpy()][weights[positions.numpy()] != 0]
                rows = np.unique(picked)
            reached = table.weight.grad[rows].any(1).float().mean()
            assert reached == 1 if task.training.loss.name == "softmax" else reached > 0.9

    @every_encoder
    def test_another_seed_gives_other_bytes(self, name: str) -> None:
        one, other = (encoder_of(name).fit(task_of(name, seed=seed)) for seed in (0, 1))
        assert bits(one)[0] != bits(other)[0]
        assert bits(one)[1] != bits(other)[1]

    @every_encoder
    def test_round_trip(self, name: str) -> None:
        encoder = encoder_of(name, start="normal", scale=0.5)
        assert ENCODERS.parse(encoder.to_dict()) == encoder

    @pytest.mark.parametrize(
        "loss", ["softmax", "sampled-softmax", "directau", "sampled-ccl", "logistic"]
    )
    @every_encoder
    def test_losses(self, name: str, loss: str) -> None:
        """The losses an encoder cannot serve are refused by name."""
        task = task_of(name, "modulo", loss=loss, epochs=1)
        if name == "neumf" and task.training.loss.bilinear:
            words = (
                rf"training.loss: loss {loss} needs dot products and neumf has none; "
                "expected bpr or logistic"
            )
            with pytest.raises(RecipeError, match=words):
                encoder_of(name).fit(task)
            return
        found = encoder_of(name).fit(task)
        assert np.isfinite(found.users).all() and np.isfinite(found.items).all()

    @every_encoder
    def test_the_table_is_within_a_budget_in_bytes(self, name: str) -> None:
        """Bug: neumf's tables hold two vectors of `dim` an id, and took twice the bytes asked."""
        task = task_of(name, table=Table(method="modulo", rows="4KB"))
        module = encoder_of(name).build(
            task, LOG, task.table.buckets(LOG, encoder_of(name).width, 0)
        )
        tables = sum(table.table_bytes for table in (module.user_table, module.item_table))
        assert 3_900 < tables <= 4_000
        fitted = encoder_of(name).fit(task)
        assert fitted.facts["table_rows"] == module.table_rows


class TestStarts:
    def directions(self, dim: int = DIM) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Spectral vectors at length 0.1 * sqrt(dim)."""
        found = Spectral(dim=dim).encode(LOG.matrix, np.random.default_rng(0))
        sides = []
        for side in (found.users, found.items):
            lengths = np.linalg.norm(side, axis=1, keepdims=True)
            sides.append(np.where(lengths > 0, side / np.maximum(lengths, 1e-30), np.nan))
        return sides[0] * 0.1 * dim**0.5, sides[1] * 0.1 * dim**0.5

    @pytest.mark.parametrize("name", ["mf", "lightgcn", "two-tower"])
    def test_spectral_begins_at_the_nearest_rows(self, name: str) -> None:
        """Of ids that share a row, at the mean of theirs; whoever has no edges is noise."""
        task = task_of(name, "modulo")
        made = buckets_of("modulo")
        module = encoder_of(name).build(task, LOG, made)
        pairs = zip(
            (module.user_table, module.item_table), (made.users, made.items), self.directions(),
            strict=True,
        )  # fmt: skip
        for table, side, full in pairs:
            for row in range(side.rows):
                expected = full[side.buckets[:, 0] == row].mean(0)
                if np.isfinite(expected).all():
                    found = table.weight[row].detach().numpy()
                    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)

    @every_encoder
    def test_a_full_spectral_table_has_rows_of_one_length(self, name: str) -> None:
        module = encoder_of(name, scale=0.2).build(task_of(name), LOG, buckets_of("full"))
        edges = LOG.matrix.column_counts() > 0
        lengths = module.item_table.weight.detach().norm(dim=1).numpy()[edges]
        np.testing.assert_allclose(lengths, 0.2 * encoder_of(name).width ** 0.5, rtol=1e-5)

    @every_encoder
    def test_normal_is_noise_of_the_scale(self, name: str) -> None:
        encoder = encoder_of(name, start="normal", scale=0.3)
        module = encoder.build(task_of(name), LOG, buckets_of("full"))
        for table in (module.user_table, module.item_table):
            weight = table.weight.detach().numpy()
            assert weight.shape[1] == encoder.width
            assert weight.std() == pytest.approx(0.3, rel=0.1)
            assert abs(weight.mean()) < 0.05

    def test_where_data_have_fewer_dimensions_the_others_are_noise(self) -> None:
        log = planted(40, 5, communities=1, degree=3, noise=0, seed=0).interactions
        module = encoder_of("mf").build(task_of("mf", log=log), log, Table().buckets(log, DIM, 0))
        users = module.user_table.weight.detach().numpy()
        np.testing.assert_allclose(np.linalg.norm(users[:, :5], axis=1), 0.1 * 5**0.5, rtol=1e-5)
        assert users[:, 5:].std() == pytest.approx(0.1, rel=0.3)

    def test_dimensions_beyond_the_rank_are_noise_and_learn(self) -> None:
        """Bug: two blocks, each user of which has met all its items, have rank 2, and the other
        columns were zero on both sides: a dot product has no slope there."""
        log = planted(40, 30, communities=1, degree=3, noise=0, seed=0).interactions
        rows = [list(range(user % 2, 30, 2)) for user in range(40)]
        log = log.with_matrix(Csr.from_lists(rows, n_columns=30))
        task = task_of("mf", log=log, loss="bpr", precision="float32")
        module = encoder_of("mf").build(task, log, Table().buckets(log, DIM, 0))
        batches = Batches(Source(log.matrix, log.matrix.column_counts()), task.training.loss, 0)
        task.training.loss(module(), batches.batch(batches.order(0), 0, 0)).backward()
        for table in (module.user_table, module.item_table):
            weight = table.weight.detach().numpy()
            lengths = np.linalg.norm(weight[:, :2], axis=1)
            np.testing.assert_allclose(lengths, 0.1 * 2**0.5, rtol=1e-4)
            assert weight[:, 2:].std(axis=0) == pytest.approx(np.full(DIM - 2, 0.1), rel=0.5)
            assert table.weight.grad.any(0).all()

    @pytest.mark.parametrize("name", ["mf", "lightgcn", "two-tower"])
    def test_ids_without_edges_do_not_swamp_what_all_share(self, name: str) -> None:
        """Bug: they started at zero, where a cosine has a slope of 1e12: the layers of a tower,
        which all ids share, got gradients of 1e7 from one item and stood still ever after."""
        matrix = LOG.matrix
        cold = matrix.column_counts() == 0
        assert cold.any()
        features = FEATURES if name == "two-tower" else {}
        task = task_of(name, features=features, precision="float32")
        module = encoder_of(name).build(task, LOG, buckets_of("full"))
        batches = Batches(Source(matrix, matrix.column_counts()), task.training.loss, 0)
        task.training.loss(module(), batches.batch(batches.order(0), 0, 0)).backward()
        for one in module.parameters():
            assert float(one.grad.abs().max()) < 100

    @every_start
    def test_both_learn_the_communities(self, start: str) -> None:
        made = planted(300, 200, communities=6, degree=12, noise=0.1, seed=0)
        task = task_of("mf", epochs=20, batch=100, learning_rate=0.05)
        found = encoder_of("mf", start=start).fit(task)
        best = np.argsort(-(found.users @ found.items.T), axis=1)[:, :5]
        same = made.item_communities[best] == made.user_communities[:, None]
        assert same.mean() > 0.9


class TestLightGcn:
    def test_vectors_are_the_weighted_layers(self) -> None:
        weights = (0.5, 0.2, 0.3)
        encoder = encoder_of("lightgcn", layers=2, layer_weights=weights)
        module = encoder.build(task_of("lightgcn"), LOG, buckets_of("full"))
        operator = BipartiteOperator.normalised(LOG.matrix)
        users, items = (
            table.weight.detach().numpy() for table in (module.user_table, module.item_table)
        )
        expected = weights[0] * users, weights[0] * items
        for weight in weights[1:]:
            users, items = operator.to_users(items), operator.to_items(users)
            expected = expected[0] + weight * users, expected[1] + weight * items
        for mine, theirs in zip(module.export(), expected, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-5, atol=1e-6)

    def test_by_default_layers_weigh_alike(self) -> None:
        even = encoder_of("lightgcn", layers=3, layer_weights=(0.25,) * 4)
        task = task_of("lightgcn")
        assert bits(encoder_of("lightgcn", layers=3).fit(task)) == bits(even.fit(task))

    def test_without_layers_it_is_mf(self) -> None:
        task = task_of("lightgcn", "modulo")
        assert bits(encoder_of("lightgcn", layers=0).fit(task)) == bits(encoder_of("mf").fit(task))

    def test_side_by_side_vectors_are_as_long_as_all_layers(self) -> None:
        found = encoder_of("lightgcn", layers=3, concatenate=True).fit(task_of("lightgcn"))
        assert found.users.shape == (300, 4 * DIM)
        assert found.items.shape == (200, 4 * DIM)

    @pytest.mark.parametrize("weights", [[], [1.0], [0.5] * 4])
    def test_weights_of_another_number_of_layers(self, weights: list[float]) -> None:
        words = "encoder: .*layer_weights must be 3, one for layer 0 and each above it"
        with pytest.raises(RecipeError, match=words):
            ENCODERS.parse({"name": "lightgcn", "layers": 2, "layer_weights": weights})


class TestNeuMf:
    def test_the_score_is_the_formula(self) -> None:
        """h . [p * q ; MLP([p' ; q'])], pair by pair in numpy."""
        encoder = encoder_of("neumf", hidden=[5, 4], start="normal")
        module = encoder.build(task_of("neumf"), LOG, buckets_of("full"))
        state = {name: one.detach().numpy() for name, one in module.named_parameters()}
        found = module.score(module.user_table.full()[:4, None], module.item_table.full()[:6])
        found = found.detach()
        assert found.shape == (4, 6)
        for user in range(4):
            for item in range(6):
                mine, theirs = state["user_table.weight"][user], state["item_table.weight"][item]
                deep = np.concatenate([mine[DIM:], theirs[DIM:]])
                for layer in (0, 1):
                    raw = state[f"layers.{layer}.weight"] @ deep + state[f"layers.{layer}.bias"]
                    deep = np.maximum(raw, 0)
                both = np.concatenate([mine[:DIM] * theirs[:DIM], deep])
                score = state["head.weight"][0] @ both + state["head.bias"][0]
                assert float(found[user, item]) == pytest.approx(float(score), abs=1e-5)

    @pytest.mark.parametrize("rank", [4, 12, 500])
    def test_what_is_served_is_the_nearest_score_of_its_rank(self, rank: int) -> None:
        """Against the truncated SVD of all scores, to a per cent of what it leaves over."""
        encoder = encoder_of("neumf", rank=rank, hidden=[20], start="normal", scale=1.0)
        module = encoder.build(task_of("neumf"), LOG, buckets_of("full"))
        scores = module.score(module.user_table.full()[:, None], module.item_table.full())
        users, items = module.export()
        assert users.shape == (300, min(rank, 200))
        left = np.linalg.svd(scores.detach().double().numpy())[1][rank:]
        best = float(np.sqrt((left**2).sum()))
        error = float((scores.detach() - users @ items.T).norm())
        assert error <= 1.15 * best + 1e-3 * float(scores.detach().norm())

    def test_blocks_of_scores_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from hashrec.training import neu_mf

        module = encoder_of("neumf").build(task_of("neumf"), LOG, buckets_of("full"))
        whole = module.export()
        monkeypatch.setattr(neu_mf, "_PAIRS", 200 * 7 + 3)
        for one, other in zip(whole, module.export(), strict=True):
            torch.testing.assert_close(one @ one.T, other @ other.T, rtol=1e-3, atol=1e-4)


class TestTwoTower:
    def test_training_begins_at_the_tables(self) -> None:
        task = task_of("two-tower", features=FEATURES)
        module = encoder_of("two-tower").build(task, LOG, buckets_of("full"))
        users, items = module.export()
        assert torch.equal(users, module.user_table.weight)
        assert torch.equal(items, module.item_table.weight)

    @pytest.mark.parametrize("sides", [(), ("user",), ("item",), ("user", "item")])
    def test_features_of_neither_of_one_and_of_both(self, sides: tuple[str, ...]) -> None:
        features = {side: FEATURES[side] for side in sides}
        found = encoder_of("two-tower").fit(task_of("two-tower", features=features))
        without = encoder_of("two-tower").fit(task_of("two-tower"))
        assert (bits(found) == bits(without)) is (not sides)

    def test_a_tower_is_the_formula(self) -> None:
        """x + W2 relu(W1 [x ; features] + b1) + b2, after some steps, for ids in any order."""
        task = task_of("two-tower", features=FEATURES)
        module = encoder_of("two-tower").build(task, LOG, buckets_of("full"))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for one in module.parameters():
                one.normal_(generator=generator)
        state = {name: one.detach().numpy() for name, one in module.named_parameters()}
        found = module().items(torch.tensor([[7, 0], [199, 7]])).detach().numpy()
        for place, item in (((0, 0), 7), ((0, 1), 0), ((1, 0), 199), ((1, 1), 7)):
            x = state["item_table.weight"][item]
            deep = np.concatenate([x, FEATURES["item"][item]])
            deep = state["item_tower.layers.0.weight"] @ deep + state["item_tower.layers.0.bias"]
            deep = state["item_tower.layers.1.weight"] @ np.maximum(deep, 0)
            expected = x + deep + state["item_tower.layers.1.bias"]
            np.testing.assert_allclose(found[place], expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize(
        ("side", "features", "words"),
        [
            ("user", np.ones((299, 2)), r"user features of another number of users; expected 300 "
             r"rows; got \(299, 2\)"),
            ("item", np.ones(200), r"item features of another number of items.*got \(200,\)"),
            ("item", np.where(np.arange(400).reshape(200, 2) < 3, np.nan, 1),
             "item features that are no numbers; got 3 missing or infinite. Fill them in"),
            ("user", np.full((300, 1), np.inf), "user features that are no numbers; got 300"),
        ],
    )  # fmt: skip
    def test_bad_features(self, side: str, features: Any, words: str) -> None:
        with pytest.raises(DataError, match=words):
            encoder_of("two-tower").fit(task_of("two-tower", features={side: features}))


def test_spectral_has_no_table_to_compress() -> None:
    task = Task(LOG, table=Table(method="modulo", rows=0.5))
    words = "table: the spectral encoder has no table to compress; got table.method=modulo"
    with pytest.raises(RecipeError, match=words):
        Spectral(dim=4).fit(task)
    assert Spectral(dim=4).fit(replace(task, table=Table())).users.shape == (300, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "mf", "dim": 0}, "encoder.dim: .*greater than or equal to 1, got 0"),
        ({"name": "mf", "start": "zeros"}, "encoder.start: .*'spectral' or 'normal'"),
        ({"name": "mf", "scale": 0}, "encoder.scale: .*greater than 0, got 0"),
        ({"name": "lightgcn", "layers": -1}, "greater than or equal to 0, got -1"),
        ({"name": "lightgcn", "layers": 1, "layer_weights": [1, float("nan")]}, "got nan"),
        ({"name": "neumf", "hidden": [0]}, "greater than or equal to 1, got 0"),
        ({"name": "neumf", "rank": 0}, "greater than or equal to 1, got 0"),
        ({"name": "two-tower", "layers": 2}, "unknown key encoder.layers"),
    ],
)
def test_bad_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        ENCODERS.parse(options)


def test_without_torch_it_says_what_to_install() -> None:
    """In a new process that cannot import torch: recipes can be made, and none can be trained."""
    names = " ".join(TRAINED)
    code = (
        "import sys\nsys.modules['torch'] = None\nimport hashrec as hr\n"
        "from hashrec.encoders import ENCODERS\nfrom hashrec.learning import LOSSES, Task\n"
        "for loss in LOSSES: LOSSES.parse(loss)\n"
        "log = hr.planted(20, 20, communities=2, degree=3, noise=0.1, seed=0).interactions\n"
        f"for name in {names!r}.split():\n"
        "    try:\n        ENCODERS.parse(name).fit(Task(log))\n"
        "    except hr.HashrecError as e:\n        print(f'{type(e).__name__}: {e}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message = "MissingExtraError: torch is not installed. Run pip install 'hashrec[train]'."
    assert done.stdout.splitlines() == [message] * len(TRAINED)
