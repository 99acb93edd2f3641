"""The rule of the reserved row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.arrivals import Arrivals, Buckets1, Rule

__all__ = ["Reserved"]


@dataclass(frozen=True)
class Reserved:
    """One row for all: the row of ids about which nothing is known."""

    kind: ClassVar[str] = "reserved"

    row: int

    def place(self, arrivals: Arrivals) -> Buckets1:
        return np.full(len(arrivals), self.row, dtype=np.int32)

    def shifted(self, rows: int) -> Reserved:
        """Behind `rows` rows of others."""
        return Reserved(self.row + rows)

    def scalars(self) -> dict[str, Any]:
        return {"row": self.row}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Rule:
        return cls(**scalars)
