"""Float codes: the vectors as they are, or rounded to half precision."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from hashrec.codes.coder import Coder, require_finite
from hashrec.codes.codes import Codes
from hashrec.codes.rotation import Rotation

__all__ = ["FloatCodes"]

_LARGEST_HALF = float(np.finfo(np.float16).max)


class FloatCodes(Coder):
    """Options: `bits` 32 or 16. Half precision clips beyond 65,504."""

    name: ClassVar[str] = "float"

    bits: Literal[16, 32] = 32

    def quantise(self, vectors: npt.NDArray[np.float32], rotation: Rotation) -> Codes:
        require_finite(vectors)
        if self.bits == 32:
            return Codes(vectors.astype(np.float32), 32, vectors.shape[1], None, rotation)
        half = np.clip(vectors, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
        return Codes(half, 16, vectors.shape[1], None, rotation)
