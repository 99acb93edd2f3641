"""Ids to be placed, and what it takes to place them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr

__all__ = ["Arrivals", "Buckets1", "Rule"]

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
