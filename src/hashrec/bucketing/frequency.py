"""`frequency`, and what `double-frequency` shares: the busiest ids have rows of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.method import Side, SideMethod
from hashrec.bucketing.ruled import hashes, ruled

__all__ = ["Frequency", "Share", "busiest", "with_own_rows"]

Share = Annotated[float, Field(ge=0, le=1)]


class Frequency(SideMethod):
    """The most frequent ids have a row each, the others share the rest by a hash.

    `share` is the share of the rows that are owned; at least one row is left to be shared, for
    ids that come later have no frequency. Papers fill the rest by position modulo its size.
    """

    name: ClassVar[str] = "frequency"

    share: Share = 0.5

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        return with_own_rows(side, rows, self.share, seed, ways=1)


def with_own_rows(side: Side, rows: int, share: float, seed: int, *, ways: int) -> Assignment:
    """The r-th busiest id owns row r; the others have `ways` hashed rows behind the owned ones."""
    # 0.29 * 100 is a little below 29.
    owned = min(int(rows * share + 1e-9), rows - 1)
    hashed = ruled(side, rows, *hashes(side, ways, seed, rows - owned, owned))
    buckets = hashed.buckets.copy()
    buckets[busiest(side)[:owned]] = np.arange(owned, dtype=np.int32)[:, None]
    return replace(hashed, buckets=buckets)


def busiest(side: Side) -> npt.NDArray[np.int64]:
    """(n,) positions by falling training degree (sum of weights if there are any), ties by
    position."""
    weights = None if side.weights is None else side.weights.astype(np.float64)
    degrees = np.bincount(side.edges.row_of_entry, weights=weights, minlength=len(side))
    return np.argsort(-degrees, kind="stable")
