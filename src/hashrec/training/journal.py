"""The journal of a run: one JSON object a line, appended as things happen."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashrec.errors import OutputError

__all__ = ["Journal"]


@dataclass(frozen=True)
class Journal:
    """Appends events to `path`, each with the time of day in seconds (`time`).

    Raises OutputError where it cannot.
    """

    path: Path

    def __call__(self, event: Mapping[str, Any]) -> None:
        line = json.dumps({"time": round(time.time(), 3), **event}, allow_nan=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as fault:
            raise OutputError(
                "the journal could not be written", name=str(self.path), got=str(fault),
                fix="make room, or keep training in another place",
            ) from fault  # fmt: skip
