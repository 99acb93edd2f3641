"""Cells of a long benchmark: each stored as it ends, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from hashrec.errors import DataError, UsageError
from hashrec.progress import Progress

__all__ = ["Cells"]

# A frozen dataclass of JSON values: all that decides a result.
Cell = TypeVar("Cell")


class Cells:
    """Results by cell, each stored as it ends: a line of JSON in a file that only grows.

    A line that a kill has cut short is passed over, and its cell measured again. So is any line
    that is no cell. An empty result says that the cell cannot be measured: it is not tried again.
    Raises UsageError for a place where no file can be.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[str, dict[str, Any]] = {}
        if path is None:
            return
        if path.is_dir() or not path.parent.is_dir():
            raise UsageError(
                "cells cannot be stored there", name=str(path),
                expected="the name of a file, in a folder that exists",
            )  # fmt: skip
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                match _read(line):
                    case {"cell": dict(cell), "result": dict(result)}:
                        self._found[_key(cell)] = result

    def get(self, cell: Any) -> dict[str, Any] | None:
        return self._found.get(_key(asdict(cell)))

    def put(self, cell: Any, result: dict[str, Any]) -> None:
        self._found[_key(asdict(cell))] = result
        if self._path is None:
            return
        cut = self._path.exists() and not self._path.read_bytes().endswith(b"\n")
        with self._path.open("a", encoding="utf-8") as file:
            line = json.dumps({"cell": asdict(cell), "result": result}) + "\n"
            file.write("\n" * cut + line)

    def measure(
        self,
        cells: Sequence[Cell],
        measured: Callable[[Cell], dict[str, Any]],
        told: Callable[[Cell], str],
        progress: Progress,
        *,
        stored: bool = False,
    ) -> list[Cell]:
        """Measures and stores those of `cells` that are not there yet, in their order.

        With `stored` none are. Returns those that have a result that is not empty; raises DataError
        where that is none.
        """
        for number, cell in enumerate(cells):
            if not stored and self.get(cell) is None:
                progress.note(f"{number + 1} of {len(cells)}: {told(cell)}")
                self.put(cell, measured(cell))
        found = [cell for cell in cells if self.get(cell)]
        if not found:
            raise DataError("no cell is stored for this benchmark", name=str(self._path),
                            fix="run it without --stored")  # fmt: skip
        return found


def _read(line: str) -> Any:
    """What a line says; None where it is not JSON."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _key(cell: dict[str, Any]) -> str:
    return json.dumps(cell, sort_keys=True)
