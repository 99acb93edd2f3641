"""The picture of `bench frontier`: recall against bytes, as SVG text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashrec.cli.drawing import COLOURS, axes, document, dot, frame, label

__all__ = ["draw_frontier"]

_GREY = "#999"
_WIDE, _HIGH = 130, 12  # of a name


def draw_frontier(rows: Sequence[Mapping[str, Any]], learned: Sequence[str]) -> str:
    """Every code as a dot, learned ones in another colour; a line through those that nothing of no
    more bytes beats; the best float teacher dashed.

    Args:
        rows: of the benchmark. learned: the methods that are.
    """
    points = [(float(row["item_bytes"]), float(row["recall@20"])) for row in rows]
    across, up = axes(points, log_up=False)
    parts = [frame(across, up, "Recall against bytes", "bytes an item", "recall@20")]
    best = sorted((point, row) for point, row in zip(points, rows, strict=True) if row["pareto"])
    line = " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for (x, y), _ in best)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{_GREY}"/>\n')
    teachers = [float(row["recall@20"]) for row in rows if row["method"] == "float"]
    if teachers:
        y = up.place(max(teachers))
        parts.append(
            f'<line x1="{across.start:g}" y1="{y:.1f}" x2="{across.end:g}" y2="{y:.1f}" '
            f'stroke="{_GREY}" stroke-dasharray="5 4"/>\n'
        )
    for (x, y), row in zip(points, rows, strict=True):
        colour = COLOURS[1] if row["method"] in learned else COLOURS[0]
        parts.append(dot(across.place(x), up.place(y), colour))
    named: list[tuple[float, float]] = []
    for (x, y), row in best:
        named.append(_free(across.place(x) + 4, up.place(y) + 14, named))
        parts.append(label(*named[-1], f"{row['method']}, {row['dim']} d"))
    for number, family in enumerate(("without training", "learned")):
        at = up.start - 12 - 18 * number
        parts.append(dot(across.end - 125, at - 4, COLOURS[number]))
        parts.append(label(across.end - 115, at, family))
    return document(["".join(parts)])


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The first place from (x, y) down where a name covers no other."""
    while any(abs(x - a) < _WIDE and abs(y - b) < _HIGH for a, b in taken):
        y += 1
    return x, y
