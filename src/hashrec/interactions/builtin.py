"""Data that comes with the library, by name."""

from __future__ import annotations

from importlib import resources

from hashrec.errors import DataError
from hashrec.interactions.formats.parquet import open_parquet_bytes
from hashrec.interactions.formats.source import Source

__all__ = ["BUILTIN", "open_builtin"]

# name -> file in the package hashrec.data
BUILTIN = {"debian": "debian.parquet"}


def open_builtin(name: str) -> Source:
    """Built-in data as a source. `name` must be in BUILTIN; DataError if its file is missing."""
    try:
        content = resources.files("hashrec.data").joinpath(BUILTIN[name]).read_bytes()
    except (ModuleNotFoundError, OSError) as fault:
        raise DataError(
            "the built-in data is not in this installation",
            name=name,
            expected=f"hashrec/data/{BUILTIN[name]}",
            fix="install hashrec again",
        ) from fault
    return open_parquet_bytes(content, name)
