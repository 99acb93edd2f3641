"""`quotient-remainder`: two rows an id, no two ids with the same pair."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.method import Side, SideMethod
from hashrec.bucketing.ruled import ruled
from hashrec.bucketing.rules import Numbered
from hashrec.errors import UsageError

__all__ = ["QuotientRemainder", "divisor"]


class QuotientRemainder(SideMethod):
    """v = E[p div m] + E[q + p mod m] for position p, q = ceil(n / m) quotient rows in front.

    Shi et al. 2020, "Compositional embeddings using complementary partitions". Pairs are distinct
    for all ids of the log; a later one starts again with the first quotient. Raises UsageError
    for fewer rows than the method can do with, about 2 sqrt(n).
    """

    name: ClassVar[str] = "quotient-remainder"

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        n = len(side)
        least = math.isqrt(4 * n - 1) + 1  # ceil(2 sqrt(n)), the smallest m + ceil(n / m)
        if rows < least:
            raise UsageError(
                f"too few rows for quotients and remainders of {n:,} ids",
                name=f"{side.name}_rows",
                expected=f"at least {least} rows, about twice the root of the ids",
                got=f"{rows}",
                fix="give more rows or choose another method",
            )
        m = divisor(n, rows)
        quotients = -(-n // m)
        return ruled(side, rows, Numbered(m, quotients), Numbered(1, m, quotients))


def divisor(n: int, rows: int) -> int:
    """The largest m with m + ceil(n / m) <= rows.

    Small m and large m mirror each other, few remainders or few quotients. The largest wastes
    nothing: one more remainder would be one row too many, so m + ceil(n / m) = rows exactly.
    """
    m = np.arange(1, rows, dtype=np.int64)
    return int(m[m + -(-n // m) <= rows][-1])
