"""Sign codes: one bit a dimension."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hashrec.codes.coder import Coder, require_finite
from hashrec.codes.codes import Codes
from hashrec.codes.packing import pack
from hashrec.codes.rotation import Rotation, RotationKind

__all__ = ["SignCodes"]


class SignCodes(Coder):
    """Bit j is 1 where x_j >= 0: both zeros count as positive.

    Attributes:
        bits: always 1; it stands here so that a recipe reads alike for every code.
        rotation: spreads the energy first; without it dimensions that hold little cost as many
            bits as those that hold much.
        scale: `norm`: ||x|| / sqrt(dim), so that decoded vectors keep their length, which ranks
            items and is worth more than many bits; `none`: +1 and -1, no byte beyond the bits.
    """

    name: ClassVar[str] = "sign"

    bits: Annotated[int, Field(ge=1, le=1)] = 1
    rotation: RotationKind = "orthogonal"
    scale: Literal["norm", "none"] = "norm"

    @property
    def wanted_rotation(self) -> RotationKind:
        return self.rotation

    def quantise(self, vectors: npt.NDArray[np.float32], rotation: Rotation) -> Codes:
        require_finite(vectors)
        dim = vectors.shape[1]
        scales = None
        if self.scale == "norm":
            norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
            scales = (norms / np.sqrt(dim)).astype(np.float32)
        return Codes(pack((vectors >= 0).astype(np.uint8), 1), 1, dim, scales, rotation)
