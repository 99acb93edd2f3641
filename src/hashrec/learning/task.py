"""What an encoder is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.interactions import Interactions
from hashrec.learning.options import Training
from hashrec.learning.table import Table
from hashrec.progress import SILENT, Progress

__all__ = ["Finder", "Task", "Watch"]

Floats = npt.NDArray[np.float32]

# (user vectors, item vectors) -> metrics, `recall@20` among them.
Watch = Callable[[Floats, Floats], Mapping[str, float]]
# (user vectors, item vectors, seen, k) -> (n_users, k) int32 best unseen items by one-bit codes.
Finder = Callable[[Floats, Floats, Csr, int], npt.NDArray[np.int32]]


def _nobody(*arguments: Any) -> Any:
    raise UsageError(
        "nobody is there to measure or to search while training",
        fix="fit with hashrec.Recommender, or set training.valid to 0 and take another sampler",
    )


@dataclass(frozen=True, eq=False)
class Task:
    """Interactions to learn from, and how.

    Attributes:
        log: the interactions. seed: of every draw. table, training: for encoders that train.
        epochs: to run, chosen before, 1 to training.epochs; None: choose them as `training` says.
        valid: a part of `log`, of the same ids, to watch training on, instead of one carved from
            it here.
        features: {"user": (n_users, f), "item": (n_items, f)} float32 by position, or without.
        watcher: (train, valid) -> how to measure vectors on valid. finder: see `Finder`; both
            come from rooms that training does not know.
        folder: where checkpoints and the journal are kept; None: nowhere.
        stage: tells this fit from others of the same recipe that keep things there.
        listeners: told of every event of training, a JSON-ready mapping.
    """

    log: Interactions
    seed: int = 0
    table: Table = field(default_factory=Table)
    training: Training = field(default_factory=Training)
    epochs: int | None = None
    valid: Interactions | None = None
    features: Mapping[str, Floats] = field(default_factory=dict)
    watcher: Callable[[Interactions, Interactions], Watch] = _nobody
    finder: Finder = _nobody
    folder: Path | None = None
    stage: str = "fit"
    listeners: tuple[Callable[[Mapping[str, Any]], None], ...] = ()
    progress: Progress = SILENT
