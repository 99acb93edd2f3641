"""The trace of a Hessian by random probes, and what HQ-GNN makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

__all__ = ["delta_of", "trace"]

_TOLERANCE = 1e-3
_PROBES = 50
_CALM = 3


def trace(loss: Callable[[Any], Any], at: Any, generator: Any) -> tuple[float, Any]:
    """The trace of the Hessian of `loss` at a point, and its gradient there.

    Hutchinson's estimator: the mean of v . H v over probes v of random signs, H v by
    differentiating the gradient once more. It stops where three probes in a row move the mean by
    less than a thousandth (one alone may do so by chance), at 50 probes at the latest.

    Args:
        loss: of a tensor like `at`; twice differentiable.
    """
    point = at.detach().clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(point), point, create_graph=True)
    total, mean, calm = 0.0, 0.0, 0
    for probe in range(1, _PROBES + 1):
        v = torch.randint(0, 2, point.shape, generator=generator).to(point) * 2 - 1
        (product,) = torch.autograd.grad(gradient, point, grad_outputs=v, retain_graph=True)
        total += float((v * product).sum())
        before, mean = mean, total / probe
        calm = calm + 1 if probe > 1 and abs(mean - before) <= _TOLERANCE * abs(mean) else 0
        if calm == _CALM:
            break
    return mean, gradient.detach()


def delta_of(losses: Sequence[Callable[[Any], Any]], at: Any, generator: Any) -> float:
    """max(0, mean over `losses` of (tr H / N) / (3 std g)), N numbers in `at`, g the gradient.

    J. Lee et al., "Network Quantization with Element-wise Gradient Scaling", CVPR 2021, sec. 3.3:
    how far a gradient is off after moving by the rounding error is about H times that error, and
    three standard deviations are the size of a large gradient. 0 where the gradient is constant.
    """
    found = []
    for loss in losses:
        whole, gradient = trace(loss, at, generator)
        spread = float(gradient.std())
        found.append(whole / at.numel() / (3 * spread) if spread > 0 else 0.0)
    return max(0.0, sum(found) / len(found))
