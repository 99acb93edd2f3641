"""The layers that models of clicks are made of, drawn from one generator."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import skip_init

__all__ = ["Dropout", "Noise", "linear", "mlp"]


class Noise:
    """Where a module's random numbers come from, at first and at every step."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def restart(self, key: int) -> None:
        """From here on as if nothing had been drawn: a step depends on its own key alone."""
        self.generator.manual_seed(key)


class Dropout(nn.Module):  # type: ignore[misc]
    """torch's dropout draws from everybody's generator; this one from the module's own."""

    def __init__(self, share: float, noise: Noise) -> None:
        super().__init__()
        self.share, self.noise = share, noise

    def forward(self, x: Any) -> Any:
        if not self.training or not self.share:
            return x
        kept = torch.rand(x.shape, generator=self.noise.generator).to(x.device) >= self.share
        return x * kept / (1 - self.share)


def linear(inputs: int, outputs: int, noise: Noise, *, bias: bool = True) -> Any:
    """nn.Linear with U(-a, a) weights, a = sqrt(6 / (inputs + outputs)) (X. Glorot, Y. Bengio,
    AISTATS 2010), and a bias of 0."""
    # skip_init: what torch would draw first would come from everybody's generator.
    made = skip_init(nn.Linear, inputs, outputs, bias=bias)
    bound = (6 / (inputs + outputs)) ** 0.5
    with torch.no_grad():
        made.weight.uniform_(-bound, bound, generator=noise.generator)
        if bias:
            made.bias.zero_()
    return made


def mlp(inputs: int, hidden: Sequence[int], dropout: float, noise: Noise) -> Any:
    """Linear, ReLU and dropout for each width; without any, the identity."""
    layers: list[Any] = []
    for a, b in itertools.pairwise((inputs, *hidden)):
        layers += [linear(a, b, noise), nn.ReLU(), Dropout(dropout, noise)]
    return nn.Sequential(*layers)
