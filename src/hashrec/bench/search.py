"""`bench search`: every engine of ours and every peer, on the same codes, in one run."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hashrec import __version__
from hashrec.bench.cells import Cells
from hashrec.bench.peers import PEERS
from hashrec.bench.search_parts import PARTS, Size
from hashrec.progress import Progress
from hashrec.simd import instruction_set
from hashrec.threads import threads

__all__ = ["bench_search"]


@dataclass(frozen=True)
class Cell:
    """One measurement and all that its times depend on, this processor's name aside."""

    size: dict[str, Any]
    data: str
    seed: int
    repeats: int
    threads: int
    machine: str
    version: str


def bench_search(
    *,
    data: str | None,
    quick: bool,
    repeats: int,
    seed: int,
    progress: Progress,
    store: Path | None = None,
    stored: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """The 100 best of random codes, by Gaussian users with 100 excluded items of their own.

    A million items of 64 bits first, `--quick` or not; then other widths, 100 thousand and 10
    million; thresholds, masks, opening, inverted lists; and with DATA all its users. Peers exclude
    nothing. Claims: see the design; `*_over_*` are their time over ours, but for
    `threshold_over_top`, ours over ours.
    """
    for name, installed in PEERS.items():
        if not installed:
            progress.note(f"{name} is not installed: left out (pip install 'hashrec[bench]')")
    cells = Cells(store)
    machine = f"{platform.machine()} {instruction_set()}"
    asked = [
        Cell(asdict(size), str(data), seed, repeats, threads(), machine, __version__)
        for size in _sizes(quick, data)
    ]

    def measured(cell: Cell) -> dict[str, Any]:
        size = Size(**cell.size)
        rows = PARTS[size.part](
            size, seed=seed, repeats=repeats, progress=progress, data=data, quick=quick
        )
        return {"rows": rows}

    found = cells.measure(asked, measured, _told, progress, stored=stored)
    rows = [row for cell in found for row in (cells.get(cell) or {})["rows"]]
    shown = list(rows[0])
    return {
        "rows": [{key: row.get(key) for key in shown} for row in rows],
        "claims": _claims(rows),
    }


def _sizes(quick: bool, data: str | None) -> list[Size]:
    million, few = (100_000, 64) if quick else (1_000_000, 256)
    sizes = [
        Size("headline", 1_000_000, 256),
        Size("exact", million, 256 if quick else 1000),
        Size("norms", million, few, scaled=True),
        *(Size("bits", million, few, dim) for dim in ((512,) if quick else (128, 256, 512))),
        *(Size("bits", million, few, bits=bits) for bits in ((4,) if quick else (2, 4, 8))),
        *(Size("catalogue", million * times // 10, few) for times in (1, 100)),
        Size("threshold", million, few),
        Size("filter", million, few),
        Size("open", 10 * million, few),
        Size("ivf, planted", 10 * million, few),
        Size("ivf, random", 10 * million, few),
    ]
    return sizes if data is None else [*sizes, Size("all users", 0, 0, 512, k=20)]


def _told(cell: Cell) -> str:
    size = cell.size
    return f"{size['part']}: {size['items']:,} items, {size['dim']} x {size['bits']} bits"


_OVER = {
    "fast_over_fastscan": ("faiss fast scan", "fast"),
    "fast_over_binary_flat": ("faiss binary flat", "fast"),
    "fast_over_flat_ip": ("faiss flat ip", "fast"),
    "fast_over_implicit": ("implicit", "fast"),
    "scan_over_binary_flat": ("faiss binary flat", "scan"),
    "scan_bits_over_binary_flat": ("faiss binary flat", "scan, 1-bit users"),
}


def _claims(rows: list[dict[str, Any]]) -> dict[str, float]:
    def of(part: str) -> list[dict[str, Any]]:
        return [row for row in rows if row["part"] == part]

    claims: dict[str, float] = {}
    headline = {row["engine"]: row for row in of("headline")}
    for claim, (theirs, ours) in _OVER.items():
        if theirs in headline:
            claims[claim] = headline[theirs]["median_ms"] / headline[ours]["median_ms"]
    if headline:
        claims["p50_ms"], claims["p99_ms"] = (headline["fast"][key] for key in ("p50_ms", "p99_ms"))
    if exact := of("exact"):
        claims["exact_rows"] = min(row["exact_rows"] for row in exact)
    for row in of("threshold"):
        if row["engine"] == "fast":
            claims["threshold_over_top"] = row["over_top"]
    for row in of("open"):
        claims["open_s"] = row["median_ms"] / 1e3
    for kind in ("planted", "random"):
        for row in of(f"ivf, {kind}"):
            if row.get("enough"):
                claims[f"ivf_{kind}_over_fast"] = row["over_fast"]
                claims[f"ivf_{kind}_recall"] = row["recall"]
    names = {"float users": "all_users_s", "1-bit users": "all_users_bits_s",
             "implicit, floats": "all_users_implicit_s"}  # fmt: skip
    for row in of("all users"):
        claims[names[row["engine"]]] = row["median_ms"] / 1e3
    return {claim: round(value, 4) for claim, value in claims.items()}
