"""Training with codes in the loop: from a trained module to codes of its users and items."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from hashrec.errors import UsageError
from hashrec.hashing.centred import Centred
from hashrec.hashing.coded import CodedModule
from hashrec.hashing.outcome import Learned
from hashrec.learning import Loss, Source, Task, Training
from hashrec.threads import threads
from hashrec.training.backbone import Backbone
from hashrec.training.batches import Batches, check_sampler
from hashrec.training.everything import precision_of
from hashrec.training.fit import Trained, lengths, refresher, teller
from hashrec.training.keeping import Keeper, checksum
from hashrec.training.run import Run

if TYPE_CHECKING:
    from hashrec.hashing.learned import LearnedCoder

__all__ = ["learn"]

Floats = npt.NDArray[np.float32]


def learn(task: Task, coder: LearnedCoder, trained: Trained) -> Learned:
    """See `LearnedCoder.learn`."""
    began = time.perf_counter()
    torch.set_num_threads(threads())
    with _left_as_it_was(trained.module) as start:
        run = _run(task, coder, trained, start)
        outcome = run.train()
        module = run.module
        assert isinstance(module, CodedModule)
        module.eval()
        _check_finite(trained.module.export(), coder)
        _check_finite(module.export(), coder)
        factors = partial(lengths, loss=coder.small, source=run.batches.source)
        users, items = module.served(factors)
        numbers = module.ranked(factors)
        facts = {
            "epochs": outcome.epoch,
            "seconds": round(time.perf_counter() - began, 3),
            **module.facts(),
        }
    return Learned(users, items, numbers, facts)


@contextmanager
def _left_as_it_was(inner: Backbone) -> Iterator[str]:
    """Gives the checksum of what a module is at; afterwards it is there again: weights, mode and
    device, and no gradients."""
    kept = {name: one.clone() for name, one in inner.state_dict().items()}
    modes = [(part, part.training) for part in inner.modules()]
    device = inner.item_table.weight.device
    try:
        yield checksum(kept)
    finally:
        inner.to(device).load_state_dict(kept)
        inner.zero_grad(set_to_none=True)
        for part, mode in modes:
            part.training = mode


def _run(task: Task, coder: LearnedCoder, trained: Trained, start: str) -> Run:
    loss, inner = coder.small, trained.module
    check_sampler(loss)
    options = _options(task.training, coder, loss)
    source = Source(task.log.matrix, task.log.matrix.column_counts())
    batches = Batches(source, loss, task.seed, options.batch, options.device)
    if coder.centre:
        inner = Centred(inner, unit=loss.cosine)
    module = coder.build(inner, task).to(options.device)
    again = refresher(task, batches)

    def refresh(now: Backbone) -> None:
        assert isinstance(now, CodedModule)
        if again is not None:
            again(now)
        now.refresh(run.outcome.epoch, coder.epochs, batches)

    run = Run(
        module, batches, options, coder.epochs, before_epoch=refresh,
        keeper=_keeper(task, coder, trained, options, start),
        tell=teller(task.folder, task.stage, "codes", task.listeners),
        progress=task.progress, section="codes",
    )  # fmt: skip
    return run


def _keeper(
    task: Task, coder: LearnedCoder, trained: Trained, options: Training, start: str
) -> Keeper | None:
    """Refuses checkpoints of anything else. Two encoders may have the same weights at the start
    and differ in what is no weight: layers, features."""
    if task.folder is None:
        return None
    identity = {
        "codes": coder.to_dict(), "training": options.to_dict(), "seed": task.seed,
        "precision": str(precision_of(options.precision, options.device)),
        "data": task.log.fingerprint(), "start": start, "encoder": dict(trained.identity),
    }  # fmt: skip
    return Keeper(task.folder / f"{task.stage}-codes.safetensors", identity)


def _options(training: Training, coder: LearnedCoder, loss: Loss) -> Training:
    changed = {"loss": loss, "epochs": coder.epochs, "learning_rate": coder.learning_rate,
               "schedule": "cosine", "warmup": 0.0}  # fmt: skip
    return training.model_copy(update=changed)


def _check_finite(sides: tuple[Any, Any], coder: LearnedCoder) -> tuple[Any, Any]:
    """Gives back both sides; raises UsageError for vectors that codes have no place for. A length
    beyond float32 is one, too: brought to length one, such a vector would be zero."""
    for side, vectors in zip(("user", "item"), sides, strict=True):
        bad = ~torch.isfinite(torch.linalg.vector_norm(vectors, dim=1))
        if bool(bad.any()):
            raise UsageError(
                f"training ended in {side} vectors that are not finite, or beyond all measure",
                name=f"{coder.name} codes", expected="vectors of a finite length",
                got=f"{int(bad.sum())} others",
                fix=f"take a smaller codes.learning_rate than {coder.learning_rate:g}",
            )  # fmt: skip
    return sides
