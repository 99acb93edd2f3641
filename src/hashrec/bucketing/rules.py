"""How one column of an assignment gives a bucket to an id: at first, and when an id comes later.

A rule is data with one verb, so it is stored with the assignment and an id that arrives a year
later is placed by the very rule that placed the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.arrivals import Arrivals, Buckets1, Rule
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.neighbours import Neighbours
from hashrec.bucketing.projected import Projected
from hashrec.bucketing.reserved import Reserved

__all__ = ["RULES", "Arrivals", "Numbered", "Reserved", "Rule"]


@dataclass(frozen=True)
class Numbered:
    """Row = first_row + (position div divisor) mod rows: plain modulo, quotient and remainder."""

    kind: ClassVar[str] = "numbered"

    divisor: int
    rows: int
    first_row: int = 0

    def place(self, arrivals: Arrivals) -> Buckets1:
        positions = np.arange(arrivals.first, arrivals.first + len(arrivals), dtype=np.int64)
        return (self.first_row + positions // self.divisor % self.rows).astype(np.int32)

    def scalars(self) -> dict[str, Any]:
        return {"divisor": self.divisor, "rows": self.rows, "first_row": self.first_row}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Rule:
        return cls(**scalars)


RULES: Mapping[str, type[Rule]] = {
    rule.kind: rule for rule in (Numbered, Reserved, Hashed, Projected, Neighbours)
}
