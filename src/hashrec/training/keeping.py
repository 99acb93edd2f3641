"""Checkpoints: everything a run needs to go on, in one file that is replaced whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashrec.errors import ModelError, OutputError

__all__ = ["Checkpoint", "Keeper", "checksum"]

_FORMAT = "hashrec-checkpoint 1"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was kept: tensors by name, and JSON."""

    tensors: dict[str, Any]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Keeper:
    """One checkpoint file.

    Attributes:
        path: of the file. identity: JSON-ready; what the run is of (options, data, seed). A
            checkpoint of anything else is refused.
    """

    path: Path
    identity: Mapping[str, Any]

    def save(self, tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Replaces the checkpoint, or leaves the old one where it cannot."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        header = {
            "format": _FORMAT, "identity": self._digest(), "facts": json.dumps(facts),
            "tensors": checksum(plain),
        }  # fmt: skip
        staged = self.path.with_name(f".{self.path.name}.writing")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(plain, staged, metadata=header)
            with staged.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(staged, self.path)
        except (OSError, SafetensorError) as fault:  # the latter for a disk without room
            raise OutputError(
                "the checkpoint could not be written", name=str(self.path), got=str(fault),
                fix="make room, or train without checkpoints",
            ) from fault  # fmt: skip
        finally:
            with suppress(OSError):
                staged.unlink()

    def load(self) -> Checkpoint | None:
        """What is kept, or None where nothing is. Raises ModelError for a file that is damaged
        or of another run."""
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("format") != _FORMAT:
                    raise self._refused("a checkpoint", header.get("format", "something else"))
                if header["identity"] != self._digest():
                    raise self._refused("a checkpoint of this recipe and these data", "another's")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                if header["tensors"] != checksum(tensors):
                    raise self._refused("a checkpoint as it was written", "other bytes")
                return Checkpoint(tensors, json.loads(header["facts"]))
        except (SafetensorError, OSError, KeyError, ValueError) as fault:
            raise self._refused("a checkpoint that can be read", str(fault)) from fault

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _digest(self) -> str:
        text = json.dumps(self.identity, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _refused(self, expected: str, got: str) -> ModelError:
        return ModelError(
            "training cannot go on from this file", name=str(self.path), expected=expected,
            got=got, fix="start afresh with --fresh, or write to another place",
        )  # fmt: skip


def checksum(tensors: Mapping[str, Any]) -> str:
    """SHA-256 of all tensors' bytes, in the order of their names, wherever they lie."""
    from torch import uint8

    found = hashlib.sha256()
    for name in sorted(tensors):
        flat = tensors[name].detach().cpu().contiguous().reshape(-1)
        found.update(name.encode())
        # A lone number counts as contiguous whatever its stride, but is not seen as bytes.
        found.update(flat.as_strided(flat.shape, (1,)).view(uint8).numpy())
    return found.hexdigest()
