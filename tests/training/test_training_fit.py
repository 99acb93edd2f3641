"""From a task to vectors: epochs chosen on a part, learned anew from all, and kills in between."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
import torch
from training_cases import LOG, SMALL, batches_of, interactions_of

from hashrec.encoders import ENCODERS, Encoding
from hashrec.errors import DataError, ModelError, OutputError, RecipeError, UsageError
from hashrec.interactions import Ids, Interactions, UserSplit
from hashrec.learning import Table, Task, Training
from hashrec.training import HashedEmbedding, everything, loop
from hashrec.training.memory import estimate_mb
from hashrec.watching import hardest, watcher
from hashrec.workflow import union

QUICK: dict[str, Any] = {
    "loss": {"name": "bpr"}, "epochs": 4, "every": 1, "batch": 60, "valid": 0.2,
    "precision": "float32",
}  # fmt: skip


def task_of(log: Interactions = SMALL, **more: Any) -> Task:
    options = {key: more.pop(key) for key in list(more) if key in Training.model_fields}
    training = Training(**{**QUICK, **options})
    return Task(log, training=training, **{"watcher": watcher(0), "finder": hardest, **more})


def fit(task: Task, encoder: str = "mf", **options: Any) -> Encoding:
    return ENCODERS.parse({"name": encoder, "dim": 8, "start": "normal", **options}).fit(task)


def bits(found: Encoding) -> tuple[bytes, bytes]:
    return found.users.tobytes(), found.items.tobytes()


def recalls(values: list[float]) -> Any:
    """A watcher that measures what the script says."""
    left = iter(values)
    return lambda train, valid: lambda users, items: {"recall@20": next(left), "ndcg@20": 0.0}


class TestChoosing:
    def test_refit_runs_exactly_the_best_epochs_on_everything(self) -> None:
        told: list[Any] = []
        task = task_of(watcher=recalls([0.1, 0.3, 0.2, 0.1]), listeners=(told.append,))
        found = fit(task)
        starts = [event for event in told if event["event"] == "start"]
        epochs = [(one["part"], one["epoch"]) for one in told if one["event"] == "epoch"]
        assert epochs == [*(("choose", n) for n in (1, 2, 3, 4)), ("all", 1), ("all", 2)]
        part, _ = SMALL.split(UserSplit(test=0.2, seed=0))
        assert [event["interactions"] for event in starts] == [
            part.n_interactions, SMALL.n_interactions,
        ]  # fmt: skip
        assert found.facts["epochs"] == 2
        assert [entry["recall@20"] for entry in found.facts["history"]] == [0.1, 0.3, 0.2, 0.1]

    def test_refitting_is_fitting_everything_for_so_many_epochs_of_the_schedule(self) -> None:
        """The schedule stays the one that the number was chosen under."""
        chosen = fit(task_of(watcher=recalls([0.1, 0.3, 0.2, 0.1])))
        known = fit(replace(task_of(), epochs=2))
        assert bits(chosen) == bits(known)
        assert bits(chosen) != bits(fit(task_of(valid=0, epochs=2)))
        assert known.facts["history"] == []

    def test_without_refit_the_best_of_the_part_is_kept(self) -> None:
        seen: list[Any] = []

        def watching(train: Any, valid: Any) -> Any:
            def watch(users: Any, items: Any) -> dict[str, float]:
                seen.append((users.copy(), items.copy()))
                return {"recall@20": [0.1, 0.3, 0.2, 0.1][len(seen) - 1]}

            return watch

        found = fit(task_of(watcher=watching, refit=False))
        assert np.array_equal(found.users, seen[1][0])
        assert np.array_equal(found.items, seen[1][1])
        assert found.facts["epochs"] == 2

    def test_what_is_watched_is_what_was_held_out(self) -> None:
        """No interaction on both sides, none lost, and a share of each user."""
        parts: list[Any] = []

        def watching(train: Any, valid: Any) -> Any:
            parts.extend((train, valid))
            return lambda users, items: {"recall@20": 0.5}

        fit(task_of(watcher=watching, refit=False, seed=5))
        train, valid = (
            set(zip(p.matrix.row_of_entry.tolist(), p.matrix.indices.tolist(), strict=True))
            for p in parts
        )
        whole = zip(SMALL.matrix.row_of_entry.tolist(), SMALL.matrix.indices.tolist(), strict=True)
        assert not train & valid
        assert train | valid == set(whole)

    def test_no_part_is_watched_where_valid_is_0(self) -> None:
        """And nobody needs to be there who could."""
        task = Task(SMALL, training=Training(**{**QUICK, "valid": 0}))
        assert fit(task).facts["epochs"] == 4

    def test_nor_one_that_came_with_the_data(self) -> None:
        """Bug: with a valid part given, valid=0 chose all the same; it says all epochs of all."""
        told: list[Any] = []
        _, valid = SMALL.split(UserSplit(test=0.3, seed=5))
        found = fit(replace(task_of(valid=0, watcher=None, listeners=(told.append,)), valid=valid))
        assert bits(found) == bits(fit(task_of(valid=0)))
        starts = [(one["part"], one["interactions"]) for one in told if one["event"] == "start"]
        assert starts == [("all", SMALL.n_interactions)]

    @pytest.mark.parametrize("epochs", [1, 3, 4])
    def test_epochs_chosen_before_are_run_without_watching(self, epochs: int) -> None:
        found = fit(replace(task_of(watcher=None), epochs=epochs))
        assert found.facts["epochs"] == epochs

    @pytest.mark.parametrize("epochs", [-1, 0, 5])
    def test_epochs_that_were_never_planned_are_refused(self, epochs: int) -> None:
        """Bug: they were cut to training.epochs without a word, and 0 gave the start itself."""
        words = rf"epochs: so many epochs cannot be run; expected 1 to 4; got {epochs}\. For more"
        with pytest.raises(UsageError, match=words):
            fit(replace(task_of(), epochs=epochs))

    def test_planted_communities_are_found(self) -> None:
        train, valid = LOG.split(UserSplit(test=0.2, seed=1))
        task = task_of(train, epochs=10, every=5, loss="softmax", batch=100, learning_rate=0.05)
        found = fit(task, start="spectral")
        metrics = watcher(0)(train, valid)(found.users, found.items)
        assert metrics["recall@20"] > 0.6
        assert found.facts["history"][-1]["recall@20"] > 0.5


class TestWhatIsGiven:
    def test_facts(self) -> None:
        task = task_of(table=Table(method="double", rows=0.5))
        found = fit(task)
        made = task.table.buckets(SMALL, 8, 0)
        assert found.facts["table_rows"] == made.rows
        # float32 rows, and two int32 rows of the table for each id.
        assert found.facts["table_bytes"] == made.rows * 8 * 4 + SMALL.n_users * 8 + 30 * 8
        assert found.facts["parameters"] == made.rows * 8
        assert found.facts["buckets"] == made.fingerprint()
        assert found.facts["train_seconds"] > 0
        assert json.loads(json.dumps(found.facts, allow_nan=False)) == found.facts

    def test_the_identity_is_no_index_that_anyone_keeps(self) -> None:
        assert fit(task_of()).facts["table_bytes"] == (SMALL.n_users + SMALL.n_items) * 8 * 4

    @pytest.mark.parametrize("name", ["ccl", "softmax"])
    def test_items_are_ranked_by_cosine_and_popularity(self, name: str) -> None:
        plain, tilted = (
            fit(task_of(loss={"name": name, "popularity": power}, epochs=1, valid=0))
            for power in (0.0, 0.5)
        )
        degrees = np.maximum(SMALL.matrix.column_counts(), 1)
        assert np.array_equal(plain.users, tilted.users)
        np.testing.assert_allclose(
            tilted.items, plain.items * np.sqrt(degrees)[:, None], rtol=1e-5, atol=1e-7
        )

    @pytest.mark.parametrize(
        "loss",
        [{"name": "softmax", "popularity": 0}, "sampled-ccl", {"name": "sampled-softmax"}],
        ids=str,
    )
    def test_losses_of_cosines_give_vectors_of_length_one(self, loss: Any) -> None:
        found = fit(task_of(loss=loss, epochs=1, valid=0))
        for side in (found.users, found.items):
            np.testing.assert_allclose(np.linalg.norm(side, axis=1), 1, rtol=1e-5)

    def test_others_give_them_as_they_are(self) -> None:
        found = fit(task_of(epochs=1, valid=0))
        assert np.linalg.norm(found.users, axis=1).std() > 0.01

    def test_what_it_will_take_is_told_before(self) -> None:
        notes: list[str] = []

        class Listening:
            def start(self, stage: str, total: int) -> None:
                notes.append(f"{stage} {total}")

            def advance(self, steps: int = 1) -> None:
                pass

            def note(self, line: str) -> None:
                notes.append(line)

        fit(task_of(epochs=2, valid=0, progress=Listening()))
        assert notes[0].startswith("training 560 parameters on 155 interactions, 3 steps an epoch")
        assert notes[1] == "training 2"

    @pytest.mark.parametrize("loss", ["bpr", "softmax", "sampled-softmax"])
    def test_the_estimate_of_memory_is_above_parameters_and_scores(self, loss: str) -> None:
        task = task_of(loss=loss)
        made = task.table.buckets(SMALL, 8, 0)
        encoder = ENCODERS.parse({"name": "lightgcn", "dim": 8, "start": "normal"})
        module = encoder.build(task, SMALL, made)
        batches = batches_of(SMALL, task.training.loss)
        least = 4 * 4 * 8 * 70 + 2 * 4 * 8 * 70  # four times the tables, and vectors twice
        assert estimate_mb(module, batches) > least / 1e6


class TestJournal:
    def test_a_line_an_event(self, tmp_path: Path) -> None:
        told: list[Any] = []
        fit(task_of(folder=tmp_path, stage="tune", listeners=(told.append,)))
        lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
        assert [event["event"] for event in lines if event["part"] == "choose"] == [
            "start", *["epoch", "evaluation"] * 4, "end",
        ]  # fmt: skip
        assert all(line.pop("time") > 1e9 for line in lines)
        assert lines == json.loads(json.dumps(told))
        assert {line["stage"] for line in lines} == {"tune"}
        assert lines[0]["encoder"]["name"] == "mf"
        assert lines[-1]["best"] is None  # nobody watched the second part

    def test_a_disk_that_will_not_take_it(self, tmp_path: Path) -> None:
        """Bug: a bare OSError, of which nobody could tell whose file it was about."""
        (tmp_path / "taken").touch()
        words = "taken/journal.jsonl: the journal could not be written; got .*exists.*Make room"
        with pytest.raises(OutputError, match=words):
            fit(task_of(folder=tmp_path / "taken"))
        (tmp_path / "journal.jsonl").mkdir()
        with pytest.raises(OutputError, match="the journal could not be written; got .*directory"):
            fit(task_of(folder=tmp_path))

    def test_two_stages_share_a_folder(self, tmp_path: Path) -> None:
        one = fit(task_of(folder=tmp_path, stage="one"))
        two = fit(task_of(folder=tmp_path, stage="two", learning_rate=0.1))
        assert bits(one) != bits(two)
        names = {path.name for path in tmp_path.iterdir()}
        assert {"one-choose.safetensors", "two-choose.safetensors", "journal.jsonl"} <= names


class Killed(Exception):
    """A listener has had enough."""


def killer(part: str, event: str, number: int) -> Any:
    seen = [0]

    def listen(one: Any) -> None:
        if (one["part"], one["event"]) == (part, event):
            seen[0] += 1
            if seen[0] == number:
                raise Killed

    return listen


class TestKills:
    @pytest.mark.parametrize(
        ("part", "event", "number"),
        [
            ("choose", "start", 1), ("choose", "epoch", 2), ("choose", "evaluation", 3),
            ("choose", "end", 1), ("all", "start", 1), ("all", "epoch", 1), ("all", "end", 1),
        ],
    )  # fmt: skip
    def test_same_bytes_as_never_killed(
        self, part: str, event: str, number: int, tmp_path: Path
    ) -> None:
        """Between choosing and fitting anew, too; and no epoch of choosing is run twice that was
        kept."""
        expected = fit(task_of())
        stop = killer(part, event, number)
        with pytest.raises(Killed):
            fit(task_of(folder=tmp_path, listeners=(stop,)))
        told: list[Any] = []
        found = fit(task_of(folder=tmp_path, listeners=(told.append,)))
        assert bits(found) == bits(expected)
        assert found.facts["epochs"] == expected.facts["epochs"]
        assert found.facts["history"] == expected.facts["history"]
        again = [one["epoch"] for one in told if (one["part"], one["event"]) == ("choose", "epoch")]
        done = {"start": 0, "epoch": number - 1, "evaluation": number - 1, "end": 4}[event]
        assert again == list(range(5))[1 + (4 if part == "all" else done) :]

    @pytest.mark.parametrize("refit", [False, True])
    def test_with_a_table_of_buckets_and_hard_negatives(self, refit: bool, tmp_path: Path) -> None:
        more: dict[str, Any] = {
            "table": Table(method="graph", rows=0.5), "refit": refit,
            "loss": {"name": "bpr", "sampler": {"name": "hard", "best": 5}},
        }  # fmt: skip
        expected = fit(task_of(**more), "lightgcn", start="spectral")
        for number in (1, 3):
            with pytest.raises(Killed):
                stop = killer("choose", "evaluation", number)
                fit(task_of(folder=tmp_path, listeners=(stop,), **more), "lightgcn",
                    start="spectral")  # fmt: skip
        found = fit(task_of(folder=tmp_path, **more), "lightgcn", start="spectral")
        assert bits(found) == bits(expected)

    def test_a_folder_changes_nothing(self, tmp_path: Path) -> None:
        assert bits(fit(task_of(folder=tmp_path))) == bits(fit(task_of()))

    def test_a_finished_fit_is_taken_as_it_stands(self, tmp_path: Path) -> None:
        first = fit(task_of(folder=tmp_path, refit=False))
        told: list[Any] = []
        again = fit(task_of(folder=tmp_path, refit=False, listeners=(told.append,)))
        assert [one["event"] for one in told] == ["start", "end"]
        assert bits(first) == bits(again)

    @pytest.mark.parametrize(
        "change",
        [
            {"seed": 1}, {"learning_rate": 0.01}, {"log": LOG}, {"loss": "logistic"},
            {"table": Table(method="modulo", rows=0.5)}, {"epochs": 5},
        ],
        ids=lambda change: next(iter(change)),
    )  # fmt: skip
    def test_a_checkpoint_of_something_else_is_refused(self, change: Any, tmp_path: Path) -> None:
        fit(task_of(folder=tmp_path))
        words = "training cannot go on from this file; expected a checkpoint of this recipe and"
        with pytest.raises(ModelError, match=words):
            fit(task_of(folder=tmp_path, **change))

    def test_and_of_another_number_of_epochs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever asks for two epochs must not be given the three that somebody else ran."""
        monkeypatch.setattr(loop, "_KEEP_EVERY", -1.0)
        fit(replace(task_of(folder=tmp_path), epochs=3))
        with pytest.raises(ModelError, match="of this recipe and these data; got another's"):
            fit(replace(task_of(folder=tmp_path), epochs=2))

    def test_and_of_another_valid_part(self, tmp_path: Path) -> None:
        """Bug: beside the same train part another valid part was taken for the first, and its
        epochs with it."""
        rest, valid = SMALL.split(UserSplit(test=0.3, seed=5))
        _, half = valid.split(UserSplit(test=0.5, seed=0))
        first = replace(task_of(union(rest, valid), folder=tmp_path), valid=valid)
        assert bits(fit(first)) == bits(fit(first))
        with pytest.raises(ModelError, match="of this recipe and these data; got another's"):
            fit(replace(task_of(union(rest, half), folder=tmp_path), valid=half))

    def test_and_of_another_precision_of_the_same_word(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`auto` on a machine that multiplies bfloat16 and on one that does not."""
        for native in (True, False):
            monkeypatch.setattr(everything, "_multiplies_bfloat16", lambda native=native: native)
            if native:
                fit(task_of(folder=tmp_path, precision="auto"))
        with pytest.raises(ModelError, match="of this recipe and these data; got another's"):
            fit(task_of(folder=tmp_path, precision="auto"))

    def test_and_of_another_encoder(self, tmp_path: Path) -> None:
        fit(task_of(folder=tmp_path))
        with pytest.raises(ModelError, match="of this recipe and these data; got another's"):
            fit(task_of(folder=tmp_path), scale=0.2)

    def test_and_of_other_features(self, tmp_path: Path) -> None:
        """Bug: the identity knew whose features there were and not which, so a run went on with
        the steps that others had taken."""
        features = {"item": np.ones((SMALL.n_items, 2), np.float32)}
        fit(task_of(folder=tmp_path, features=features), "two-tower", hidden=[4])
        fit(task_of(folder=tmp_path, features=dict(features)), "two-tower", hidden=[4])
        for other in (2 * features["item"], features["item"][:, :1]):
            with pytest.raises(ModelError, match="of this recipe and these data; got another's"):
                fit(task_of(folder=tmp_path, features={"item": other}), "two-tower", hidden=[4])


class TestSeeds:
    @pytest.mark.parametrize("loss", ["bpr", "softmax"])
    def test_same_seed_same_bytes(self, loss: str) -> None:
        one, same, other = (fit(task_of(loss=loss, seed=seed, valid=0)) for seed in (1, 1, 2))
        assert bits(one) == bits(same)
        assert bits(one)[0] != bits(other)[0]
        assert bits(one)[1] != bits(other)[1]

    def test_the_callers_generators_are_left_alone(self) -> None:
        """Bug: the layers of networks drew their first weights, thrown away, from torch's own."""
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        for encoder in ("neumf", "two-tower", "lightgcn"):
            fit(task_of(epochs=1, valid=0), encoder)
            fit(task_of(epochs=1, valid=0, table=Table(method="modulo", rows=9)), encoder)
        assert torch.equal(torch.rand(3), expected)

    def test_the_log_is_not_changed(self) -> None:
        before = SMALL.matrix.offsets.copy(), SMALL.matrix.indices.copy()
        fit(task_of(), "lightgcn", start="spectral")
        assert np.array_equal(SMALL.matrix.offsets, before[0])
        assert np.array_equal(SMALL.matrix.indices, before[1])


class TestBadInput:
    def test_nothing_to_hold_out(self) -> None:
        log = interactions_of([[0], [1], [2]], 3)
        words = (
            "nothing could be held out to watch training on; got 3 interactions. "
            "Set training.valid to 0"
        )
        with pytest.raises(DataError, match=words):
            fit(task_of(log))
        assert fit(task_of(log, valid=0)).users.shape == (3, 8)

    @pytest.mark.parametrize("side", ["users", "items"])
    def test_a_valid_part_of_other_ids(self, side: str) -> None:
        """Bug: it was compared by position, and a stranger's items were watched."""
        _, valid = SMALL.split(UserSplit(test=0.3, seed=5))
        ids = getattr(valid, side)
        strangers = Ids(pc.add(ids.array, 1))
        words = "valid: the valid part has other ids than the log; expected the users and items of"
        with pytest.raises(DataError, match=words):
            fit(replace(task_of(), valid=replace(valid, **{side: strangers})))
        copied = replace(valid, **{side: Ids(pc.add(ids.array, 0))})  # equal, not the same object
        one, other = (fit(replace(task_of(), valid=part)) for part in (valid, copied))
        assert bits(one) == bits(other)

    def test_nothing_left_to_learn_from(self) -> None:
        """Bug: where all was watched, an error of the first table or step came up."""
        words = "nothing is left to learn from beside the valid part; got 155 interactions"
        with pytest.raises(DataError, match=words):
            fit(replace(task_of(), valid=SMALL))

    def test_a_sampler_that_cannot_serve_the_loss(self) -> None:
        with pytest.raises(RecipeError, match="in-batch sampler cannot draw negatives of each"):
            fit(task_of(loss={"name": "bpr", "sampler": "in-batch"}))

    def test_nobody_to_measure(self) -> None:
        with pytest.raises(UsageError, match="nobody is there to measure or to search"):
            fit(Task(SMALL, training=Training(**QUICK)))

    def test_nobody_to_look_for_hard_negatives(self) -> None:
        training = Training(loss={"name": "bpr", "sampler": "hard"}, valid=0)
        with pytest.raises(UsageError, match="nobody is there to measure or to search"):
            fit(Task(SMALL, training=training))

    def test_no_interactions(self) -> None:
        with pytest.raises(DataError, match="a graph without edges"):
            fit(task_of(interactions_of([[], []], 3), valid=0))

    def test_a_loss_that_is_no_number_stops(self) -> None:
        with pytest.raises(UsageError, match=r"loss bpr: the loss became .* at step \d of epoch"):
            fit(task_of(learning_rate=1e30, warmup=0, schedule="constant"))

    @pytest.mark.parametrize("device", ["nowhere", "meta", "cuda:99"])
    def test_a_device_that_is_not_there(self, device: str) -> None:
        with pytest.raises(
            RecipeError, match="^training.device: torch cannot train there; expected cpu.* got "
        ):
            fit(task_of(device=device, epochs=1, valid=0))

    def test_a_batch_larger_than_the_data_is_all_of_them(self) -> None:
        assert bits(fit(task_of(batch=10**9))) == bits(fit(task_of(batch=155)))

    @pytest.mark.parametrize("loss", ["bpr", "softmax", "directau", "sampled-softmax"])
    @pytest.mark.parametrize("encoder", ["mf", "lightgcn", "two-tower"])
    def test_ids_without_edges_keep_finite_vectors(self, encoder: str, loss: str) -> None:
        rows = [[], *([item, (item + 1) % 5, (item + 2) % 5] for item in range(5)), []]
        log = interactions_of(rows, 8)
        for table in (Table(), Table(method="modulo", rows=0.5)):
            found = fit(task_of(log, loss=loss, table=table), encoder, start="spectral")
            assert np.isfinite(found.users).all()
            assert np.isfinite(found.items).all()


def test_a_valid_part_that_came_with_the_data_is_watched_and_not_learned_from() -> None:
    """The part is taken out of the log while epochs are chosen; afterwards all is learned."""
    rest, valid = SMALL.split(UserSplit(test=0.3, seed=5))
    seen: list[tuple[Interactions, Interactions]] = []
    told: list[Any] = []

    def watching(train: Interactions, held: Interactions) -> Any:
        seen.append((train, held))
        return lambda users, items: {"recall@20": 0.5}

    task = task_of(epochs=2, every=1, watcher=watching, listeners=(told.append,))
    fit(replace(task, valid=valid))
    ((train, held),) = seen
    assert held is valid
    assert np.array_equal(train.matrix.offsets, rest.matrix.offsets)
    assert np.array_equal(train.matrix.indices, rest.matrix.indices)
    starts = [one["interactions"] for one in told if one["event"] == "start"]
    assert starts == [rest.n_interactions, SMALL.n_interactions]


def test_tables_are_moved_as_one_with_their_module() -> None:
    """Whatever trains holds its rows as parameters and its assignment as buffers."""
    task = task_of(table=Table(method="double", rows=0.5))
    made = task.table.buckets(SMALL, 8, 0)
    for name in ("mf", "lightgcn", "neumf", "two-tower"):
        encoder = ENCODERS.parse({"name": name, "dim": 8})
        module = encoder.build(task, SMALL, made)
        held = [part for part in module.modules() if isinstance(part, HashedEmbedding)]
        assert len(held) == 2
        assert {id(part.weight) for part in held} <= {id(one) for one in module.parameters()}
