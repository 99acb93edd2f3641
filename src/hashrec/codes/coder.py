"""What every coder promises."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.codes.codes import Codes
from hashrec.codes.rotation import Rotation, RotationKind
from hashrec.component import Component

__all__ = ["Coder", "require_finite"]


class Coder(Component):
    """Options of one way to code vectors.

    Attributes:
        by_row: `quantise` codes each row by itself; others look at all rows, in `encode`.
    """

    by_row: ClassVar[bool] = True

    @property
    def wanted_rotation(self) -> RotationKind:
        """How vectors should be rotated before they are coded."""
        return "none"

    @abstractmethod
    def quantise(self, vectors: npt.NDArray[np.float32], rotation: Rotation) -> Codes:
        """Codes of (n, dim) float32 vectors that `rotation` has already been applied to.

        Raises ValueError where a value is NaN or infinite.
        """

    def encode(
        self,
        vectors: npt.NDArray[np.float32],
        seed: int = 0,
        *,
        queries: npt.NDArray[np.float32] | None = None,
        turned: RotationKind = "none",
    ) -> Codes:
        """Rotate as wanted, with a rotation drawn from `seed`, then quantise.

        Args:
            queries: (m, dim) float32, such as will be asked; for coders that fit codes to them.
            turned: the rotation where this coder wants none.
        """
        kind = self.wanted_rotation if self.wanted_rotation != "none" else turned
        rotation = Rotation(kind, vectors.shape[1], seed)
        return self.quantise(rotation.apply(vectors), rotation)


def require_finite(vectors: npt.NDArray[np.float32]) -> None:
    """Codes have no place for NaN or infinity."""
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"vector {row} is not finite")
