"""From codes to rows: codes in order, cut into runs; and the rule that does so for later ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.arrivals import Arrivals, Buckets1, Rule
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.projecting import codes_of_edges

__all__ = ["Projected", "cut", "row_of"]

Codes = npt.NDArray[np.int64]


def cut(codes: Codes, rows: int) -> Codes:
    """(at most `rows`,) int64: the lowest code of each of equal runs of the distinct codes.

    Equal codes always share a row, and codes that share their first bits stand side by side, so a
    run is a prefix that is longer where ids are dense. Papers take as many bits as the number of
    rows has, and so up to twice the rows; here there are never more rows than allowed.
    """
    distinct = np.unique(codes)
    runs = min(rows, len(distinct))
    starts: Codes = distinct[np.arange(runs) * len(distinct) // max(runs, 1)]
    return starts


def row_of(codes: Codes, starts: Codes) -> Buckets1:
    """(n,) int32: in which run each code lies; one below all of them, in the first."""
    return np.maximum(np.searchsorted(starts, codes, side="right") - 1, 0).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Projected:
    """Row = the run in which the code of an id's neighbours lies.

    An id without neighbours is hashed over all rows: they would share one row otherwise, though
    nothing says that they are alike.

    Attributes:
        seed, stream: of the projection and the hash; bits: of a code.
        rows: how many rows the table has.
        starts: (at most rows,) int64 ascending, the lowest code of each run.
    """

    kind: ClassVar[str] = "projected"

    seed: int
    stream: str
    bits: int
    rows: int
    starts: Codes

    def place(self, arrivals: Arrivals) -> Buckets1:
        found = Hashed(self.seed, self.stream, self.rows).place(arrivals)
        met = arrivals.neighbours
        if met is None:
            return found
        codes = codes_of_edges(met, arrivals.weights, self.bits, self.seed, self.stream)
        return np.where(met.lengths > 0, row_of(codes, self.starts), found)

    def scalars(self) -> dict[str, Any]:
        names = ("seed", "stream", "bits", "rows")
        return {name: getattr(self, name) for name in names}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"starts": self.starts}

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Rule:
        return cls(**scalars, starts=arrays["starts"])
