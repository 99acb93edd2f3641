"""Seconds a stage, and the most memory."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hashrec import costs
from hashrec.costs import Clock, peak_rss_mb


def test_stages_that_come_again_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    instants = iter([1.0, 3.0, 10.0, 10.5])
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(instants))
    clock = Clock({"read": 4.0})
    for _ in range(2):
        with clock.time("encode"):
            pass
    assert clock.seconds == {"read": 4.0, "encode": 2.5}


def test_macos_counts_memory_in_bytes_and_linux_in_kilobytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    linux = peak_rss_mb()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak_rss_mb() == pytest.approx(linux / 1000, abs=0.1)


def test_the_peak_of_memory_is_in_megabytes() -> None:
    """A Python process with numpy and numba holds tens of MB at least, and never a terabyte."""
    before = peak_rss_mb()
    ballast = np.ones(60_000_000 // 8)
    assert 30 < before <= peak_rss_mb() < 1e6
    assert ballast[-1] == 1
