"""Benchmarks: this library beside its alternatives, both sides in one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hashrec.bench.buckets import bench_buckets
from hashrec.bench.propagation import bench_propagate
from hashrec.bench.spectral import bench_spectral
from hashrec.progress import Progress

__all__ = ["BENCHES", "Bench"]


class Bench(Protocol):
    """Measures; returns `{"rows": [...], "claims": {key: number}}`, JSON-ready."""

    def __call__(
        self, *, data: str | None, quick: bool, repeats: int, seed: int, progress: Progress
    ) -> dict[str, Any]: ...


BENCHES: Mapping[str, Bench] = {
    "propagate": bench_propagate,
    "spectral": bench_spectral,
    "buckets": bench_buckets,
}
