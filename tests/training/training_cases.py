"""What the tests of training share: a small log, modules made as encoders make them, and batches
that can be watched and interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hashrec.encoders import ENCODERS, TrainedEncoder
from hashrec.interactions import planted
from hashrec.learning import LOSSES, Batch, Source, Table, Task, Training
from hashrec.training.backbone import Backbone
from hashrec.training.batches import Batches
from hashrec.training.run import Run
from hashrec.watching import hardest

__all__ = [
    "BATCH",
    "LOG",
    "SMALL",
    "Watched",
    "batches_of",
    "interactions_of",
    "module_of",
    "run_of",
]

LOG = planted(300, 200, communities=6, degree=12, noise=0.1, seed=0).interactions
SMALL = planted(40, 30, communities=3, degree=5, noise=0.1, seed=1).interactions
BATCH = -(-SMALL.n_interactions // 7)  # makes 7 steps of SMALL


@dataclass(frozen=True, eq=False)
class Watched(Batches):
    """Batches that remember themselves, and call `before` with (epoch, step) ahead of each."""

    before: Callable[[int, int], None] = lambda epoch, step: None
    made: list[Batch] = field(default_factory=list)

    def batch(self, order: Any, epoch: int, step: int) -> Batch:
        self.before(epoch, step)
        self.made.append(super().batch(order, epoch, step))
        return self.made[-1]


def batches_of(
    log: Any, loss: Any, wanted: int | None = None, seed: int = 0, **more: Any
) -> Watched:
    source = Source(log.matrix, log.matrix.column_counts())
    return Watched(source, LOSSES.parse(loss), seed, wanted, **more)


def module_of(log: Any, training: Training, encoder: Any = "mf", **table: Any) -> Backbone:
    """The module an encoder of 8 dimensions, starting from noise, would train."""
    options = {"name": encoder} if isinstance(encoder, str) else encoder
    made = ENCODERS.parse({"dim": 8, "start": "normal", **options})
    assert isinstance(made, TrainedEncoder)
    task = Task(log, table=Table(**table), training=training)
    return made.build(task, log, task.table.buckets(log, 8, 0))


def run_of(log: Any = SMALL, encoder: Any = "mf", **options: Any) -> Run:
    """A run; `options` are those of `Training`, `Run` or `Watched`."""
    beside = {
        key: options.pop(key)
        for key in ("watch", "keeper", "tell", "stop", "before_epoch")
        if key in options
    }
    before = {"before": options.pop("before")} if "before" in options else {}
    table = options.pop("table", {})
    training = Training(**{"loss": "bpr", "batch": BATCH, "precision": "float32", **options})
    batches = batches_of(log, training.loss, training.batch, **before)
    if training.loss.drawing is not None and training.loss.drawing[0].pool:
        beside["before_epoch"] = refresher(batches, training.loss.drawing[0].pool)
    module = module_of(log, training, encoder, **table)
    return Run(module, batches, training, **{"stop": training.epochs, **beside})


def refresher(batches: Batches, pool: int) -> Callable[[Backbone], None]:
    def refresh(module: Backbone) -> None:
        users, items = (side.numpy() for side in module.export())
        batches.source.hardest = hardest(users, items, batches.source.seen, pool)

    return refresh


def interactions_of(rows: list[list[int]], n_items: int) -> Any:
    """A log with these items for users 0, 1, ...; ids are numbers."""
    from dataclasses import replace

    import pyarrow as pa

    from hashrec.csr import Csr
    from hashrec.interactions import Ids

    base = planted(len(rows), n_items, communities=1, degree=1, noise=0, seed=0).interactions
    matrix = Csr.from_lists(rows, n_columns=n_items)
    users, items = (Ids(pa.array(np.arange(n))) for n in (len(rows), n_items))
    return replace(base, users=users, items=items, matrix=matrix)
