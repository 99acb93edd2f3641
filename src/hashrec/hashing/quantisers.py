"""Quantisers inside training: vectors in, what their codes decode to out, gradients through.

Each is one side of a model, a module whose `forward` is differentiable and whose `codes` gives
the packed codes. Out of training, `forward(x)` equals `codes(x).decode()` in every bit: both
compute level * gain in float32, whatever the gain is.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from hashrec.codes import Codes, Decoder, Rotation, pack
from hashrec.codes.coder import require_finite
from hashrec.hashing.estimators import SLOPES, annealed, scaled, sloped

__all__ = ["Plain", "Range", "Side", "Uniform", "packed", "sign", "size_of"]

# The outermost level, in standard deviations, of the uniform quantiser of 1 to 8 bits that leaves
# a normal variable the least squared error (J. Max, "Quantizing for minimum distortion", 1960).
BOUNDS = (0.798, 1.494, 2.051, 2.514, 2.916, 3.279, 3.613, 3.927)

Range = Literal["row", "dimension", "table"]
_TINY = 1e-12
_REACH = 3 / BOUNDS[0]  # three standard deviations, as in EWGS


class Side(nn.Module):  # type: ignore[misc]
    """One side of a model: what becomes of its vectors."""

    def forward(self, x: Any) -> Any:
        """(..., d) -> (..., code dimensions), differentiable."""
        raise NotImplementedError

    def codes(self, x: Any) -> Codes | None:
        """Codes of (n, d) vectors; None where the side stays float.

        Raises ValueError where a number is NaN or infinite, as `Coder.quantise` does.
        """
        require_finite(x.detach().cpu().numpy())
        with torch.no_grad():
            return self._codes(x)

    def _codes(self, x: Any) -> Codes | None:
        raise NotImplementedError


class Plain(Side):
    """No codes: the vectors as they are."""

    def forward(self, x: Any) -> Any:
        return x

    def _codes(self, x: Any) -> Codes | None:
        return None


class Uniform(Side):
    """b bits: level = 2 round((2^b - 1) (x / u + 1) / 2) - (2^b - 1), kept within 2^b - 1 of zero;
    out = level * gain.

    The outermost levels stand for -u and u, so gain = u / (2^b - 1), and at one bit out is
    u sign(x). u is k times the root mean square of each row (`row`; a scale a row), or one number
    of all (`table`), or one a dimension (`dimension`), which are learned.

    Args:
        bits: 1 to 8. range: whose u. estimator: of the gradient through the rounding: a name of
            `SLOPES`, `scaled` (by `delta`), or `tanh`.
        start: (n, d) vectors to begin with, where u is learned.
    """

    def __init__(self, bits: int, range: Range, estimator: str, start: Any) -> None:
        super().__init__()
        self.bits, self.range, self.estimator = bits, range, estimator
        self.top = 2**bits - 1
        self.sharpness = 1.0
        # No gradient; a parameter, so that checkpoints keep it.
        self.delta = nn.Parameter(torch.zeros(()), requires_grad=False)
        if range != "row":
            over = start.square().mean(0) if range == "dimension" else start.square().mean()
            self.log_bound = nn.Parameter((BOUNDS[bits - 1] * over.sqrt()).clamp(min=_TINY).log())

    def forward(self, x: Any) -> Any:
        bound = self.bound(x)
        if self.estimator == "tanh" and self.training:
            return annealed(x / bound, self.sharpness) * bound
        level = self._level(x, bound).detach()
        if self.estimator in SLOPES:
            usual = x.detach() / bound.detach() * BOUNDS[self.bits - 1]
            out = sloped(x / bound * self.top, level, SLOPES[self.estimator](usual))
        else:  # at one bit u says nothing about how far numbers reach
            reach = bound * _REACH if self.bits == 1 else bound
            inside = (x / reach).clamp(-1, 1) * self.top
            out = scaled(inside, level, self.delta / (2 * self.top))
        return out * (bound / self.top)

    def _codes(self, x: Any) -> Codes:
        bound = self.bound(x)
        code = (self._level(x, bound) + self.top) / 2
        gain = (bound / self.top).cpu()
        if self.range == "row":
            return packed(code, self.bits, scales=gain[:, 0].numpy())
        wide = gain.expand(x.shape[1]).contiguous().numpy()
        return packed(code, self.bits, decoder=Decoder(wide, np.zeros_like(wide)))

    def bound(self, x: Any) -> Any:
        """u, so shaped that x / u can be computed."""
        if self.range == "row":
            return BOUNDS[self.bits - 1] * size_of(x)
        return self.log_bound.exp()

    def _level(self, x: Any, bound: Any) -> Any:
        """Odd integers; what is half way, and both zeros, go up."""
        if self.bits == 1:  # the rule below takes what is hardly below zero up with it
            return sign(x)
        code = torch.floor(((x / bound + 1) * self.top + 1) / 2)
        return 2 * code.clamp(0, self.top) - self.top


def size_of(x: Any) -> Any:
    """(..., 1) the root mean square of each row, never zero."""
    return x.square().mean(-1, keepdim=True).clamp(min=_TINY**2).sqrt()


def sign(x: Any) -> Any:
    """+1 where x >= 0, else -1: both zeros count as positive, as in `SignCodes`."""
    return torch.where(x >= 0, 1.0, -1.0)


def packed(code: Any, bits: int, scales: Any = None, decoder: Decoder | None = None) -> Codes:
    """`Codes` of (n, d) integers below 2^bits, in the encoder's own space."""
    data = pack(code.to(torch.uint8).cpu().numpy(), bits)
    dim = int(code.shape[1])
    if scales is not None:
        scales = np.ascontiguousarray(scales, np.float32)
    return Codes(data, bits, dim, scales, Rotation("none", dim, 0), decoder)
