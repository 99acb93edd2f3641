"""The loop against one written out with torch's own optimiser; stopping; going on after kills."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_cases import LOG, SMALL, Watched, batches_of, module_of, run_of

from hashrec.errors import UsageError
from hashrec.learning import Batch, Training
from hashrec.training import loop
from hashrec.training.keeping import Keeper
from hashrec.training.run import Run
from hashrec.watching import watcher


def parameters(run: Run) -> dict[str, Any]:
    return {name: one.detach().clone() for name, one in run.module.named_parameters()}


def slow_rate(options: Training, at: int, steps: int) -> float:
    """Of step `at` of all `steps`."""
    rate = options.learning_rate
    rising = options.warmup * steps
    if rising > 1 and at + 1 < rising:
        rate = rate * (at + 1) / rising
    if options.schedule == "cosine":
        rate = rate * (1 + math.cos(math.pi * at / steps)) / 2
    return rate


def slow_squares(module: Any, batch: Batch) -> Any:
    """Half the squared lengths of every row's own vectors, looked up one by one."""
    users, items = module.user_table.full(), module.item_table.full()
    total = sum((users[u] ** 2).sum() for u in batch.users)
    total = total + sum((items[i] ** 2).sum() for i in batch.items)
    if batch.negatives is not None:
        total = total + sum((items[j] ** 2).sum() for j in batch.negatives.reshape(-1))
    return total / 2 / len(batch.users)


def slowly(module: Any, options: Training, log: Any) -> list[float]:
    """The loop again: torch.optim.Adam unfused, the gradient of a group asked for at once."""
    batches = batches_of(log, options.loss, options.batch)
    named = list(module.parameters())
    adam = torch.optim.Adam(named, foreach=False, fused=False)
    losses = []
    for epoch in range(options.epochs):
        order, steps, values = batches.order(epoch), len(batches), []
        for first in range(0, steps, options.accumulate):
            group = []
            for step in range(first, min(first + options.accumulate, steps)):
                batch = batches.batch(order, epoch, step)
                loss = options.loss(module(), batch)
                group.append(loss + options.decay * slow_squares(module, batch))
            gradients = torch.autograd.grad(sum(group) / len(group), named)
            for one, gradient in zip(named, gradients, strict=True):
                one.grad = gradient
            at = epoch * steps + first + len(group) - 1
            adam.param_groups[0]["lr"] = slow_rate(options, at, options.epochs * steps)
            adam.step()
            values += [float(loss.detach()) for loss in group]
        losses.append(sum(values) / len(values))
    return losses


class TestSteps:
    @pytest.mark.parametrize(
        "options",
        [
            {"schedule": "constant", "warmup": 0},
            {"schedule": "constant", "warmup": 0.5, "loss": "logistic"},
            {"schedule": "cosine", "warmup": 0.3, "decay": 0.5},
            {"accumulate": 3, "decay": 0.1},
            {"accumulate": 100, "loss": "directau", "schedule": "constant", "warmup": 0},
            {"loss": {"name": "softmax", "weight": "equal"}, "batch": 7, "decay": 0.01},
            {"loss": {"name": "sampled-ccl", "negatives": 4}, "accumulate": 2},
            {"loss": {"name": "sampled-softmax", "negatives": 20, "sampler": "in-batch"}},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("encoder", ["mf", "lightgcn"])
    def test_are_those_of_a_loop_written_out(self, encoder: str, options: dict[str, Any]) -> None:
        """SMALL makes 7 steps, so that groups of 3 leave one step over.

        Bug: the group at the end of an epoch was divided by `accumulate`, however few its steps.
        """
        told: list[Any] = []
        run = run_of(encoder=encoder, epochs=3, tell=told.append, **options)
        judge = module_of(SMALL, run.options, encoder)
        expected = slowly(judge, run.options, SMALL)
        run.train()
        assert [event["loss"] for event in told] == pytest.approx(expected, rel=1e-4)
        for (name, mine), theirs in zip(
            run.module.named_parameters(), judge.parameters(), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=2e-4, msg=name)

    def test_rows_that_no_batch_has_touched_stay_as_they_are(self) -> None:
        """Adam moves a row once it has had a gradient, and no other."""
        snapshots: list[dict[str, Any]] = []
        run = run_of(batch=2, epochs=1, before=lambda e, s: snapshots.append(parameters(run)))
        run.stop = 1
        run.train()
        snapshots.append(parameters(run))
        made = run.batches.made
        assert len(made) == len(snapshots) - 1 > 50
        touched = {"user_table.weight": set[int](), "item_table.weight": set[int]()}
        for before, after, batch in zip(snapshots, snapshots[1:], made, strict=False):
            items = torch.cat([batch.items, batch.negatives[:, 0]])
            now = {
                "user_table.weight": set(batch.users.tolist()),
                "item_table.weight": set(items.tolist()),
            }
            for name in touched:
                touched[name] |= now[name]
                moved = (before[name] != after[name]).any(1).nonzero().flatten().tolist()
                assert set(moved) <= touched[name]
                # A negative that is also the positive has no gradient.
                pairs = zip(batch.items.tolist(), batch.negatives[:, 0].tolist(), strict=True)
                if all(i != j for i, j in pairs):
                    assert now[name] <= set(moved)
        never = set(range(SMALL.n_items)) - touched["item_table.weight"]
        start = parameters(run_of(batch=2, epochs=1))
        for item in never:
            assert torch.equal(run.module.item_table.weight[item], start["item_table.weight"][item])

    def test_two_halves_of_a_batch_are_the_batch(self) -> None:
        """Exact in the equally weighted softmax: a mean over users, and no draws."""
        found = []
        for batch, accumulate in ((20, 1), (10, 2), (5, 4)):
            run = run_of(
                loss={"name": "softmax", "weight": "equal"}, batch=batch, accumulate=accumulate,
                epochs=4, schedule="constant", warmup=0, decay=0.01,
            )  # fmt: skip
            run.train()
            found.append(parameters(run))
        assert len(batches_of(SMALL, "softmax", 20)) == 2
        for name in found[0]:
            for other in found[1:]:
                torch.testing.assert_close(found[0][name], other[name], rtol=1e-3, atol=1e-4)

    def test_decay_is_half_the_squared_length_of_the_batchs_vectors(self) -> None:
        for loss in ("bpr", "softmax", "directau"):
            run = run_of(loss=loss, table={"method": "double", "rows": 0.5})
            batch = run.batches.batch(run.batches.order(0), 0, 0)
            found = run.module.squares(batch)
            torch.testing.assert_close(found, slow_squares(run.module, batch))

    def test_the_last_step_of_an_accumulated_group_moves_and_no_other(self) -> None:
        snapshots: list[Any] = []
        run = run_of(accumulate=3, epochs=2, before=lambda e, s: snapshots.append(parameters(run)))
        run.train()
        snapshots.append(parameters(run))
        key = "user_table.weight"
        moved = [
            not torch.equal(before[key], after[key])
            for before, after in itertools.pairwise(snapshots)
        ]
        assert moved == [False, False, True, False, False, True, True] * 2


class TestRates:
    def rates(self, **options: Any) -> list[float]:
        """Of every step, an epoch being one step."""
        told: list[Any] = []
        run_of(batch=10_000, epochs=10, learning_rate=0.1, tell=told.append, **options).train()
        return [event["rate"] for event in told if event["event"] == "epoch"]

    def test_constant(self) -> None:
        assert self.rates(schedule="constant", warmup=0) == [0.1] * 10

    def test_warmup_rises_in_a_line(self) -> None:
        found = self.rates(schedule="constant", warmup=0.4)
        assert found == pytest.approx([0.025, 0.05, 0.075, 0.1] + [0.1] * 6)

    def test_a_warmup_shorter_than_a_step_is_none(self) -> None:
        assert self.rates(schedule="constant", warmup=0.05) == [0.1] * 10

    def test_cosine_falls_along_half_a_wave(self) -> None:
        found = self.rates(schedule="cosine", warmup=0)
        half = [0.1, 0.09755283, 0.09045085, 0.07938926, 0.06545085, 0.05]
        assert found[:6] == pytest.approx(half)
        assert [0.1 - rate for rate in found[:4:-1]] == pytest.approx(found[1:6])

    def test_stopping_earlier_does_not_change_the_schedule(self) -> None:
        told: list[Any] = []
        run_of(batch=10_000, epochs=10, stop=3, learning_rate=0.1, tell=told.append,
               warmup=0).train()  # fmt: skip
        assert [event["rate"] for event in told] == pytest.approx([0.1, 0.09755283, 0.09045085])


class TestLearning:
    @pytest.mark.parametrize(
        "loss",
        [
            "bpr", "logistic", "directau", "softmax",
            {"name": "sampled-ccl", "negatives": 10, "weight": 10},
            {"name": "bpr", "sampler": "hard"},
            {"name": "sampled-softmax", "sampler": "in-batch"},
            {"name": "sampled-softmax", "sampler": "popularity", "negatives": 100},
        ],
        ids=str,
    )  # fmt: skip
    def test_losses_fall_and_recall_rises(self, loss: Any) -> None:
        part, valid = LOG.split({"name": "user", "test": 0.2})
        watch = watcher(0)(part, valid)
        run = run_of(part, loss=loss, batch=500, epochs=12, every=12, valid=0.2, watch=watch,
                     learning_rate=0.05, tell=(told := []).append)  # fmt: skip
        before = watch(*(side.numpy() for side in run.module.export()))["recall@20"]
        outcome = run.train()
        losses = [event["loss"] for event in told if event["event"] == "epoch"]
        assert losses[-1] < 0.9 * losses[0]
        assert outcome.history[-1]["recall@20"] > before + 0.25

    def test_the_recall_of_a_run_that_learns_nothing_stays(self) -> None:
        """Guards the guard above: it is the steps that raise it."""
        part, valid = LOG.split({"name": "user", "test": 0.2})
        run = run_of(part, loss="softmax", epochs=2, every=1, watch=watcher(0)(part, valid),
                     learning_rate=1e-12)  # fmt: skip
        recalls = [entry["recall@20"] for entry in run.train().history]
        assert recalls[0] == recalls[1] < 0.25


def scripted(recalls: list[float], seen: list[Any]) -> Any:
    """Somebody who measures what the script says, and keeps what they were shown."""

    def watch(users: Any, items: Any) -> dict[str, float]:
        seen.append((users.copy(), items.copy()))
        return {"recall@20": recalls[len(seen) - 1], "ndcg@20": 0.5}

    return watch


class TestStopping:
    def test_patience_is_counted_in_evaluations_and_the_best_epoch_is_found(self) -> None:
        seen: list[Any] = []
        watch = scripted([0.1, 0.5, 0.3, 0.4, 0.9], seen)
        outcome = run_of(epochs=30, every=3, patience=2, watch=watch).train()
        assert (outcome.best_epoch, outcome.best, outcome.epoch) == (6, 0.5, 12)
        assert [entry["epoch"] for entry in outcome.history] == [3, 6, 9, 12]
        assert [entry["recall@20"] for entry in outcome.history] == [0.1, 0.5, 0.3, 0.4]
        assert outcome.history[0]["ndcg@20"] == 0.5
        assert outcome.done

    def test_an_equal_one_is_no_new_best_and_a_new_best_renews_the_patience(self) -> None:
        watch = scripted([0.5, 0.5, 0.6, 0.6, 0.6, 1.0], [])
        outcome = run_of(epochs=30, every=1, patience=2, watch=watch).train()
        assert (outcome.best_epoch, outcome.epoch, outcome.bad) == (3, 5, 2)

    def test_the_last_epoch_is_judged_whatever_it_is(self) -> None:
        outcome = run_of(epochs=5, every=3, watch=scripted([0.1, 0.2], [])).train()
        assert [entry["epoch"] for entry in outcome.history] == [3, 5]
        assert outcome.best_epoch == 5

    def test_without_refit_the_parameters_are_those_of_the_best(self) -> None:
        seen: list[Any] = []
        run = run_of(epochs=9, every=2, patience=9, refit=False, encoder="lightgcn",
                     watch=scripted([0.1, 0.9, 0.3, 0.2, 0.4], seen))  # fmt: skip
        outcome = run.train()
        assert (outcome.best_epoch, outcome.epoch) == (4, 9)
        for mine, shown in zip(run.module.export(), seen[1], strict=True):
            assert np.array_equal(mine.numpy(), shown)
        assert not np.array_equal(seen[1][0], seen[4][0])

    def test_with_refit_they_are_left_as_they_are(self) -> None:
        seen: list[Any] = []
        run = run_of(epochs=4, every=2, watch=scripted([0.9, 0.1], seen))
        run.train()
        assert np.array_equal(run.module.export()[0].numpy(), seen[1][0])

    def test_an_evaluation_is_told(self) -> None:
        told: list[Any] = []
        run_of(epochs=2, every=2, watch=scripted([0.25], []), tell=told.append).train()
        assert [event["event"] for event in told] == ["epoch", "epoch", "evaluation"]
        assert told[2]["recall@20"] == 0.25
        assert told[2]["best_epoch"] == told[2]["epoch"] == 2
        assert told[2]["loss"] == told[1]["loss"]


class TestDivergence:
    @pytest.mark.parametrize(("value", "word"), [(math.nan, "nan"), (math.inf, "nan|inf")])
    def test_the_message_names_loss_step_and_epoch(self, value: float, word: str) -> None:
        def poison(epoch: int, step: int) -> None:
            if (epoch, step) == (1, 2):
                with torch.no_grad():
                    run.module.item_table.weight.fill_(value)

        run = run_of(epochs=5, before=poison, learning_rate=0.125)
        words = (
            rf"loss bpr: the loss became ({word}) at step 3 of epoch 2; expected a finite number. "
            "Take a smaller training.learning_rate than 0.125"
        )
        with pytest.raises(UsageError, match=words):
            run.train()
        assert run.outcome.epoch == 1

    @pytest.mark.parametrize("step", [0, 1, 2])
    def test_no_rate_is_blamed_before_the_first_move(self, step: int) -> None:
        """Bug: a smaller rate was advised where none had been used yet. Here, every second step
        moves."""

        def poison(epoch: int, number: int) -> None:
            if number == step:
                with torch.no_grad():
                    run.module.item_table.weight.fill_(math.nan)

        run = run_of(epochs=2, before=poison, accumulate=2)
        words = "Check the other settings of training.loss and of the encoder, and the data"
        if step == 2:
            words = "Take a smaller training.learning_rate"
        with pytest.raises(UsageError, match=f"step {step + 1} of epoch 1; .*{words}"):
            run.train()

    def test_a_rate_out_of_all_measure_stops_by_itself(self) -> None:
        with pytest.raises(UsageError, match="loss bpr: the loss became .* of epoch"):
            run_of(epochs=9, learning_rate=1e30, schedule="constant", warmup=0).train()

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_weights_after_the_last_loss_are_looked_at_too(self, value: float) -> None:
        """Bug: what the last step did was served unseen. Here Adam's own step does it."""
        run = run_of(epochs=1)
        step, steps = run._optimiser.step, []

        def spoil(rate: float) -> None:
            step(rate)
            steps.append(1)
            if len(steps) == len(run.batches):
                with torch.no_grad():
                    run.module.item_table.weight[2, 1] = value

        run._optimiser.step = spoil
        words = (
            r"item_table\.weight: weights became infinite or no numbers in epoch 1; expected "
            r"finite numbers. Take a smaller training\.learning_rate than 0.03"
        )
        with pytest.raises(UsageError, match=words):
            run.train()
        assert run.outcome.epoch == 0

    def test_the_rate_is_named_by_its_section(self) -> None:
        run = run_of(epochs=3, learning_rate=1e30, schedule="constant", warmup=0)
        run.section = "codes"
        with pytest.raises(UsageError, match=r"Take a smaller codes\.learning_rate than 1e\+30"):
            run.train()


# --- kills -------------------------------------------------------------------------------------


class Killed(Exception):
    """A listener has had enough."""


KINDS: dict[str, dict[str, Any]] = {
    "pairs": {"loss": "bpr", "decay": 0.01},
    "users": {"loss": "softmax", "batch": 9, "precision": "auto"},
    "hard": {"loss": {"name": "bpr", "sampler": {"name": "hard", "best": 5}}},
    "accumulate": {"accumulate": 3, "loss": "logistic"},
    "users accumulate": {"loss": "softmax", "batch": 7, "accumulate": 4},
    # Bug: Adam's moments came back by rows, and its fused kernel walks memory.
    "columns": {"columns": True, "loss": "bpr"},
    "columns accumulate": {"columns": True, "accumulate": 3, "loss": "bpr"},
    "shared": {"loss": {"name": "sampled-softmax", "negatives": 9}},
    "lightgcn": {"encoder": "lightgcn", "loss": "directau"},
    "neumf": {"encoder": {"name": "neumf", "hidden": [4]}},
    "two-tower": {"encoder": {"name": "two-tower", "hidden": [4]}, "loss": "softmax", "batch": 9},
    "best": {"refit": False, "every": 1, "patience": 9, "recalls": [0.1, 0.7, 0.2]},
    "stops": {"epochs": 4, "every": 1, "patience": 1, "recalls": [0.1, 0.7, 0.2, 0.9]},
}
EPOCHS = 3


def made(kind: str, folder: Path | None, before: Callable[[int, int], None], **more: Any) -> Run:
    options = {"epochs": EPOCHS, **KINDS[kind], **more}
    recalls, columns = options.pop("recalls", None), options.pop("columns", False)
    if recalls is not None:
        # What is measured depends on the state alone, as the real measure does.
        options["watch"] = lambda users, items: {"recall@20": recalls[run.outcome.epoch - 1]}
    keeper = None if folder is None else Keeper(folder / "kept.safetensors", {"of": kind})
    run = run_of(before=before, keeper=keeper, **options)
    for one in run.module.parameters() if columns else ():
        one.data = one.data.T.contiguous().T  # the same numbers, by columns in memory
        assert not one.is_contiguous()
    return run


def result(run: Run) -> dict[str, Any]:
    """Bytes of the parameters, and the outcome without its clock."""
    bits = {name: one.numpy().tobytes() for name, one in parameters(run).items()}
    return bits | {key: value for key, value in vars(run.outcome).items() if key != "seconds"}


def uninterrupted(kind: str) -> tuple[dict[str, Any], int]:
    """What comes out, and how many steps it took."""
    run = made(kind, None, lambda epoch, step: None)
    run.train()
    return result(run), len(run.batches.made)


class Ticking:
    """A clock on which every look takes `seconds`, in the place of the loop's `time`."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def monotonic(self) -> float:
        self.now += self.seconds
        return self.now

    perf_counter = staticmethod(time.perf_counter)


@pytest.fixture
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill of the process, unlike one of the machine, loses nothing that was written."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def attempt(kind: str, folder: Path, steps: int) -> tuple[Run, bool]:
    """A run killed ahead of its step number `steps`, if it comes so far."""

    def kill(epoch: int, step: int) -> None:
        if len(run.batches.made) == steps:
            raise KeyboardInterrupt

    run = made(kind, folder, kill)
    try:
        run.train()
    except KeyboardInterrupt:
        return run, True
    return run, False


@pytest.mark.usefixtures("_quick_disk")
@pytest.mark.parametrize("kind", list(KINDS))
def test_killed_again_and_again_gives_the_bits_of_never_killed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 100 seconds between two looks at the clock every step is kept, in the middle of an
    epoch and of an accumulated group; with draws from codes of the epoch's start, every epoch."""
    expected, steps = uninterrupted(kind)
    monkeypatch.setattr(loop, "time", Ticking(100))
    each = 5 if kind != "hard" else 9
    for kills in range(steps):  # noqa: B007
        run, killed = attempt(kind, tmp_path, each)
        if not killed:
            break
    assert result(run) == expected
    assert kills == (steps - 1) // (each if kind != "hard" else 7)  # nothing kept was done twice


@pytest.mark.usefixtures("_quick_disk")
@pytest.mark.parametrize("kind", ["pairs", "accumulate", "best"])
def test_a_kill_ahead_of_any_step(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints at every second step."""
    expected, steps = uninterrupted(kind)
    for at in range(1, steps, 2):
        monkeypatch.setattr(loop, "time", Ticking(45))
        _, killed = attempt(kind, tmp_path / str(at), at)
        assert killed
        run, _ = attempt(kind, tmp_path / str(at), steps + 1)
        assert result(run) == expected
        assert steps - at <= len(run.batches.made) <= steps - at + 2


@pytest.mark.parametrize("event", ["epoch", "evaluation"])
def test_a_listener_that_fails_kills_like_any_other(event: str, tmp_path: Path) -> None:
    expected, _ = uninterrupted("best")

    def listen(one: Any) -> None:
        if one["event"] == event and one["epoch"] == 3:
            raise Killed

    with pytest.raises(Killed):
        made("best", tmp_path, lambda epoch, step: None, tell=listen).train()
    run = made("best", tmp_path, lambda epoch, step: None)
    run.train()
    assert result(run) == expected
    assert len(run.batches.made) == 7 * (EPOCHS - 2)  # the one that failed had not been kept


def test_a_finished_run_taken_up_again_does_nothing_more(tmp_path: Path) -> None:
    for kind in ("best", "stops"):
        first = made(kind, tmp_path / kind, lambda epoch, step: None)
        first.train()
        again = made(kind, tmp_path / kind, lambda epoch, step: None)
        again.train()
        assert again.batches.made == []
        assert result(again) == result(first)


def test_seconds_of_both_halves_are_counted(tmp_path: Path) -> None:
    run = made("stops", tmp_path, lambda epoch, step: None)
    run.train()
    again = made("stops", tmp_path, lambda epoch, step: None)
    assert again.train().seconds == pytest.approx(run.outcome.seconds)


def test_hard_negatives_are_looked_for_once_an_epoch_and_used() -> None:
    looked: list[int] = []

    def look(module: Any) -> None:
        looked.append(len(run.batches.made))
        run.batches.source.hardest = np.full((SMALL.n_users, 1), 7, np.int32)

    run = run_of(loss={"name": "bpr", "sampler": {"name": "hard", "share": 1}}, epochs=3)
    run.before_epoch = look
    run.train()
    assert looked == [0, 7, 14]
    assert all((batch.negatives == 7).all() for batch in run.batches.made)


def test_same_bits_twice_and_others_from_another_seed() -> None:
    found = []
    for seed in (0, 0, 1):
        run = run_of(epochs=2)
        run.batches = Watched(run.batches.source, run.options.loss, seed, 30)
        run.train()
        found.append(result(run)["user_table.weight"])
    assert found[0] == found[1] != found[2]
