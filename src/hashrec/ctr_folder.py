"""The folder of a model of clicks: what is in it. Read without PyTorch.

manifest.json        recipe, fields, sizes, checksums
arrays.safetensors   weights, scales, and what is known of users and items
words.parquet        the words of every field
known.parquet        the ids of which something is known
buckets.*            the rows of users and items, where the log had them
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hashrec.folder import Kind

__all__ = ["TRIO", "WITHOUT", "WITH_IDS", "check_ctr_target", "is_ctr", "kind_at", "open_ctr"]

_OWN = ("arrays.safetensors", "words.parquet", "known.parquet")
TRIO = ("buckets.parquet", "buckets.json", "buckets.safetensors")


def _kind(format: str, files: tuple[str, ...]) -> Kind:
    return Kind("model of clicks", format, 2, files, "`hashrec fit-ctr --out`", "fit again")


WITH_IDS = _kind("hashrec-ctr", (*_OWN, *TRIO))
WITHOUT = _kind("hashrec-ctr-fields", _OWN)


def is_ctr(path: str | Path) -> bool:
    """Whether a manifest of a model of clicks stands there, damaged or not."""
    return WITH_IDS.stands_at(path)  # both formats begin alike


def check_ctr_target(path: str | Path) -> None:
    """Refuses, before any work is done, a place where a model must not or cannot be written."""
    WITH_IDS.check_target(path)


def kind_at(path: str | Path) -> Kind:
    """The kind of the folder that stands there, if any does."""
    return WITHOUT if WITHOUT.stands_at(path) else WITH_IDS


def open_ctr(path: str | Path, *, verify: bool = False) -> tuple[dict[str, Any], dict[str, int]]:
    """The header of a folder, and the bytes of its files. Raises ModelError."""
    return kind_at(path).open(path, verify=verify)
