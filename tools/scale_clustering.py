"""How the cost of clustering grows with edges: a table on stdout, a picture in docs.

    python tools/scale_clustering.py --out docs/buckets-scale.svg [--millions 1 2 5 10 20 50]

Planted graphs of 25 edges a user, resolution 50, from the user x item matrix to the partition.
Memory is the peak above what was there before, plus the matrix itself.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from hashrec.bench.buckets import peak_above
from hashrec.clustering import BipartiteGraph, louvain, transposed
from hashrec.csr import Csr
from hashrec.interactions import planted

_COLOUR, _SIZE, _LEFT, _BELOW = "#1f6fb4", 320, 70, 50


def clustered(rows: Csr) -> int:
    graph = BipartiteGraph.build(rows, transposed(rows)[0])
    return louvain(graph, 50.0).n_communities


def measured(millions: float) -> tuple[int, float, float]:
    """Edges, seconds, bytes an edge."""
    users = int(millions * 1_000_000 / 20)
    made = planted(
        users, users // 2, communities=max(users // 100, 1), degree=27, noise=0.3, seed=0
    )
    rows = made.interactions.matrix
    del made
    began = time.perf_counter()
    bytes_used = peak_above(lambda: clustered(rows))
    seconds = time.perf_counter() - began
    matrix = rows.indices.nbytes + rows.offsets.nbytes
    return len(rows.indices), seconds, ((bytes_used or 0) + matrix) / len(rows.indices)


def picture(points: list[tuple[int, float, float]]) -> str:
    """Seconds over edges, both axes linear, with the straight line through the last point."""
    most_edges, most_seconds, _ = points[-1]

    def place(edges: float, seconds: float) -> tuple[float, float]:
        x = _LEFT + edges / most_edges * _SIZE
        return round(x, 1), round(20 + _SIZE - seconds / most_seconds * _SIZE, 1)

    dots = "".join(
        f'<circle cx="{place(e, s)[0]}" cy="{place(e, s)[1]}" r="4" fill="{_COLOUR}"/>\n'
        f'<text x="{place(e, s)[0] - 8}" y="{place(e, s)[1] - 8}" text-anchor="end">'
        f"{s:.1f} s</text>\n"
        for e, s, _ in points
    )
    (x0, y0), (x1, y1) = place(0, 0), place(most_edges, most_seconds)
    ticks = "".join(
        f'<text x="{place(e, 0)[0]}" y="{y0 + 18}" text-anchor="middle">{e / 1e6:.0f}</text>\n'
        for e in (0, most_edges / 2, most_edges)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _SIZE + 40}" '
        f'height="{_SIZE + _BELOW + 30}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n'
        f'<path d="M{x0} 20V{y0}H{x1}" fill="none" stroke="black"/>\n'
        f'<path d="M{x0} {y0}L{x1} {y1}" stroke="#bbb" stroke-dasharray="4"/>\n'
        f'<text x="{_LEFT + _SIZE / 2}" y="{y0 + 38}" text-anchor="middle">million edges</text>\n'
        f'<text x="20" y="{20 + _SIZE / 2}" transform="rotate(-90 20 {20 + _SIZE / 2})" '
        f'text-anchor="middle">seconds</text>\n{ticks}{dots}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 2, 5, 10, 20, 50])
    options = parser.parse_args()
    measured(0.05)  # compiles
    points = []
    print("| edges | seconds | microseconds an edge | bytes an edge |\n|---|---|---|---|")
    for millions in options.millions:
        edges, seconds, each = measured(millions)
        points.append((edges, seconds, each))
        print(
            f"| {edges:,} | {seconds:.2f} | {seconds / edges * 1e6:.3f} | {each:.1f} |", flush=True
        )
    options.out.write_text(picture(points), encoding="utf-8")


if __name__ == "__main__":
    main()
