"""Parquet, a column at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from hashrec.interactions.formats.source import Source, damaged

__all__ = ["open_parquet", "open_parquet_bytes"]


def open_parquet(path: Path) -> Source:
    """The top-level columns of a parquet file."""
    return _opened(str(path), str(path))


def open_parquet_bytes(content: bytes, name: str) -> Source:
    """The same from memory."""
    return _opened(pa.BufferReader(content), name)


def _opened(where: Any, name: str) -> Source:
    broken = damaged(name, "this is not a whole parquet file", "copy or write it again")
    with broken:
        file = pa.parquet.ParquetFile(where)

    def load(column: str) -> Any:
        with damaged(name, "this is not a whole parquet file", "copy or write it again"):
            return file.read(columns=[column]).column(0)

    return Source(name, "parquet", tuple(file.schema_arrow.names), load)
