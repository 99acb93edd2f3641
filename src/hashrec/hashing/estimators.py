"""Estimators: what gradient passes through a step function, whose own is zero.

Each gives the value of a hard function h of x and the gradient of something else. x is in units
in which one is its usual size; g is the gradient that arrives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["SLOPES", "annealed", "guided", "scaled", "sloped"]


def sloped(x: Any, hard: Any, slope: Any) -> Any:
    """The value `hard`; its gradient is g * slope(x)."""
    back: Any = _Sloped.apply(x, hard, slope)
    return back


class _Sloped(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, x: Any, hard: Any, slope: Any) -> Any:
        ctx.save_for_backward(slope)
        return hard.detach().clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0], None, None


def identity(x: Any) -> Any:
    """1: the straight-through estimator (Y. Bengio et al., arXiv 1308.3432)."""
    return torch.ones_like(x)


def clipped(x: Any) -> Any:
    """1 where |x| <= 1, else 0: numbers far from the step stay (I. Hubara et al., NIPS 2016)."""
    return (x.abs() <= 1).to(x.dtype)


def dirac(x: Any, a: float = 1.0) -> Any:
    """(a / sqrt(pi)) exp(-(a x)^2), kept in [1e-8, 1]: the Dirac delta, which is the gradient of a
    step, as a narrow bell (H. Chen et al., "Learning Binarized Graph Representations with
    Multi-faceted Quantization Reinforcement for Top-K Recommendation", KDD 2022)."""
    return (a / math.sqrt(math.pi) * torch.exp(-((a * x) ** 2))).clamp(1e-8, 1)


def fourier(x: Any, terms: int = 8, w: float = 1.0) -> Any:
    """(4 w / pi) sum over odd i < terms of cos(i w x), kept in [-1, 1]: the derivative of the sign
    function's Fourier series (Y. Chen et al., "Bipartite Graph Convolutional Hashing for Effective
    and Efficient Top-N Search in Hamming Space", WWW 2023)."""
    total = sum(torch.cos(i * w * x) for i in range(1, terms, 2))
    return (4 * w / math.pi * total).clamp(-1, 1)


# Slopes by name, each a function of x alone.
SLOPES: Mapping[str, Callable[[Any], Any]] = {
    "identity": identity,
    "clipped": clipped,
    "dirac": dirac,
    "fourier": fourier,
}


def scaled(x: Any, hard: Any, delta: Any) -> Any:
    """The value `hard`; its gradient is g (1 + delta sign(g) (x - hard)), element by element.

    A step against g that leads back to the middle of the cell, hard, is made longer; one that leads
    away from it, and in the end out of the cell, shorter: at x = 0.3, hard = 0 and delta = 1, g = 1
    becomes 1.3 and g = -1 becomes -0.7. With delta = 0 it is the straight-through estimator.

    J. Lee et al., "Network Quantization with Element-wise Gradient Scaling", CVPR 2021, eq. 3;
    HQ-GNN (RecSys 2023) calls it GSTE.
    """
    back: Any = _Scaled.apply(x, hard, delta)
    return back


class _Scaled(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, x: Any, hard: Any, delta: Any) -> Any:
        ctx.save_for_backward(x - hard, torch.as_tensor(delta))
        return hard.detach().clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        error, delta = ctx.saved_tensors
        return g * (1 + delta * torch.sign(g) * error), None, None


def annealed(x: Any, sharpness: float) -> Any:
    """tanh(sharpness x) with its own gradient: no step at all, and ever more like one as training
    sharpens it (Z. Cao et al., "HashNet: Deep Learning to Hash by Continuation", ICCV 2017)."""
    return torch.tanh(sharpness * x)


def guided(soft: Any, hard: Any, share: float, generator: Any) -> Any:
    """Rows of `hard`, each with probability `share`, and rows of `soft` elsewhere.

    The continuous rows guide the codes: what the step distorts in one row is right in others
    (Q. Tan et al., "Learning to Hash with Graph Neural Networks for Recommender Systems",
    WWW 2020). soft, hard: (n, d).
    """
    drawn = torch.rand(len(soft), 1, generator=generator)
    return torch.where((drawn < share).to(soft.device), hard, soft)
