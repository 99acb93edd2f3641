"""From a task to vectors: choose the number of epochs on a part held out, then learn from all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hashrec.bucketing import Buckets
from hashrec.csr import Csr
from hashrec.errors import DataError, RecipeError, UsageError
from hashrec.interactions import Interactions, UserSplit
from hashrec.learning import Loss, Source, Task
from hashrec.threads import threads
from hashrec.training.backbone import Backbone
from hashrec.training.batches import Batches, check_sampler
from hashrec.training.everything import precision_of
from hashrec.training.journal import Journal
from hashrec.training.keeping import Keeper
from hashrec.training.memory import estimate_mb
from hashrec.training.run import Run, Watch

__all__ = [
    "Trained",
    "check_device",
    "check_epochs",
    "lengths",
    "ranking",
    "refresher",
    "teller",
    "train",
]

Floats = npt.NDArray[np.float32]

_TINY = 1e-12  # the length under which torch, too, takes a vector for zero
Build = Callable[[Interactions, Buckets], Backbone]


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gave: float32 vectors of all ids, and JSON-ready facts.

    Attributes:
        module: with the weights that gave them. identity: JSON-ready; what was trained: the
            encoder's options, its table and its features.
    """

    users: Floats
    items: Floats
    facts: dict[str, Any]
    module: Backbone
    identity: Mapping[str, Any]


def train(task: Task, dim: int, build: Build, identity: Mapping[str, Any]) -> Trained:
    """Trains what `build` makes of a log and its buckets.

    Args:
        dim: of the vectors, for budgets in bytes. build: makes a module ready to be trained, the
            same for the same log, buckets and seed. identity: JSON-ready; what is trained.
    """
    check_sampler(task.training.loss)
    return _Fit(task, dim, build, identity).run()


@dataclass(frozen=True, eq=False)
class _Fit:
    task: Task
    dim: int
    build: Build
    identity: Mapping[str, Any]

    def run(self) -> Trained:
        training = self.task.training
        torch.set_num_threads(threads())
        check_device(training.device)
        epochs = self._known_epochs()
        if epochs is not None:
            return self._all(epochs, [])
        part, valid = self._parts()
        self._check_not_empty(valid, "nothing could be held out to watch training on")
        self._check_not_empty(part, "nothing is left to learn from beside the valid part")
        run, made = self._trained(part, training.epochs, "choose", valid)
        if not training.refit:
            return self._exported(run, made)
        return self._all(run.outcome.best_epoch, run.outcome.history)

    def _known_epochs(self) -> int | None:
        """How many to run, or None where they are to be chosen."""
        epochs, most = self.task.epochs, self.task.training.epochs
        if epochs is None:
            return most if self.task.training.valid == 0 else None
        check_epochs(epochs, most)
        return epochs

    def _parts(self) -> tuple[Interactions, Interactions]:
        """What is learned from while epochs are chosen, and what is watched."""
        log, valid = self.task.log, self.task.valid
        if valid is None:
            return log.split(UserSplit(test=self.task.training.valid, seed=self.task.seed))
        if not (log.users.array.equals(valid.users.array)
                and log.items.array.equals(valid.items.array)):  # fmt: skip
            raise DataError(
                "the valid part has other ids than the log", name="valid",
                expected="the users and items of the log, all of them",
                fix="read both with read_parts, or split one log",
            )  # fmt: skip
        rows, columns = log.matrix.row_of_entry, log.matrix.indices
        watched = valid.matrix.row_of_entry * log.n_items + valid.matrix.indices
        rest = ~np.isin(rows * log.n_items + columns, watched)
        shape = {"n_rows": log.n_users, "n_columns": log.n_items}
        return log.with_matrix(Csr.from_pairs(rows[rest], columns[rest], **shape)), valid

    def _check_not_empty(self, part: Interactions, problem: str) -> None:
        if not part.n_interactions:
            raise DataError(
                problem,
                got=f"{self.task.log.n_interactions} interactions",
                fix="set training.valid to 0 and training.epochs to a number you trust",
            )

    def _all(self, epochs: int, history: list[dict[str, float]]) -> Trained:
        run, made = self._trained(self.task.log, epochs, "all", None)
        run.outcome.history = history or run.outcome.history
        return self._exported(run, made)

    def _trained(
        self, log: Interactions, stop: int, part: str, valid: Interactions | None
    ) -> tuple[Run, Buckets]:
        task, training = self.task, self.task.training
        watch = None if valid is None else task.watcher(log, valid)
        made = task.table.buckets(log, self.dim, task.seed, task.features, task.progress)
        source = Source(log.matrix, log.matrix.column_counts())
        batches = Batches(source, training.loss, task.seed, training.batch, training.device)
        module = self.build(log, made).to(training.device)
        journal = teller(task.folder, task.stage, part, task.listeners)
        megabytes = estimate_mb(module, batches)
        task.progress.note(
            f"training {sum(one.numel() for one in module.parameters()):,} parameters on "
            f"{log.n_interactions:,} interactions, {len(batches)} steps an epoch; about "
            f"{megabytes:,.0f} MB more"
        )
        judged = None if watch is None else self._judge(watch, source)
        run = Run(
            module, batches, training, stop, watch=judged,
            before_epoch=refresher(task, batches),
            keeper=self._keeper(log, part, stop, valid),
            tell=journal, progress=task.progress,
        )  # fmt: skip
        journal(
            {
                "event": "start",
                "encoder": dict(self.identity),
                "interactions": log.n_interactions,
                "estimated_mb": round(megabytes, 1),
            }
        )
        run.train()
        journal({"event": "end", **run.outcome.told})
        return run, made

    def _exported(self, run: Run, made: Buckets) -> Trained:
        found = run.module.export()
        users, items = ranking(
            found[0].cpu().numpy(), found[1].cpu().numpy(), run.batches.loss, run.batches.source
        )
        facts = {
            "epochs": run.outcome.best_epoch or run.outcome.epoch,
            "train_seconds": round(run.outcome.seconds, 3),
            "table_rows": run.module.table_rows,
            "table_bytes": run.module.table_bytes,
            "parameters": sum(one.numel() for one in run.module.parameters()),
            "history": run.outcome.history,
            "buckets": made.fingerprint(),
        }
        return Trained(users, items, facts, run.module, self._subject())

    def _judge(self, watch: Watch, source: Source) -> Watch:
        loss = self.task.training.loss
        return lambda users, items: watch(*ranking(users, items, loss, source))

    def _keeper(
        self, log: Interactions, part: str, stop: int, valid: Interactions | None
    ) -> Keeper | None:
        task = self.task
        if task.folder is None:
            return None
        identity = {
            **self._subject(), "training": task.training.to_dict(),
            "precision": str(precision_of(task.training.precision, task.training.device)),
            "seed": task.seed, "data": log.fingerprint(), "part": part, "stop": stop,
            "valid": None if valid is None else valid.fingerprint(),
        }  # fmt: skip
        return Keeper(task.folder / f"{task.stage}-{part}.safetensors", identity)

    def _subject(self) -> dict[str, Any]:
        """What is trained, on whatever data."""
        features = {side: _digest(given) for side, given in self.task.features.items()}
        return {**self.identity, "table": self.task.table.to_dict(), "features": features}


def ranking(users: Floats, items: Floats, loss: Loss, source: Source) -> tuple[Floats, Floats]:
    """The vectors whose dot products rank: as the loss says."""
    sides = [side.astype(np.float32, copy=True) for side in (users, items)]
    for side, factors in zip(sides, lengths(users, items, loss, source), strict=True):
        side *= factors[:, None]
    return sides[0], sides[1]


def lengths(users: Floats, items: Floats, loss: Loss, source: Source) -> tuple[Floats, Floats]:
    """(n_users,) and (n_items,) what vectors are multiplied by before they rank."""
    found = []
    for side in (users, items):
        norms = np.maximum(np.linalg.norm(side, axis=1), _TINY) if loss.cosine else 1.0
        found.append(np.ones(len(side), np.float32) / norms)
    if loss.tilt:
        found[1] *= np.maximum(source.degrees, 1).astype(np.float32) ** loss.tilt
    return found[0], found[1]


def teller(
    folder: Path | None,
    stage: str,
    part: str,
    listeners: Sequence[Callable[[Mapping[str, Any]], None]],
) -> Callable[[Mapping[str, Any]], None]:
    """Who is told of training: the listeners, and the journal where there is a folder."""
    every = list(listeners)
    if folder is not None:
        every.append(Journal(folder / "journal.jsonl"))

    def tell(event: Mapping[str, Any]) -> None:
        for listener in every:
            listener({"stage": stage, "part": part, **event})

    return tell


def refresher(task: Task, batches: Batches) -> Callable[[Backbone], None] | None:
    """Before each epoch: the items that the loss's sampler draws from, where it asks for them."""
    drawing = batches.loss.drawing
    if drawing is None or not drawing[0].pool:
        return None
    pool = drawing[0].pool

    def refresh(module: Backbone) -> None:
        users, items = (side.cpu().numpy() for side in module.export())
        batches.source.hardest = task.finder(users, items, batches.source.seen, pool)

    return refresh


def check_epochs(epochs: int, most: int) -> None:
    """Raises UsageError for a number that no schedule of `most` epochs has."""
    if not 1 <= epochs <= most:
        raise UsageError(
            "so many epochs cannot be run", name="epochs", expected=f"1 to {most}",
            got=str(epochs), fix="for more, raise training.epochs, which rates are planned for",
        )  # fmt: skip


def check_device(name: str) -> None:
    """Raises RecipeError for a device that torch does not know or this machine does not have."""
    try:
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as fault:
        raise RecipeError(
            "torch cannot train there", name="training.device", got=name,
            expected="cpu, or a device of this machine such as cuda", fix=str(fault).split("\n")[0],
        ) from fault  # fmt: skip


def _digest(array: npt.ArrayLike) -> str:
    given = np.asarray(array)
    return hashlib.sha256(f"{given.shape}".encode() + given.tobytes()).hexdigest()
