"""Training with codes in the loop: from a trained module to codes of its users and items."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from hashrec.codes import Codes
from hashrec.hashing.centred import Centred
from hashrec.hashing.coded import CodedModule
from hashrec.learning import Loss, Source, Task, Training
from hashrec.threads import threads
from hashrec.training.backbone import Backbone
from hashrec.training.batches import Batches, check_sampler
from hashrec.training.fit import lengths, refresher, teller
from hashrec.training.keeping import Keeper, checksum
from hashrec.training.loop import Run

if TYPE_CHECKING:
    from hashrec.hashing.learned import LearnedCoder

__all__ = ["learn"]

Floats = npt.NDArray[np.float32]


def learn(
    task: Task, coder: LearnedCoder, inner: Backbone
) -> tuple[Floats | Codes, Codes, dict[str, Any]]:
    """See `LearnedCoder.learn`."""
    began = time.perf_counter()
    torch.set_num_threads(threads())
    kept = {name: one.clone() for name, one in inner.state_dict().items()}
    try:
        run = _run(task, coder, inner, checksum(kept))
        outcome = run.train()
        module = run.module
        assert isinstance(module, CodedModule)
        module.eval()
        users, items = _served(module, run.batches.loss, run.batches.source)
    finally:
        inner.load_state_dict(kept)
    facts = {
        "epochs": outcome.epoch,
        "seconds": round(time.perf_counter() - began, 3),
        **module.facts(),
    }
    return users, items, facts


def _run(task: Task, coder: LearnedCoder, inner: Backbone, start: str) -> Run:
    loss = coder.loss
    check_sampler(loss)
    options = _options(task.training, coder, loss)
    source = Source(task.log.matrix, task.log.matrix.column_counts())
    batches = Batches(source, loss, task.seed, options.batch, options.device)
    if coder.centre:
        inner = Centred(inner, unit=loss.cosine)
    module = coder.build(inner, task).to(options.device)
    again = refresher(task, batches)

    def refresh(trained: Backbone) -> None:
        assert isinstance(trained, CodedModule)
        if again is not None:
            again(trained)
        trained.refresh(run.outcome.epoch, coder.epochs, batches)

    keeper = None
    if task.folder is not None:
        identity = {
            "codes": coder.to_dict(), "training": options.to_dict(), "seed": task.seed,
            "data": task.log.fingerprint(), "start": start,
        }  # fmt: skip
        keeper = Keeper(task.folder / f"{task.stage}-codes.safetensors", identity)
    run = Run(
        module, batches, options, coder.epochs, before_epoch=refresh, keeper=keeper,
        tell=teller(task, "codes"), progress=task.progress,
    )  # fmt: skip
    return run


def _options(training: Training, coder: LearnedCoder, loss: Loss) -> Training:
    changed = {"loss": loss, "epochs": coder.epochs, "learning_rate": coder.learning_rate,
               "schedule": "cosine", "warmup": 0.0}  # fmt: skip
    return training.model_copy(update=changed)


def _served(module: CodedModule, loss: Loss, source: Source) -> tuple[Floats | Codes, Codes]:
    """Both sides as searches want them: multiplied by what the loss ranks by."""
    vectors = [side.cpu().numpy() for side in module.export()]
    factors = lengths(vectors[0], vectors[1], loss, source)
    users, items = module.codes()
    assert items is not None
    if users is None:
        return vectors[0] * factors[0][:, None], _scaled(items, factors[1])
    return _scaled(users, factors[0]), _scaled(items, factors[1])


def _scaled(codes: Codes, factors: Floats) -> Codes:
    """Rows times factors; without scales where they are all the same, which ranks nothing."""
    scales = factors if codes.scales is None else factors * codes.scales
    if np.ptp(scales) <= 1e-5 * np.abs(scales).max(initial=0.0):
        return replace(codes, scales=None)
    return replace(codes, scales=scales.astype(np.float32))
