"""Decoders: what a level of each dimension stands for, where that differs between dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Decoder"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Decoder:
    """x_j = gain_j * level_j + offset_j.

    At one bit that is any two numbers a dimension: alpha_j for a set bit and -beta_j for a clear
    one are gain (alpha + beta) / 2 and offset (alpha - beta) / 2.

    Attributes:
        gain, offset: (dim,) float32, finite.
    """

    gain: Floats
    offset: Floats

    def __post_init__(self) -> None:
        for name, values in (("gain", self.gain), ("offset", self.offset)):
            if values.dtype != np.float32 or values.shape != self.gain.shape or values.ndim != 1:
                raise ValueError(
                    f"{name} must be (dim,) float32, got {values.shape} {values.dtype}"
                )
            if not np.isfinite(values).all():
                raise ValueError(f"{name} is not finite in dimension {_first_bad(values)}")

    def __len__(self) -> int:
        return len(self.gain)

    @property
    def n_bytes(self) -> int:
        """Bytes of both vectors, kept once for all rows."""
        return self.gain.nbytes + self.offset.nbytes

    @property
    def constant(self) -> float | None:
        """The one gain of all dimensions where nothing is added, so that sums of levels are sums of
        integers times it; None for any other decoder."""
        even = len(self) > 0 and not self.offset.any() and (self.gain == self.gain[0]).all()
        return float(self.gain[0]) if even else None

    def __call__(self, levels: Floats) -> Floats:
        """(n, dim) float32 levels -> (n, dim) float32."""
        return levels * self.gain + self.offset


def _first_bad(values: Floats) -> int:
    return int(np.flatnonzero(~np.isfinite(values))[0])
