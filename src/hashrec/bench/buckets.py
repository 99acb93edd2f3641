"""`bench buckets`: our communities beside scikit-network's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hashrec.bench.timing import alternate
from hashrec.clustering import CLUSTERINGS, BipartiteGraph, Partition, modularity, transposed
from hashrec.csr import Csr
from hashrec.errors import MissingExtraError
from hashrec.interactions import planted, read_parts
from hashrec.progress import Progress

__all__ = ["bench_buckets", "peak_above"]

_RESOLUTIONS = (1.0, 50.0, 200.0)


def bench_buckets(
    *, data: str | None, quick: bool, repeats: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """Louvain at resolutions 1, 50 and 200: time from the user x item matrix, and modularity.

    Each side makes its own second direction of the graph inside the time. `over_sknetwork` and
    `modularity_ratio` are the least over the resolutions. `bytes_per_edge` is the largest
    memory of our side, the graph in both directions included, over the edges; a node costs
    12 bytes more for every thread.
    """
    rows = _subject(data, quick, seed)
    sides = {"hashrec louvain": "louvain", "sknetwork louvain": "sknetwork"}
    if not quick:
        sides["hashrec leiden"] = "leiden"
    if not _has_sknetwork():
        raise MissingExtraError(
            "scikit-network is not installed", fix="run pip install 'hashrec[bench]'"
        )
    memory = _bytes_per_edge(rows)
    table: list[dict[str, Any]] = []
    for resolution in _RESOLUTIONS:
        table += _compare(rows, sides, resolution, repeats, progress)
    if memory is None:
        progress.note("bytes_per_edge is left out: this system does not tell a peak of memory")
    claims = {
        "over_sknetwork": min(_ratios(table, "median_ms", "sknetwork louvain", "hashrec louvain")),
        "modularity_ratio": min(
            _ratios(table, "modularity", "hashrec louvain", "sknetwork louvain")
        ),
        **({} if memory is None else {"bytes_per_edge": round(memory, 1)}),
    }
    return {"rows": table, "claims": claims}


def _subject(data: str | None, quick: bool, seed: int) -> Csr:
    """The train part of the data, or a planted graph of about 300,000 or 10 million edges."""
    if data is not None:
        return read_parts(data).train.matrix
    users = 15_000 if quick else 500_000
    return planted(
        users, users // 2, communities=users // 100, degree=27, noise=0.3, seed=seed
    ).interactions.matrix


def _has_sknetwork() -> bool:
    import importlib.util

    return importlib.util.find_spec("sknetwork") is not None


def _compare(
    rows: Csr, sides: dict[str, str], resolution: float, repeats: int, progress: Progress
) -> list[dict[str, Any]]:
    found: dict[str, tuple[BipartiteGraph, Partition]] = {}

    def keeping(name: str, engine: str) -> Callable[[], None]:
        def run() -> None:
            graph = BipartiteGraph.build(rows, transposed(rows)[0])
            found[name] = graph, CLUSTERINGS[engine]().cluster(graph, resolution)

        return run

    runs = {name: keeping(name, engine) for name, engine in sides.items()}
    timings = alternate(runs, repeats, progress)
    return [
        {
            "engine": name,
            "edges": len(rows.indices),
            "gamma": resolution,
            **timing.row(),
            "communities": found[name][1].n_communities,
            "modularity": round(modularity(*found[name], resolution), 6),
        }
        for name, timing in timings.items()
    ]


def _ratios(table: list[dict[str, Any]], key: str, above: str, below: str) -> list[float]:
    values = {(row["engine"], row["gamma"]): row[key] for row in table}
    return [
        round(values[above, resolution] / values[below, resolution], 4)
        for resolution in _RESOLUTIONS
    ]


def _bytes_per_edge(rows: Csr) -> float | None:
    """The input and the peak above it, over the edges; None where no peak is told.

    The finest resolution keeps the most communities, so its peak is the highest. Measured before
    the timings, whose freed blocks would lie about in the allocator, and after a small graph,
    which loads the kernels.
    """

    def run(rows: Csr) -> None:
        graph = BipartiteGraph.build(rows, transposed(rows)[0])
        CLUSTERINGS["louvain"]().cluster(graph, max(_RESOLUTIONS))

    run(planted(200, 100, communities=5, degree=20, noise=0.3, seed=0).interactions.matrix)
    grown = peak_above(lambda: run(rows))
    if grown is None:
        return None
    return (grown + rows.indices.nbytes + rows.offsets.nbytes) / len(rows.indices)


def peak_above(run: Callable[[], object]) -> int | None:
    """Bytes by which the memory of this process rises at most during `run`; None without /proc."""
    _give_back_freed()
    if not _reset_peak():
        run()
        return None
    before = _status("VmRSS")
    run()
    return max(_status("VmHWM") - before, 0)


def _give_back_freed() -> None:
    """Memory freed but kept by the allocator would hide what `run` needs."""
    import ctypes
    import gc

    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status("VmHWM") > 0
    except OSError:
        return False


def _status(key: str) -> int:
    """Bytes, from the kernel's account of this process; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), 0)
