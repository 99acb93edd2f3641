"""Training: against a loop written out, stopped, taken up, corrected and calibrated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ctr_cases import TEST, TRAIN, VALID, fitted, recipe
from torch.nn.functional import binary_cross_entropy_with_logits

from hashrec.ctr import CtrModel
from hashrec.ctr.calibration import Calibration
from hashrec.ctr.examples import Lots, examples_of
from hashrec.ctr.predictor import build
from hashrec.ctr.run import logits_of
from hashrec.errors import DataError, ModelError, RecipeError, UsageError
from hashrec.evaluation import judged
from hashrec.evaluation.binary import log_loss
from hashrec.impressions import Impressions, Schema, planted_impressions
from hashrec.training import loop


def history(model: CtrModel) -> list[dict[str, float]]:
    found: list[dict[str, float]] = model.fitted.facts["history"]
    return found


class TestSteps:
    def test_are_those_of_a_loop_written_out(self) -> None:
        """No dropout and nothing forgotten; the rest is Adam on log loss and decay."""
        model = {"name": "dcn", "dropout": 0, "hidden": [8]}
        asked = recipe(model, training={"unknown": 0, "epochs": 2, "decay": 0.1, "positives": 2.0,
                                        "calibrate": False})  # fmt: skip
        mine = CtrModel(asked).fit(TRAIN, epochs=2).fitted
        assert mine.made is not None
        examples = examples_of(TRAIN, mine.schema, mine.made)
        assert examples.label is not None
        positives = float(examples.label.sum()) * 2
        share = positives / (positives + float((examples.label == 0).sum()))
        module = build(asked, mine.schema, mine.made, share)
        adam = torch.optim.Adam(module.parameters(), lr=asked.training.learning_rate)
        for epoch in range(2):
            order = np.random.default_rng([0, epoch]).permutation(len(TRAIN))
            for first in range(0, len(order), 256):
                batch = examples.batch(order[first : first + 256], "cpu")
                weights = torch.where(batch.label > 0, 2.0, 1.0)
                looked = module.inputs(*batch.inputs)
                loss = binary_cross_entropy_with_logits(
                    module(*batch.inputs), batch.label, weight=weights
                )
                rows = (looked.vectors**2).sum((1, 2)) / 2
                adam.zero_grad()
                (loss + 0.1 * rows.mean()).backward()
                adam.step()
        for (name, ours), theirs in zip(
            mine.predictor.named_parameters(), module.parameters(), strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5, msg=name)

    def test_the_first_bias_is_the_log_odds_of_the_labels(self) -> None:
        share = TRAIN.positives / len(TRAIN)
        module = build(recipe(), Schema.of(TRAIN, recipe().fields), None, share)
        assert float(module.bias.detach()) == pytest.approx(np.log(share / (1 - share)), rel=1e-6)

    def test_the_same_recipe_and_data_give_the_same_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            fitted("auto-int", "double-graph").save(tmp_path / name)
        one, two = (
            (tmp_path / name / "arrays.safetensors").read_bytes() for name in ("one", "two")
        )
        assert one == two
        other = fitted("auto-int", "double-graph", seed=1).fitted.predictor
        assert not torch.equal(other.bias, CtrModel.load(tmp_path / "one").fitted.predictor.bias)

    def test_a_model_learns_what_was_planted(self) -> None:
        """1,000 rows of chance would have an AUC within .05 of one half."""
        log = planted_impressions(6_000, users=80, items=40, communities=3, seed=2)
        train, test = log.split("random")
        model = CtrModel(recipe("dcn", "graph", training={"epochs": 12, "patience": 3})).fit(train)
        found = model.evaluate(test)
        assert found["auc"] > 0.65 and found["log_loss"] < log_loss(np.full(len(test), 0.0),
                                                                     test.label)  # fmt: skip
        assert found["predicted_over_true"] == pytest.approx(1, abs=0.15)


class TestStopping:
    def test_the_weights_kept_are_those_of_the_best_epoch(self) -> None:
        asked: dict[str, Any] = {"epochs": 12, "patience": 2, "learning_rate": 0.03}
        model = fitted(training=asked)
        aucs = [entry["auc"] for entry in history(model)]
        best = int(np.argmax(aucs))
        assert model.fitted.facts["epochs"] == best + 1 < len(aucs) == best + 3
        assert model.evaluate(VALID)["auc"] == pytest.approx(aucs[best], abs=1e-12)

    def test_epochs_chosen_before_are_run_and_nothing_is_held_out(self) -> None:
        model = CtrModel(recipe(training={"epochs": 3})).fit(TRAIN, epochs=2)
        assert model.fitted.facts["epochs"] == 2 and history(model) == []
        assert model.fitted.facts["impressions"] == len(TRAIN)

    def test_without_a_valid_part_one_is_held_out(self) -> None:
        model = CtrModel(recipe(valid={"name": "time", "test": 0.25})).fit(TRAIN)
        assert model.fitted.facts["impressions"] == len(TRAIN) - round(len(TRAIN) * 0.25)
        assert len(history(model)) == 1

    @pytest.mark.parametrize("epochs", [0, 5])
    def test_epochs_the_schedule_does_not_have_are_refused(self, epochs: int) -> None:
        words = f"epochs: so many epochs cannot be run; expected 1 to 4; got {epochs}"
        with pytest.raises(UsageError, match=words):
            CtrModel(recipe(training={"epochs": 4})).fit(TRAIN, epochs=epochs)


class Killed(BaseException):
    """What no code of ours catches."""


class TestGoingOn:
    def test_a_half_collected_group_of_sparse_gradients_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Bug: checkpoints could not hold a sparse gradient, and the run ended in a traceback."""
        monkeypatch.setattr(loop, "_KEEP_EVERY", -1.0)  # at every step
        training = {"epochs": 2, "sparse": 1, "accumulate": 3, "batch": 200}
        asked = recipe("dcn", "double", training=training)
        whole = CtrModel(asked).fit(TRAIN, epochs=2)
        real, steps = Lots.batch, []

        def kill(self: Any, *where: Any) -> Any:
            steps.append(where[1:])
            if len(steps) == 5:  # the second of the second group
                raise Killed
            return real(self, *where)

        monkeypatch.setattr(Lots, "batch", kill)
        with pytest.raises(Killed):
            CtrModel(asked).fit(TRAIN, epochs=2, folder=tmp_path)
        again = CtrModel(asked).fit(TRAIN, epochs=2, folder=tmp_path)
        assert steps[4] == steps[5] == (0, 4)
        for one, other in zip(
            whole.fitted.predictor.parameters(), again.fitted.predictor.parameters(), strict=True
        ):
            assert torch.equal(one, other)

    @pytest.mark.parametrize("sparse", [None, 1])
    def test_a_run_taken_up_after_a_kill_gives_the_bits_of_one_that_was_not(
        self, tmp_path: Path, sparse: int | None
    ) -> None:
        training = {"epochs": 4, "patience": 4, "sparse": sparse}
        asked = recipe("deep-fm", "double", training=training)
        whole = CtrModel(asked).fit(TRAIN, VALID)

        def kill(event: Any) -> None:
            if event["event"] == "epoch" and event["epoch"] == 3:
                raise Killed

        with pytest.raises(Killed):
            CtrModel(asked).fit(TRAIN, VALID, folder=tmp_path, listeners=[kill])
        told: list[Any] = []
        again = CtrModel(asked).fit(TRAIN, VALID, folder=tmp_path, listeners=[told.append])
        assert [event["epoch"] for event in told if event["event"] == "epoch"] == [3, 4]
        for (name, one), other in zip(
            whole.fitted.predictor.named_parameters(), again.fitted.predictor.parameters(),
            strict=True,
        ):  # fmt: skip
            assert torch.equal(one, other), name
        lines = (tmp_path / "journal.jsonl").read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        assert {event["stage"] for event in events} == {"fit"} and len(events) > 4

    def test_a_checkpoint_of_other_data_is_refused(self, tmp_path: Path) -> None:
        asked = recipe(training={"epochs": 2})
        CtrModel(asked).fit(TRAIN, VALID, folder=tmp_path)
        with pytest.raises(ModelError, match="training cannot go on from this file; expected a ch"):
            CtrModel(asked).fit(TRAIN.take(np.arange(500)), VALID, folder=tmp_path)


class TestCorrections:
    def test_a_share_of_the_negatives_shifts_logits_by_its_logarithm(self) -> None:
        asked = {"negatives": 0.25, "calibrate": False, "positives": 3.0}
        model = fitted(training=asked)
        negatives = len(TRAIN) - TRAIN.positives
        kept = round(0.25 * negatives) / negatives
        calibration = model.fitted.calibration
        assert calibration.slope == 1
        assert calibration.offset == pytest.approx(np.log(kept) - np.log(3))
        fit_ = model.fitted
        raw = logits_of(fit_.predictor, examples_of(TEST, fit_.schema, fit_.made))
        np.testing.assert_allclose(model.logits(TEST), raw + calibration.offset, rtol=1e-6)
        seen = model.evaluate(VALID)["log_loss"]  # what an evaluation tells is corrected, too
        assert history(model)[0]["log_loss"] == pytest.approx(seen, rel=1e-6)

    @pytest.mark.parametrize("training", [{"negatives": 0.3}, {"positives": 4.0}, {}], ids=str)
    def test_chances_are_those_of_the_world_whatever_training_looked_at(
        self, training: dict[str, Any]
    ) -> None:
        """Without the correction their sum would be off by half and more."""
        log = planted_impressions(8_000, users=80, items=40, communities=3, seed=4)
        train, test = log.split("random")
        asked = {**training, "calibrate": False, "epochs": 6, "patience": 2}
        found = CtrModel(recipe(training=asked)).fit(train).evaluate(test)
        assert found["predicted_over_true"] == pytest.approx(1, abs=0.12)


class TestCalibration:
    def test_the_slope_and_offset_are_those_of_least_log_loss(self) -> None:
        rng = np.random.default_rng(0)
        true = rng.standard_normal(4_000)
        label = (rng.random(4_000) < 1 / (1 + np.exp(-true))).astype(np.float32)
        logits = (3 * true - 1).astype(np.float32)
        found = Calibration.of(logits, label)
        assert (found.slope, found.offset) == pytest.approx((1 / 3, 1 / 3), abs=0.04)
        best = log_loss(found.applied(logits), label)
        for slope, offset in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
            other = Calibration(found.slope + slope, found.offset + offset)
            assert log_loss(other.applied(logits), label) > best

    def test_logits_that_say_the_contrary_keep_their_slope(self) -> None:
        rng = np.random.default_rng(0)
        label = (rng.random(500) < 0.2).astype(np.float32)
        found = Calibration.of(-5 * label + rng.standard_normal(500), label)
        assert found.slope == 1 and found.offset < 0

    @pytest.mark.parametrize("logits", [np.zeros(10), np.arange(10) - 4.5, np.full(10, 80.0)])
    def test_extreme_logits_give_finite_numbers(self, logits: Any) -> None:
        label = (np.arange(10) > 4).astype(np.float32)
        found = Calibration.of(logits.astype(np.float32), label)
        assert np.isfinite([found.slope, found.offset]).all() and found.slope > 0

    def test_no_order_changes_and_the_valid_loss_falls(self) -> None:
        asked: dict[str, Any] = {"epochs": 8, "patience": 8, "learning_rate": 0.03}
        plain = fitted(training={**asked, "calibrate": False})
        better = fitted(training=asked)
        assert better.fitted.calibration.slope != 1
        assert plain.evaluate(VALID)["auc"] == pytest.approx(better.evaluate(VALID)["auc"])
        assert better.evaluate(VALID)["log_loss"] < plain.evaluate(VALID)["log_loss"]


def one_class(log: Impressions, value: float) -> Impressions:
    return replace(log, label=np.full(len(log), value, np.float32))


class TestBadInput:
    @pytest.mark.parametrize("value", [0, 1])
    def test_labels_of_one_class_are_refused(self, value: int) -> None:
        words = f"the log has labels of one class; expected both 0 and 1; got .* rows, all {value}"
        with pytest.raises(DataError, match=words):
            CtrModel(recipe()).fit(one_class(TRAIN, value), VALID)
        with pytest.raises(DataError, match="the valid part has labels of one class"):
            CtrModel(recipe()).fit(TRAIN, one_class(VALID, value))

    def test_a_log_without_labels_is_refused(self) -> None:
        with pytest.raises(DataError, match="the log has no labels; expected a label in every row"):
            CtrModel(recipe()).fit(replace(TRAIN, label=None), VALID)

    def test_shared_rows_need_users_and_items(self) -> None:
        fields = tuple(one for one in TRAIN.fields if one.owner == "row")
        nobody = replace(
            TRAIN, users=None, user=None, items=None, item=None, sides={}, fields=fields
        )
        words = "table.method: the log has no users and items to share rows; got graph"
        with pytest.raises(UsageError, match=words):
            CtrModel(recipe("dcn", "graph")).fit(nobody, epochs=1)
        made = CtrModel(recipe()).fit(nobody, epochs=1)
        assert made.fitted.made is None and made.logits(nobody).std() > 0

    def test_a_rate_out_of_all_measure_is_named(self) -> None:
        asked = {"learning_rate": 1e30, "epochs": 3}
        with pytest.raises(UsageError, match="log loss.*Take a smaller training.learning_rate"):
            fitted(training=asked)

    def test_a_model_that_has_run_away_is_a_clear_error(self, tmp_path: Path) -> None:
        """Bug: what was measured was no number, and the journal could not write it."""
        asked = recipe(training={"learning_rate": 1e7, "epochs": 3})
        with pytest.raises(UsageError, match="smaller training.learning_rate than 1e\\+07"):
            CtrModel(asked).fit(TRAIN, VALID, folder=tmp_path)

    def test_a_device_that_is_not_there_is_named(self) -> None:
        with pytest.raises(RecipeError, match="training.device: torch cannot train there"):
            fitted(training={"device": "nowhere"})


def test_positive_edges_make_another_graph_with_the_same_ids() -> None:
    every, liked = (fitted("dcn", "graph", edges=one).fitted.made for one in ("all", "positive"))
    assert every is not None and liked is not None
    assert every.users.ids.equals(liked.users.ids) and every.items.ids.equals(liked.items.ids)
    assert every.fingerprint() != liked.fingerprint()


def test_metrics_are_those_of_the_logits() -> None:
    model = fitted()
    assert TEST.label is not None
    assert model.evaluate(TEST) == judged(model.logits(TEST), TEST.label)
