"""From a model's logits to honest chances: one slope and one offset, found on a valid part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Calibration"]

Floats = npt.NDArray[np.float64]

_STEPS = 100
_ENOUGH = 1e-10
_LEAST = 0.01  # a slope
_PRIOR = 1e-6  # keeps separable labels from asking for an infinite slope


@dataclass(frozen=True)
class Calibration:
    """logit = slope * what the model gives + offset. A slope above 0 changes no order."""

    slope: float = 1.0
    offset: float = 0.0

    @classmethod
    def of(cls, logits: npt.NDArray[Any], label: npt.NDArray[np.float32]) -> Calibration:
        """The slope and the offset of least log loss, by Newton's method (J. Platt, "Probabilistic
        Outputs for Support Vector Machines", 1999; of the labels as they are).

        A model whose logits say next to nothing, or the contrary, keeps its slope, for a flat line
        would make ties of them; then only the offset is found.
        """
        z = np.asarray(logits, dtype=np.float64)
        found = _newton(np.stack([z, np.ones_like(z)], axis=1), label, np.array([1.0, 0.0]))
        if found[0] >= _LEAST:
            return cls(float(found[0]), float(found[1]))
        (offset,) = _newton(np.ones((len(z), 1)), label, np.zeros(1), z)
        return cls(1.0, float(offset))

    def applied(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n,) float32."""
        return (np.float32(self.slope) * logits + np.float32(self.offset)).astype(np.float32)


def _newton(
    columns: Floats, label: npt.NDArray[np.float32], start: Floats, beside: Floats | float = 0.0
) -> Floats:
    """The weights w of least mean log loss of `columns @ w + beside`, and a trace of ridge around
    the start; steps are halved until the loss, which is convex, falls."""

    def loss(weights: Floats) -> float:
        z = columns @ weights + beside
        ridge = _PRIOR / 2 * float(((weights - start) ** 2).sum())
        return float((np.logaddexp(0, z) - label * z).mean()) + ridge

    weights, now = start, loss(start)
    for _ in range(_STEPS):
        chances = np.exp(-np.logaddexp(0, -(columns @ weights + beside)))
        slope = columns.T @ (chances - label) / len(label) + _PRIOR * (weights - start)
        bend = (columns * (chances * (1 - chances))[:, None]).T @ columns / len(label)
        step = np.linalg.solve(bend + _PRIOR * np.eye(len(start)), slope)
        while loss(weights - step) > now and np.abs(step).max() > _ENOUGH:
            step = step / 2
        if np.abs(step).max() <= _ENOUGH:
            break
        weights = weights - step
        now = loss(weights)
    return weights
