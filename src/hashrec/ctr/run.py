"""The training loop around a model of clicks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from hashrec.ctr.examples import Examples, Lots
from hashrec.ctr.predictor import Predictor
from hashrec.ctr.recipe import CtrTraining
from hashrec.evaluation import judged
from hashrec.training.loop import Loop

__all__ = ["CtrRun", "logits_of"]

_AT_ONCE = 8_192


@dataclass(eq=False)
class CtrRun(Loop):
    """Log loss, stopped by AUC.

    Attributes:
        valid: what is looked at after an epoch; None: nobody looks.
    """

    module: Predictor
    batches: Lots
    options: CtrTraining
    valid: Examples | None = None

    metric: ClassVar[str] = "auc"

    def loss(self, batch: Any) -> Any:
        self.module.noise.restart(batch.key)
        looked = self.module.inputs(*batch.inputs)
        logits = self.module.body(looked) + self.module.bias
        weight = torch.tensor(self.options.positives, device=logits.device)
        loss = binary_cross_entropy_with_logits(logits, batch.label, pos_weight=weight)
        if self.options.decay:
            squares = looked.vectors.square().sum() / (2 * len(logits))
            loss = loss + self.options.decay * squares
        return loss

    @property
    def loss_name(self) -> str:
        return "log loss"

    @property
    def watched(self) -> bool:
        return self.valid is not None

    def measured(self) -> Mapping[str, float]:
        assert self.valid is not None and self.valid.label is not None
        shift = self.options.shift(self.batches.negatives_kept)
        found = logits_of(self.module, self.valid) + shift
        return judged(found, self.valid.label)


def logits_of(module: Predictor, examples: Examples) -> npt.NDArray[np.float32]:
    """(n,) float32 logits as the module gives them, wherever it is."""
    was_training = module.training
    if was_training:  # one that serves is left alone: others may be asking it at the same time
        module.eval()
    device = str(module.bias.device)
    parts = [np.zeros(0, np.float32)]
    with torch.inference_mode():
        for first in range(0, len(examples), _AT_ONCE):
            batch = examples.batch(slice(first, first + _AT_ONCE), device)
            parts.append(module(*batch.inputs).cpu().numpy())
    if was_training:
        module.train()
    return np.concatenate(parts)
