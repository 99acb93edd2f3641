"""How much memory a run will take, told before it starts."""

from __future__ import annotations

from hashrec.training.backbone import Backbone
from hashrec.training.batches import Batches
from hashrec.training.everything import block_bytes

__all__ = ["estimate_mb"]


def estimate_mb(module: Backbone, batches: Batches) -> float:
    """Megabytes on top of the interactions: an upper guess, not a promise.

    Parameters four times (values, gradients, two moments of Adam), the vectors of all ids as
    often as the widest step holds them (forward, backward, and their sums: 6), the scores.
    """
    parameters = 4 * sum(int(one.nbytes) for one in module.parameters())
    seen = batches.source.seen
    vectors = 6 * 4 * module.width * (seen.n_rows + seen.n_columns) if module.propagates else 0
    loss = batches.loss
    if loss.over == "users":
        scores = block_bytes(seen.n_columns) + 6 * 4 * module.width * seen.n_columns
    else:
        drawn = 1 if loss.drawing is None else 1 + loss.drawing[1]
        each = 4 * drawn if loss.shared else 4 * module.width * drawn
        scores = 6 * batches.size * (each + 4 * module.width)
    return float(parameters + vectors + scores) / 1e6
