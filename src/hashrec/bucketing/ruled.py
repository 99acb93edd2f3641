"""Assignments that a rule alone makes: all ids are placed as a later one would be."""

from __future__ import annotations

import numpy as np

from hashrec.bucketing.arrivals import Arrivals, Rule
from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.method import Side

__all__ = ["hashes", "ruled"]


def ruled(side: Side, rows: int, *rules: Rule) -> Assignment:
    """The ids of `side` in `rows` rows, placed by one rule for each way; ways are summed."""
    everybody = Arrivals(side.ids, 0, side.edges, side.weights)
    buckets = np.stack([rule.place(everybody) for rule in rules], axis=1)
    return Assignment(side.name, side.ids, buckets, rows, rules)


def hashes(side: Side, ways: int, seed: int, rows: int, first_row: int = 0) -> tuple[Hashed, ...]:
    """`ways` independent hashes of raw ids, other ones for users than for items."""
    return tuple(Hashed(seed, f"{side.name} {way}", rows, first_row) for way in range(ways))
