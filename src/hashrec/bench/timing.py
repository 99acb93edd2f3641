"""Timing several sides fairly: in turn, after a warm-up, medians and spread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from hashrec.progress import Progress

__all__ = ["Timing", "alternate"]


@dataclass(frozen=True)
class Timing:
    """Seconds of every repeat of one side."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    def row(self) -> dict[str, float]:
        """Milliseconds for a results table."""
        return {
            "median_ms": round(self.median * 1e3, 3),
            "least_ms": round(min(self.seconds) * 1e3, 3),
            "most_ms": round(max(self.seconds) * 1e3, 3),
        }


def alternate(
    sides: Mapping[str, Callable[[], object]],
    repeats: int,
    progress: Progress,
    *,
    twice: bool = False,
) -> dict[str, Timing]:
    """Runs the sides A B C A B C ... so that a drifting machine is unfair to none.

    The first round warms caches and compiles, and is not counted. With `twice` every side runs
    once untimed before it is timed: for sides of milliseconds, which would else pay for the caches
    that the one before left, and for its threads, which may wait busily for more.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    progress.start("measuring", len(sides) * (repeats + 1))
    for round_number in range(repeats + 1):
        for name, side in sides.items():
            if twice:
                side()
            began = time.perf_counter()
            side()
            spent = time.perf_counter() - began
            if round_number:
                seconds[name].append(spent)
            progress.advance()
    return {name: Timing(tuple(spent)) for name, spent in seconds.items()}
