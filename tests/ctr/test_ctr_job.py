"""The whole job: what is held out, measured, fitted again and written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctr_cases import REST, TEST, recipe

from hashrec.ctr import CtrModel, load_ctr
from hashrec.ctr.job import CtrJob, run_ctr
from hashrec.errors import DataError, OutputError
from hashrec.impressions import Impressions

KEYS = {
    "auc", "log_loss", "calibration_error", "predicted_over_true", "impressions_evaluated",
    "held_out", "epochs", "table_rows", "table_bytes", "parameters", "parameter_bytes",
    "model_bytes", "files", "seconds", "peak_rss_mb", "refitted",
}  # fmt: skip
ASKED = recipe(training={"epochs": 4, "patience": 1, "learning_rate": 0.03})


def job(out: Path, **options: Any) -> CtrJob:
    return CtrJob(ASKED, out, **options)


def again(model: CtrModel, log: Impressions) -> CtrModel:
    """Fitted anew on `log`, for the epochs and with the calibration that were found."""
    found = model.fitted
    return CtrModel(ASKED).fit(
        log, epochs=found.facts["epochs"], calibration=found.calibration
    )  # fmt: skip


def test_a_given_test_part_is_measured_by_what_has_learned_the_valid_part(tmp_path: Path) -> None:
    """Bug: the tenth that showed when to stop was never learned."""
    outcome = run_ctr(REST, TEST, job(tmp_path / "model"))
    assert set(outcome.result) == KEYS and outcome.result["held_out"] is False
    written = again(CtrModel(ASKED).fit(REST), REST)
    assert outcome.result["auc"] == written.evaluate(TEST)["auc"]
    assert set(outcome.result["seconds"]) == {"read", "fit", "refit", "evaluate", "write"}
    opened = load_ctr(tmp_path / "model", verify=True)
    assert (opened.logits(TEST) == written.logits(TEST)).all()
    assert opened.fitted.facts["metrics"]["log_loss"] == outcome.result["log_loss"]


def test_a_valid_part_of_the_log_shows_when_to_stop(tmp_path: Path) -> None:
    log = replace(REST, n_valid=200)
    parts = log.parts()
    assert parts is not None
    train, valid = parts
    assert len(valid) == 200 and train.n_valid == 0
    outcome = run_ctr(log, TEST, job(tmp_path / "model", refit=False))
    alone = CtrModel(ASKED).fit(train, valid)
    assert outcome.result["refitted"] is False
    for made in (outcome.model, CtrModel(ASKED).fit(log)):
        np.testing.assert_array_equal(made.logits(TEST), alone.logits(TEST))
    outcome = run_ctr(log, TEST, job(tmp_path / "model"))
    np.testing.assert_array_equal(outcome.model.logits(TEST), again(alone, log).logits(TEST))


def test_without_a_test_part_one_is_held_out_and_then_learned_too(tmp_path: Path) -> None:
    outcome = run_ctr(REST, None, job(tmp_path / "model"))
    assert set(outcome.result) == KEYS and outcome.result["refitted"] is True
    assert outcome.result["held_out"] is True
    train, test = REST.split(ASKED.holdout)
    measured = CtrModel(ASKED).fit(train)
    assert outcome.result["impressions_evaluated"] == len(test)
    assert outcome.result["auc"] == measured.evaluate(test)["auc"]
    facts, found = outcome.model.fitted.facts, measured.fitted
    assert facts["impressions"] == len(REST)
    assert facts["epochs"] == found.facts["epochs"] and facts["history"] == []
    assert outcome.model.fitted.calibration == found.calibration


def test_no_refit_keeps_the_model_that_was_measured(tmp_path: Path) -> None:
    outcome = run_ctr(REST, None, job(tmp_path / "model", refit=False))
    train, test = REST.split(ASKED.holdout)
    assert outcome.result["refitted"] is False
    np.testing.assert_array_equal(
        outcome.model.logits(test), CtrModel(ASKED).fit(train).logits(test)
    )


def test_nothing_is_measured_on_request(tmp_path: Path) -> None:
    outcome = run_ctr(REST, None, job(tmp_path / "model", measure=False))
    assert not {"auc", "held_out"} & set(outcome.result)
    assert outcome.model.fitted.facts["impressions"] == len(REST)


def test_a_job_that_was_killed_goes_on_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    asked = job(tmp_path / "model")

    def kill(event: Any) -> None:
        if event["stage"] == "everything":
            raise Killed

    with pytest.raises(Killed):
        run_ctr(REST, None, job(tmp_path / "model", listeners=[kill]))
    assert (asked.folder / "fit-ctr.safetensors").exists() and not (tmp_path / "model").exists()
    told: list[Any] = []
    outcome = run_ctr(REST, None, job(tmp_path / "model", listeners=[told.append]))
    epochs = {event["stage"] for event in told if event["event"] == "epoch"}
    assert epochs == {"everything"}  # the first fit was done
    fresh = run_ctr(REST, None, job(tmp_path / "other", fresh=True))
    np.testing.assert_array_equal(outcome.model.logits(TEST), fresh.model.logits(TEST))
    assert [one.name for one in asked.folder.iterdir()] == ["journal.jsonl"]


def test_places_that_cannot_be_written_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="something that is no model of clicks stands there"):
        run_ctr(REST, None, job(tmp_path / "file"))
    (tmp_path / "model.training").write_text("mine")
    with pytest.raises(OutputError, match="journal of training are kept there; expected a folder"):
        run_ctr(REST, None, job(tmp_path / "model"))


def test_a_test_part_of_other_fields_is_refused_before_any_work(tmp_path: Path) -> None:
    other = replace(TEST, fields=tuple(one for one in TEST.fields if one.name != "hour"))
    words = (
        "hour: the test part has other fields than the log; .* got no such field. Add the column"
    )
    with pytest.raises(DataError, match=words):
        run_ctr(REST, other, job(tmp_path / "model"))
    assert not list(tmp_path.iterdir())
