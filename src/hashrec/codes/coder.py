"""What every coder promises."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from hashrec.codes.codes import Codes
from hashrec.codes.rotation import Rotation, RotationKind
from hashrec.component import Component

__all__ = ["Coder", "require_finite"]


class Coder(Component):
    """Options of one way to code vectors. `quantise` codes each row by itself."""

    @property
    def wanted_rotation(self) -> RotationKind:
        """How vectors should be rotated before they are coded."""
        return "none"

    @abstractmethod
    def quantise(self, vectors: npt.NDArray[np.float32], rotation: Rotation) -> Codes:
        """Codes of (n, dim) float32 vectors that `rotation` has already been applied to.

        Raises ValueError where a value is NaN or infinite.
        """

    def encode(self, vectors: npt.NDArray[np.float32], seed: int = 0) -> Codes:
        """Rotate as wanted, with a rotation drawn from `seed`, then quantise."""
        rotation = Rotation(self.wanted_rotation, vectors.shape[1], seed)
        return self.quantise(rotation.apply(vectors), rotation)


def require_finite(vectors: npt.NDArray[np.float32]) -> None:
    """Codes have no place for NaN or infinity."""
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"vector {row} is not finite")
