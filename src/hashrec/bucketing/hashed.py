"""The rule that hashes the raw id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy.typing as npt

from hashrec.bucketing.arrivals import Arrivals, Buckets1, Rule
from hashrec.bucketing.hashing import Universal, keys

__all__ = ["Hashed"]


@dataclass(frozen=True)
class Hashed:
    """Row = first_row + h(raw id) in [0, rows): the same for an id whenever it comes.

    `seed` and `stream` choose h, see `hashing`.
    """

    kind: ClassVar[str] = "hashed"

    seed: int
    stream: str
    rows: int
    first_row: int = 0

    def place(self, arrivals: Arrivals) -> Buckets1:
        found = Universal(self.seed, self.stream).hash(keys(arrivals.ids, self.seed), self.rows)
        found += self.first_row
        return found

    def shifted(self, rows: int) -> Hashed:
        """Behind `rows` rows of others."""
        return replace(self, first_row=self.first_row + rows)

    def scalars(self) -> dict[str, Any]:
        names = ("seed", "stream", "rows", "first_row")
        return {name: getattr(self, name) for name in names}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Rule:
        return cls(**scalars)
