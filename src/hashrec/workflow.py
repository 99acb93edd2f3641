"""The whole job as one call: read parts, fit, measure beside full precision, refit, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hashrec.artifact import check_target
from hashrec.budget import choose
from hashrec.costs import Clock, peak_rss_mb
from hashrec.csr import Csr
from hashrec.encoders import Encoding, TrainedEncoder
from hashrec.errors import DataError
from hashrec.evaluation.protocols import protocol_named
from hashrec.folder import check_training_folder, training_folder
from hashrec.interactions import Interactions, Parts
from hashrec.progress import SILENT, Progress
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender

__all__ = ["Job", "Outcome", "run", "union"]

# Checkpoints of the two fits of a job are named STAGE-PART.safetensors.
_STAGES, _PARTS = ("fit", "everything"), ("choose", "all", "codes")


@dataclass(frozen=True)
class Job:
    """What to do with the parts.

    Attributes:
        recipe: of the model. out: the folder to write.
        ks, protocol: of the evaluation. measure: whether to evaluate at all.
        refit: where a test part had to be held out, fit again on everything before writing.
        fresh: do not go on from checkpoints of a fit that was interrupted.
        features: see `Recommender.encode`; by position, the same for all parts.
        listeners: likewise.
        budget: bytes an item; codes and dimensions are then chosen within it, on a part of train.
    """

    recipe: Recipe
    out: Path
    ks: Sequence[int] = (20,)
    protocol: str = "lightgcn"
    measure: bool = True
    refit: bool = True
    fresh: bool = False
    features: Mapping[str, Any] = field(default_factory=dict)
    listeners: Sequence[Callable[[Mapping[str, Any]], None]] = ()
    budget: int | None = None

    @cached_property  # `.` is another folder once a model has been put in its place
    def folder(self) -> Path | None:
        """Beside the model: where an encoder that trains keeps checkpoints and its journal."""
        if not isinstance(self.recipe.encoder, TrainedEncoder):
            return None
        return training_folder(self.out)


@dataclass(frozen=True, eq=False)
class Outcome:
    """The model written, and what was found (JSON-ready, with the fixed keys of the design)."""

    model: Recommender
    result: dict[str, Any]


def run(
    parts: Parts, job: Job, *, read_seconds: float = 0.0, progress: Progress = SILENT
) -> Outcome:
    """Fits on train (and valid) and evaluates on test, or on a part held out where there is none.

    Raises before any work where `job.out` cannot take a model, `job.folder` cannot be a folder or
    the protocol is unknown.
    """
    check_target(job.out)
    check_training_folder(job.folder)
    protocol_named(job.protocol)
    clock = Clock({"read": read_seconds})
    with clock.time("split"):
        train, test, held_out = _parts(parts, job)
    _forget(job, only_if=job.fresh)
    result: dict[str, Any] = {}
    if job.budget is not None:
        with clock.time("budget"):
            recipe, tried = choose(train, job.recipe, job.budget, job.features, progress)
        job = replace(job, recipe=recipe)
        result["budget"] = {"bytes": job.budget, "tried": [vars(trial) for trial in tried]}
    encoding, model = _fit(train, job, "fit", clock, progress, valid=parts.valid)
    if test is not None:
        with clock.time("evaluate"):
            result |= _measure(model, train, encoding, test, job, progress)
        result["held_out"] = held_out
    if held_out and job.refit:
        progress.note("fitting again on everything, for the model that is written")
        result["refitted"] = True
        epochs = encoding.facts.get("epochs")
        _, model = _fit(_everything(parts), job, "everything", clock, progress, epochs=epochs)
    model = model.with_facts(metrics=result, data=parts.train.report.to_dict())
    with clock.time("write"):
        files = model.save(job.out)
        _forget(job)
    result |= _sizes(model, files) | {
        "seconds": clock.rounded(),
        "peak_rss_mb": peak_rss_mb(),
    }
    return Outcome(model, result)


def _parts(parts: Parts, job: Job) -> tuple[Interactions, Interactions | None, bool]:
    """Train with valid, test, and whether the test part was held out of train here."""
    if parts.test is not None or not job.measure:
        return _everything(parts), parts.test if job.measure else None, False
    train, test = parts.train.split(job.recipe.holdout)
    if test.n_interactions == 0:
        raise DataError(
            "nothing could be held out to evaluate on",
            got=f"{parts.train.n_interactions} interactions of {parts.train.n_users} users",
            fix="give a test part with --test, or skip the evaluation with --no-evaluate",
        )
    return _everything(replace(parts, train=train)), test, True


def _everything(parts: Parts) -> Interactions:
    """What may be learned from: train and, where there is one, valid."""
    return parts.train if parts.valid is None else union(parts.train, parts.valid)


def union(one: Interactions, other: Interactions) -> Interactions:
    """Both parts of one folder, which share their ids, as one."""
    rows = np.concatenate([one.matrix.row_of_entry, other.matrix.row_of_entry])
    columns = np.concatenate([one.matrix.indices, other.matrix.indices])
    return one.with_matrix(Csr.from_pairs(rows, columns, n_rows=one.n_users, n_columns=one.n_items))


def _fit(
    train: Interactions,
    job: Job,
    stage: str,
    clock: Clock,
    progress: Progress,
    *,
    epochs: int | None = None,
    valid: Interactions | None = None,
) -> tuple[Encoding, Recommender]:
    model = Recommender(job.recipe)
    with clock.time("encode"):
        encoding = model.encode(
            train, epochs=epochs, valid=valid, folder=job.folder, stage=stage,
            features=job.features, listeners=job.listeners, progress=progress,
        )  # fmt: skip
    with clock.time("code"):
        model.code(
            train, encoding, folder=job.folder, stage=stage, listeners=job.listeners,
            progress=progress,
        )  # fmt: skip
    return encoding, model


def _forget(job: Job, *, only_if: bool = True) -> None:
    """Removes the checkpoints of this model; the journal and the files of others stay."""
    if only_if and job.folder is not None:
        for name in (f"{stage}-{part}.safetensors" for stage in _STAGES for part in _PARTS):
            (job.folder / name).unlink(missing_ok=True)
            (job.folder / f".{name}.writing").unlink(missing_ok=True)  # of a kill


def _measure(
    model: Recommender,
    train: Interactions,
    encoding: Encoding,
    test: Interactions,
    job: Job,
    progress: Progress,
) -> dict[str, Any]:
    """The model's metrics, and under `full_precision` those of the vectors it was coded from;
    where it ranks in two stages, under `codes_alone` those of the first."""
    coded = model.evaluate(test, job.ks, protocol=job.protocol, progress=progress)
    floats = Recommender(job.recipe.full_precision()).code(train, encoding)
    exact = floats.evaluate(test, job.ks, protocol=job.protocol, progress=progress)
    alone: dict[str, Any] = {}
    if job.recipe.rerank:
        found = model.evaluate(test, job.ks, protocol=job.protocol, rerank=False, progress=progress)
        alone = {"codes_alone": found.metrics}
    held = model.heldout(test)
    repeated = _repeated(held.truth, model.fitted.seen)
    if repeated:
        progress.note(f"{repeated:,} test interactions are in train too: nothing can hit them")
    return {
        **coded.to_dict(),
        "unknown_test_users": held.unknown_users,
        "unknown_test_items": held.unknown_items,
        "repeated_test_interactions": repeated,
        **alone,
        "full_precision": {
            **exact.metrics,
            "bytes_per_item": floats.fitted.item_codes.bytes_per_row,
        },
    }


def _repeated(truth: Csr, seen: Csr) -> int:
    """How many test interactions are training interactions, which are never recommended."""
    wanted, taken = (part.row_of_entry * part.n_columns + part.indices for part in (truth, seen))
    return int(np.isin(wanted, taken).sum())


def _sizes(model: Recommender, files: dict[str, int]) -> dict[str, Any]:
    sizes = model.fitted.sizes()
    return {**sizes, "model_bytes": sum(files.values()), "files": files}
