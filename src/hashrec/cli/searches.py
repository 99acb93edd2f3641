"""The pictures of `bench search`: users a second against bits, and against items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hashrec.cli.drawing import axes, document, dot, frame, label

__all__ = ["draw_searches"]

_SHOWN = {
    "fast": "#1f6fb4",
    "scan": "#7fb2dd",
    "scan, 1-bit users": "#2c8a57",
    "faiss fast scan": "#c2571a",
    "faiss binary flat": "#e0a070",
}
_BITS, _SIZES = ("headline", "bits"), ("headline", "catalogue")


def draw_searches(rows: Sequence[Mapping[str, Any]]) -> str:
    """Two panels of lines, an engine each, on log axes. `rows`: of the benchmark."""
    one_bit = [row for row in rows if row["bits"] == 1 and row["engine"] in _SHOWN]
    items = {row["items"] for row in one_bit if row["part"] == "bits"}
    by_bits = [row for row in one_bit if row["part"] in _BITS and row["items"] in items]
    by_size = [row for row in one_bit if row["part"] in _SIZES and row["dim"] == 64]
    return document(
        [
            _panel(by_bits, "dim", "Users a second, by bits", "bits an item, one a dimension"),
            _panel(by_size, "items", "Users a second, by size", "items"),
        ]
    )


def _panel(rows: Sequence[Mapping[str, Any]], key: str, title: str, below: str) -> str:
    lines = {
        engine: sorted((float(row[key]), float(row["queries_per_s"])) for row in rows
                       if row["engine"] == engine)
        for engine in _SHOWN
    }  # fmt: skip
    across, up = axes([point for points in lines.values() for point in points], log_up=True)
    values = sorted({x for points in lines.values() for x, _ in points})
    across = replace(across, marks=tuple(values))
    parts = [frame(across, up, title, below, "users a second")]
    for number, (engine, points) in enumerate(lines.items()):
        colour = _SHOWN[engine]
        line = " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>\n')
        parts += [dot(across.place(x), up.place(y), colour) for x, y in points]
        at = up.start - 12 - 16 * (len(lines) - 1 - number)
        parts.append(dot(across.start + 12, at - 4, colour))
        parts.append(label(across.start + 22, at, engine))
    return "".join(parts)
