"""How one column of an assignment gives a bucket to an id: at first, and when an id comes later.

A rule is data with one verb, so it is stored with the assignment and an id that arrives a year
later is placed by the very rule that placed the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr

__all__ = ["RULES", "Arrivals", "Numbered", "Reserved", "Rule"]

Buckets1 = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Ids to be placed.

    Attributes:
        ids: (k,) pa.Array of raw ids.
        first: the position of the first; they are numbered from there on.
        neighbours: (k, n_opposite) whom of the other side they have met, or None.
        weights: (n_entries,) float32 beside `neighbours.indices`, or None where all are one.
    """

    ids: Any
    first: int
    neighbours: Csr | None = None
    weights: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids)


class Rule(Protocol):
    """Gives each arrival one row of the table. `kind` is its name in stored files."""

    kind: ClassVar[str]

    def place(self, arrivals: Arrivals) -> Buckets1:
        """(k,) int32 rows."""

    def scalars(self) -> dict[str, Any]:
        """JSON-ready: with `arrays`, all that makes the rule again."""

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Its arrays by name; none for most rules."""

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Rule:
        """The rule that `scalars` and `arrays` describe."""


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


@dataclass(frozen=True)
class Reserved:
    """One row for all: the row of ids about which nothing is known."""

    kind: ClassVar[str] = "reserved"

    row: int

    def place(self, arrivals: Arrivals) -> Buckets1:
        return np.full(len(arrivals), self.row, dtype=np.int32)

    def scalars(self) -> dict[str, Any]:
        return {"row": self.row}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Rule:
        return cls(**scalars)


RULES: Mapping[str, type[Rule]] = {rule.kind: rule for rule in (Numbered, Reserved)}
