"""What long work says while it runs: a tiny protocol, silent unless someone listens.

Library functions take a `Progress` and call it; only the command line implements it aloud.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["SILENT", "Progress"]


class Progress(Protocol):
    """A listener: `start` opens a stage, `advance` does some of its steps, `note` says a line."""

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, steps: int = 1) -> None: ...

    def note(self, line: str) -> None: ...


class _Silent:
    def start(self, stage: str, total: int) -> None:
        pass

    def advance(self, steps: int = 1) -> None:
        pass

    def note(self, line: str) -> None:
        pass


SILENT: Progress = _Silent()
