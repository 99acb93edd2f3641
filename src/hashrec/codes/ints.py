"""Integer codes: a uniform quantiser of 2 to 8 bits with one scale a vector."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hashrec.codes.coder import Coder, require_finite
from hashrec.codes.codes import Codes
from hashrec.codes.packing import pack
from hashrec.codes.rotation import Rotation, RotationKind

__all__ = ["IntCodes"]

Vectors = npt.NDArray[np.float32]

# Shares of a row's largest value at which clipping is tried. At 2 bits the best share for a
# bell-shaped row of 512 is near a third, at 8 bits it is one.
_CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42, 0.35, 0.28)


class IntCodes(Coder):
    """c = floor(2^bits * (x / bound + 1) / 2), clipped; decoded to the middle of its cell.

    Attributes:
        bits: a dimension.
        clip: `max`: bound is the row's largest |x|; `mse`: the share of it that leaves the least
            squared error in that row.
        rotation: applied first; worth it at 4 bits and below.
    """

    name: ClassVar[str] = "int"

    bits: Annotated[int, Field(ge=2, le=8)] = 8
    clip: Literal["max", "mse"] = "mse"
    rotation: RotationKind = "orthogonal"

    @property
    def wanted_rotation(self) -> RotationKind:
        return self.rotation

    def quantise(self, vectors: Vectors, rotation: Rotation) -> Codes:
        require_finite(vectors)
        largest = np.abs(vectors).max(axis=1, initial=0.0)
        codes, scales, error = self._at(vectors, largest)
        for share in _CLIPS[1:] if self.clip == "mse" else ():
            trial, trial_scales, trial_error = self._at(vectors, largest * np.float32(share))
            better = trial_error < error
            codes[better], scales[better] = trial[better], trial_scales[better]
            error[better] = trial_error[better]
        return Codes(pack(codes, self.bits), self.bits, vectors.shape[1], scales, rotation)

    def _at(
        self, vectors: Vectors, bound: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Codes, scales and squared errors of each row at the given bounds."""
        levels = 2**self.bits
        scales = (bound / np.float32(levels)).astype(np.float32)
        # Divided, never multiplied by a reciprocal: that of a subnormal bound would be infinite.
        unit = np.divide(
            vectors, bound[:, None], out=np.zeros(vectors.shape), where=bound[:, None] > 0
        )
        codes = np.clip(np.floor((unit + 1) * (levels / 2)), 0, levels - 1).astype(np.uint8)
        decoded = (2 * codes.astype(np.float32) - np.float32(levels - 1)) * scales[:, None]
        # In float64: in float32 the squares of large values overflow, those of small ones vanish.
        return codes, scales, np.square(decoded - vectors, dtype=np.float64).sum(axis=1)
