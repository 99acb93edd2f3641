"""The whole job as one call: hold out, fit, measure, fit again on everything, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hashrec.costs import Clock, peak_rss_mb
from hashrec.ctr.fit import check_alike, check_labels
from hashrec.ctr.model import CtrModel
from hashrec.ctr.recipe import CtrRecipe
from hashrec.ctr_folder import check_ctr_target
from hashrec.folder import check_training_folder, training_folder
from hashrec.impressions import Impressions
from hashrec.progress import SILENT, Progress

__all__ = ["CtrJob", "CtrOutcome", "run_ctr"]

_STAGES = ("fit", "everything")


@dataclass(frozen=True)
class CtrJob:
    """What to do with the impressions.

    Attributes:
        recipe: of the model. out: the folder to write.
        measure: whether to evaluate at all. refit: fit again on everything but a test part that
            was given, for as many epochs.
        fresh: do not go on from checkpoints of a fit that was interrupted.
        listeners: told of every event of training.
    """

    recipe: CtrRecipe
    out: Path
    measure: bool = True
    refit: bool = True
    fresh: bool = False
    listeners: Sequence[Callable[[Mapping[str, Any]], None]] = ()

    @cached_property  # `.` is another folder once a model has been put in its place
    def folder(self) -> Path:
        """Beside the model: where checkpoints and the journal are kept."""
        return training_folder(self.out)

    def forget(self) -> None:
        """Removes checkpoints; the journal stays."""
        for stage in _STAGES:
            (self.folder / f"{stage}-ctr.safetensors").unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class CtrOutcome:
    """The model written, and what was found, JSON-ready: measures, epochs, sizes, seconds."""

    model: CtrModel
    result: dict[str, Any]


def run_ctr(
    log: Impressions,
    test: Impressions | None,
    job: CtrJob,
    *,
    read_seconds: float = 0.0,
    progress: Progress = SILENT,
) -> CtrOutcome:
    """Fits on `log` and evaluates on `test`, or on a part held out where there is none.

    Training stops by a valid part: the log's own, or one carved from it. With `refit`, a second fit
    of as many epochs learns that part, too: before measuring where `test` was given; after
    measuring where it was held out, which is then learned as well.

    `read_seconds`: what reading took, for the report. Raises before any work where `job.out` cannot
    take a model or `job.folder` cannot be a folder.
    """
    check_ctr_target(job.out)
    check_training_folder(job.folder)
    if job.fresh:
        job.forget()
    clock = Clock({"read": read_seconds})
    train, valid, test, held_out = _parts(log, test, job)
    watching: dict[str, Any] = {
        "folder": job.folder, "listeners": job.listeners, "progress": progress,
    }  # fmt: skip
    with clock.time("fit"):
        model = CtrModel(job.recipe).fit(train, valid, **watching)
    result = _measured(model, test, clock) if held_out else {}
    if job.refit:
        progress.note("fitting again on everything, for the model that is written")
        found = {"epochs": model.fitted.facts["epochs"], "calibration": model.fitted.calibration}
        with clock.time("refit"):
            model = CtrModel(job.recipe).fit(log, **found, stage="everything", **watching)
    if not held_out:
        result = _measured(model, test, clock)
    result |= {"held_out": held_out} if test is not None else {}
    result["refitted"] = job.refit
    model = model.with_facts(metrics=result)
    with clock.time("write"):
        files = model.save(job.out)
    job.forget()
    return CtrOutcome(model, {
        **result,
        "epochs": model.fitted.facts["epochs"],
        **model.fitted.sizes(),
        "model_bytes": sum(files.values()),
        "files": files,
        "seconds": clock.rounded(),
        "peak_rss_mb": peak_rss_mb(),
    })  # fmt: skip


def _parts(
    log: Impressions, test: Impressions | None, job: CtrJob
) -> tuple[Impressions, Impressions | None, Impressions | None, bool]:
    """Train, valid, test, and whether the test part was held out of train here."""
    train, valid = log.parts() or (log, None)
    if not job.measure:
        return train, valid, None, False
    held_out = test is None
    if test is None:
        train, test = train.split(job.recipe.holdout)
    check_labels(test, "the test part")  # before any work, not after it
    check_alike(log, test, "the test part")
    return train, valid, test, held_out


def _measured(model: CtrModel, test: Impressions | None, clock: Clock) -> dict[str, Any]:
    if test is None:
        return {}
    with clock.time("evaluate"):
        return {**model.evaluate(test), "impressions_evaluated": len(test)}
