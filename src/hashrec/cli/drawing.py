"""A picture of buckets as SVG text: how many rows are of which size, and modularity by resolution.

Written by hand, so that drawing needs no further package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["COLOURS", "axes", "document", "dot", "draw", "frame", "label"]

WIDTH, HEIGHT = 560, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 55
COLOURS = ("#1f6fb4", "#c2571a")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """From a value to a pixel. `low` < `high`; both positive where `log`. `marks`: ticks of the
    caller's choice."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    marks: tuple[float, ...] = ()

    def place(self, value: float) -> float:
        low, high, at = (self._scaled(x) for x in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Powers of ten inside (or the ends, where there are fewer than two); five even steps."""
        if self.marks:
            return list(self.marks)
        if not self.log:
            return [self.low + (self.high - self.low) * step / 4 for step in range(5)]
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        powers = [10.0**power for power in range(first, last + 1)]
        return powers if len(powers) > 1 else [self.low, self.high]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def draw(histograms: Mapping[str, Sequence[tuple[int, int]]], curve: Points = ()) -> str:
    """The picture, an SVG document.

    Args:
        histograms: for each side (size, how many rows); drawn on log axes, so empty rows are
            named in the legend alone.
        curve: (gamma, modularity), gammas positive; a second panel where there are any.
    """
    panels = [_sizes(histograms)]
    if curve:
        panels.append(_modularity(curve))
    return document(panels)


def document(panels: Sequence[str]) -> str:
    """Panels side by side, as SVG."""
    body = "".join(
        f'<g transform="translate({number * WIDTH} 0)">\n{panel}</g>\n'
        for number, panel in enumerate(panels)
    )
    width = WIDTH * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
        f'viewBox="0 0 {width} {HEIGHT}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>\n{body}</svg>\n'
    )


def _sizes(histograms: Mapping[str, Sequence[tuple[int, int]]]) -> str:
    shown = {
        side: [(float(size), float(rows)) for size, rows in histogram if size > 0]
        for side, histogram in histograms.items()
    }
    every = [point for points in shown.values() for point in points] or [(1.0, 1.0)]
    across, up = axes(every, log_up=True)
    parts = [frame(across, up, "Sizes of buckets", "ids in a bucket", "buckets of that size")]
    for number, (side, points) in enumerate(shown.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts += [dot(across.place(x), up.place(y), colour) for x, y in points]
        empty = sum(rows for size, rows in histograms[side] if size == 0)
        legend = f"{side}s" + (f" ({empty:,} rows empty)" if empty else "")
        line = _TOP + 16 + 18 * number
        parts.append(dot(WIDTH - _RIGHT - 160, line - 4, colour))
        parts.append(label(WIDTH - _RIGHT - 150, line, legend))
    return "".join(parts)


def _modularity(curve: Points) -> str:
    across, up = axes(curve, log_up=False)
    line = " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in curve)
    return (
        frame(across, up, "Modularity by resolution", "resolution (gamma)", "modularity")
        + f'<polyline points="{line}" fill="none" stroke="{COLOURS[0]}"/>\n'
        + "".join(dot(across.place(x), up.place(y), COLOURS[0]) for x, y in curve)
    )


def axes(points: Points, *, log_up: bool) -> tuple[Axis, Axis]:
    """Axes that hold all points; a single value gets some room around it."""
    across = _widened([x for x, _ in points], log=True)
    up = _widened([y for _, y in points], log=log_up)
    return (
        Axis(*across, _LEFT, WIDTH - _RIGHT, True),
        Axis(*up, HEIGHT - _BOTTOM, _TOP, log_up),
    )


def _widened(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        return low / 1.3, high * 1.3
    room = (high - low) * 0.08 or 0.5
    return low - room, high + room


def frame(across: Axis, up: Axis, title: str, below: str, beside: str) -> str:
    middle, centre = (across.start + across.end) / 2, (up.start + up.end) / 2
    box = (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{across.end - across.start:g}" '
        f'height="{up.start - up.end:g}" fill="none" stroke="#444"/>\n'
    )
    marks = [
        f'<line x1="{x:.1f}" y1="{up.start:g}" x2="{x:.1f}" y2="{up.start + 5:g}" stroke="#444"/>\n'
        + label(x, up.start + 18, _number(tick), "middle")
        for tick, x in ((tick, across.place(tick)) for tick in across.ticks())
    ]
    marks += [
        f'<line x1="{_LEFT - 5}" y1="{y:.1f}" x2="{_LEFT}" y2="{y:.1f}" stroke="#444"/>\n'
        + label(_LEFT - 8, y + 4, _number(tick), "end")
        for tick, y in ((tick, up.place(tick)) for tick in up.ticks())
    ]
    labels = [
        label(middle, _TOP - 14, title, "middle", 'font-weight="bold"'),
        label(middle, HEIGHT - 14, below, "middle"),
        label(18, centre, beside, "middle", f'transform="rotate(-90 18 {centre:g})"'),
    ]
    return box + "".join(marks + labels)


def _number(tick: float) -> str:
    return f"{tick:,.0f}" if abs(tick) >= 1000 else f"{tick:.3g}"


def dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}" fill-opacity="0.7"/>\n'


def label(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place}{' ' + more if more else ''}>{escape(words)}</text>\n"
