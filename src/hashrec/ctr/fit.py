"""From impressions to a trained predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hashrec.bucketing import Buckets
from hashrec.ctr.calibration import Calibration
from hashrec.ctr.examples import Examples, Lots, examples_of
from hashrec.ctr.features import features_of
from hashrec.ctr.predictor import Predictor, build
from hashrec.ctr.recipe import CtrRecipe
from hashrec.ctr.run import CtrRun, logits_of
from hashrec.errors import DataError, UsageError
from hashrec.impressions import Impressions, Schema
from hashrec.progress import SILENT, Progress
from hashrec.threads import threads
from hashrec.training.fit import check_device, check_epochs, teller
from hashrec.training.keeping import Keeper

__all__ = ["Trained", "check_alike", "check_labels", "train"]


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gave.

    Attributes:
        made: rows of users and items, or None. calibration: of the predictor's logits.
        facts: JSON-ready: epochs, seconds and history of training, sizes, impressions, positives,
            the calibration, and the fingerprint of the rows.
    """

    schema: Schema
    made: Buckets | None
    predictor: Predictor
    calibration: Calibration
    facts: dict[str, Any]


def train(
    recipe: CtrRecipe,
    log: Impressions,
    valid: Impressions | None = None,
    *,
    epochs: int | None = None,
    calibration: Calibration | None = None,
    folder: Path | None = None,
    stage: str = "fit",
    listeners: Sequence[Callable[[Mapping[str, Any]], None]] = (),
    progress: Progress = SILENT,
) -> Trained:
    """Trains on `log` and keeps the weights of the epoch that was best on `valid`.

    Args:
        valid: None: that of `log`, or else carved from it as the recipe says.
        epochs: chosen before: that many are run, and nothing is held out. calibration: found
            before, to go with them.
        folder: where checkpoints and a journal go; a run that was killed goes on from them.
        stage: tells this fit from others that keep things there.
        listeners: told of every event of the journal. progress: told what is going on.

    Raises DataError for labels of one class, and for what cannot be learned from.
    """
    torch.set_num_threads(threads())
    check_device(recipe.training.device)
    log, valid = _parts(recipe, log, valid, epochs)
    schema = Schema.of(log, recipe.fields)
    made = _buckets(recipe, log, schema, progress)
    examples = examples_of(log, schema, made)
    watched = None if valid is None else examples_of(valid, schema, made)
    run = _run(recipe, schema, made, examples, watched, progress)
    if folder is not None:
        identity = {"recipe": recipe.to_dict(), "data": log.fingerprint(), "epochs": epochs,
                    "valid": None if valid is None else valid.fingerprint()}  # fmt: skip
        run.keeper = Keeper(folder / f"{stage}-ctr.safetensors", identity)
    run.tell = teller(folder, stage, "all" if valid is None else "choose", listeners)
    run.stop = epochs or recipe.training.epochs
    run.tell({"event": "start", "model": recipe.to_dict()["model"], "impressions": len(log)})
    run.train()
    run.tell({"event": "end", **run.outcome.told})
    run.module.cpu().eval()  # where any machine can score
    calibration = calibration or _calibration(run)
    return Trained(schema, made, run.module, calibration, _facts(log, made, run, calibration))


def _parts(
    recipe: CtrRecipe, log: Impressions, valid: Impressions | None, epochs: int | None
) -> tuple[Impressions, Impressions | None]:
    """What is learned, and what is looked at. Raises for what cannot be either."""
    if epochs is not None:
        check_epochs(epochs, recipe.training.epochs)
    check_labels(log, "the log")
    if "score" in (log.columns["user"], log.columns["item"]):
        raise DataError("a column of ids called 'score', as results are", name=log.report.source,
                        expected="any other name", fix="rename it")  # fmt: skip
    if not log.fields and log.users is None and log.items is None:
        raise DataError("a log of nothing but labels", expected="users and items, or fields",
                        fix="name the columns of users and items")  # fmt: skip
    if epochs is not None:
        if valid is not None:
            raise UsageError("a valid part for epochs that were chosen before",
                             expected="one of them")  # fmt: skip
        return log, None
    if valid is not None:
        check_alike(log, valid, "the valid part")
    else:
        log, valid = log.parts() or log.split(recipe.valid)
        check_labels(log, "what is left beside the valid part")
    check_labels(valid, "the valid part")
    return log, valid


def _facts(
    log: Impressions, made: Buckets | None, run: CtrRun, calibration: Calibration
) -> dict[str, Any]:
    outcome, module = run.outcome, run.module
    return {
        "epochs": outcome.best_epoch or outcome.epoch,
        "train_seconds": round(outcome.seconds, 3),
        "history": outcome.history,
        "parameters": module.n_parameters,
        "table_rows": module.id_rows,
        "impressions": len(log),
        "positives": log.positives,
        "calibration": vars(calibration),
        "buckets": None if made is None else made.fingerprint(),
    }


def _run(
    recipe: CtrRecipe,
    schema: Schema,
    made: Buckets | None,
    examples: Examples,
    valid: Examples | None,
    progress: Progress,
) -> CtrRun:
    training = recipe.training
    assert examples.label is not None
    bases = (*schema.bases, schema.n_tokens)
    lots = Lots(
        examples, min(training.batch, len(examples)), recipe.seed, training.negatives,
        training.unknown, bases, training.device,
    )  # fmt: skip
    seen = float(examples.label.sum()) * training.positives
    share = seen / (seen + lots.negatives_kept * float((examples.label == 0).sum()))
    module = build(recipe, schema, made, share).to(training.device)
    progress.note(
        f"training {module.n_parameters:,} parameters ({module.id_rows:,} rows of users and items)"
        f" on {lots.population:,} impressions, {len(lots)} steps an epoch"
    )
    return CtrRun(module, lots, training, training.epochs, valid=valid, progress=progress)


def _calibration(run: CtrRun) -> Calibration:
    """What the valid part says; without one, the correction of what training left out."""
    known = Calibration(offset=run.options.shift(run.batches.negatives_kept))
    if run.valid is None or run.valid.label is None or not run.options.calibrate:
        return known
    return Calibration.of(logits_of(run.module, run.valid), run.valid.label)


def _buckets(
    recipe: CtrRecipe, log: Impressions, schema: Schema, progress: Progress
) -> Buckets | None:
    """The rows of the ids of a log. All ids have a bucket, whichever impressions make the graph."""
    if log.users is None and log.items is None:
        if recipe.table.method.name != "full":
            raise UsageError(
                "the log has no users and items to share rows", name="table.method",
                got=recipe.table.method.name, fix="name both columns, or use fields.max_rows",
            )  # fmt: skip
        return None
    met = log.interactions()
    features = features_of(schema, met) if recipe.table.method.takes_features else {}
    if recipe.edges == "positive" and log.label is not None:
        met = log.interactions(log.label > 0, ids=met)
    width = recipe.dim + recipe.model.linear
    return recipe.table.buckets(met, width, recipe.seed, features, progress)


def check_alike(log: Impressions, other: Impressions, what: str) -> None:
    """Raises DataError where `other` has a field of another kind than `log`, or lacks one of rows:
    those of users and items are known from `log`."""
    kinds = {one.name: one.kind for one in other.fields}
    for one in log.fields:
        missing = one.name not in kinds
        if (missing and one.owner == "row") or (not missing and kinds[one.name] != one.kind):
            raise DataError(
                f"{what} has other fields than the log", name=one.name,
                expected=f"a {one.kind} field", got=kinds.get(one.name, "no such field"),
                fix="add the column" if missing else "read it with the kinds of the log",
            )  # fmt: skip


def check_labels(log: Impressions, what: str) -> None:
    """Raises DataError for no labels, and for labels of one class."""
    if log.label is None:
        raise DataError(f"{what} has no labels", expected="a label in every row")
    if len(np.unique(log.label)) < 2:
        got = "no row" if not len(log) else f"{len(log):,} rows, all {log.label[0]:g}"
        raise DataError(
            f"{what} has labels of one class", expected="both 0 and 1", got=got,
            fix="give more data, another label column, or another threshold",
        )  # fmt: skip
