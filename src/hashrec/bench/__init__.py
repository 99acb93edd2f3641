"""Benchmarks: this library beside its alternatives, both sides in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hashrec.bench.buckets import bench_buckets
from hashrec.bench.ctr import bench_ctr
from hashrec.bench.frontier import bench_frontier
from hashrec.bench.graphhash import bench_graphhash
from hashrec.bench.hashlgn import bench_hashlgn
from hashrec.bench.propagation import bench_propagate
from hashrec.bench.search import bench_search
from hashrec.bench.spectral import bench_spectral
from hashrec.bench.step import bench_step

__all__ = ["BENCHES", "LONG", "Bench"]


# Called with data, quick, repeats, seed and progress; measures, and returns
# `{"rows": [...], "claims": {key: number}}`, JSON-ready. Those in `LONG` take three more:
# `store`, a file where every cell is kept as it ends and found again, `stored`, which only shows
# what is there, and `device`.
Bench = Callable[..., dict[str, Any]]

LONG = frozenset({"ctr", "frontier", "graphhash", "hashlgn", "search"})

BENCHES: Mapping[str, Bench] = {
    "propagate": bench_propagate,
    "spectral": bench_spectral,
    "buckets": bench_buckets,
    "step": bench_step,
    "graphhash": bench_graphhash,
    "frontier": bench_frontier,
    "hashlgn": bench_hashlgn,
    "search": bench_search,
    "ctr": bench_ctr,
}
