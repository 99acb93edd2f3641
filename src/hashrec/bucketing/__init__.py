"""Buckets: which ids share a row of an embedding table.

b = buckets(train, method="graph", rows=0.25)
b.users.buckets, b.items.buckets      # (n, ways) rows of the two tables, by position
"""

from __future__ import annotations

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.buckets import METHODS, Buckets, buckets
from hashrec.bucketing.drift import Drift, drift
from hashrec.bucketing.method import BucketMethod
from hashrec.bucketing.store import load_buckets, save_buckets

__all__ = [
    "METHODS",
    "Assignment",
    "BucketMethod",
    "Buckets",
    "Drift",
    "buckets",
    "drift",
    "load_buckets",
    "save_buckets",
]
