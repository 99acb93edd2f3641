"""Progress for people: a bar on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hashrec.errors import HashrecWarning
from hashrec.progress import Progress

__all__ = ["listener", "warnings_as_notes"]

# Shorter work than this is not worth a line or a bar.
_PATIENCE = 1.0


def listener() -> Any:
    """A `Progress` for this stderr."""
    return _Bars() if sys.stderr.isatty() else _Lines()


@contextmanager
def warnings_as_notes(progress: Progress) -> Iterator[None]:
    """Our own warnings as one line each, without the line of source that Python adds."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, HashrecWarning):
                progress.note(f"hashrec: warning: {message}")
            else:
                show(message, category, *where, **more)

        warnings.simplefilter("always", HashrecWarning)
        warnings.showwarning = note
        yield


class _Lines:
    """A line when a stage has run for a second and goes on, and every ten seconds after."""

    def __init__(self) -> None:
        self._stage, self._total, self._done, self._due = "", 0, 0, 0.0

    def start(self, stage: str, total: int) -> None:
        self._stage, self._total, self._done = stage, total, 0
        self._due = time.monotonic() + _PATIENCE

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        if time.monotonic() >= self._due and self._done < self._total:
            self.note(f"{self._stage}: {self._done:,} of {self._total:,}")
            self._due = time.monotonic() + 10

    def note(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class _Bars:
    """One bar at a time, shown once its stage has run for a second."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage, self._total, self._done, self._due = "", 0, 0, 0.0

    def start(self, stage: str, total: int) -> None:
        self._close()
        self._stage, self._total, self._done = stage, total, 0
        self._due = time.monotonic() + _PATIENCE

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        if self._bar is None and time.monotonic() >= self._due and self._done < self._total:
            self._open()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)
        if self._done >= self._total:
            self._close()

    def note(self, line: str) -> None:
        self._close()
        print(line, file=sys.stderr, flush=True)

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.add_task(self._stage, total=self._total)
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
