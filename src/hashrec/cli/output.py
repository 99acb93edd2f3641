"""How results look: a table for people, one JSON object for programs, a file on request."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hashrec.errors import OutputError, UsageError

__all__ = [
    "check_file_path",
    "check_table_path",
    "print_json",
    "print_table",
    "write_table",
    "write_text",
]


def print_json(result: Any) -> None:
    print(json.dumps(result, ensure_ascii=False, indent=2))


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Aligned columns, never cut: numbers to the right, text to the left."""
    cells = [list(head), *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    right = [
        all(isinstance(row[column], int | float) for row in rows) for column in range(len(head))
    ]
    for row in cells:
        line = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        )
        print("  ".join(line).rstrip())


def _shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.4f}" if abs(cell) < 1000 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) and abs(cell) >= 10_000 else str(cell)


def check_table_path(path: Path) -> None:
    """Refuses, before any work is done, a place where `write_table` cannot write."""
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(
            "cannot tell the format from the name", name=str(path), expected=".parquet or .csv"
        )
    check_file_path(path)


def check_file_path(path: Path) -> None:
    """Refuses, before any work is done, a place where no file can be."""
    if not path.parent.is_dir():
        raise OutputError("the folder does not exist", name=str(path.parent), fix="make it first")
    if path.is_dir():
        raise OutputError("a folder stands there", name=str(path), expected="the name of a file")


def write_table(table: Any, path: Path) -> None:
    """A pyarrow table to .parquet or .csv, written beside and renamed."""
    import pyarrow.csv
    import pyarrow.parquet

    check_table_path(path)
    writers: Mapping[str, Any] = {
        ".parquet": pyarrow.parquet.write_table,
        ".csv": pyarrow.csv.write_csv,
    }
    with _staging(path) as staging:
        writers[path.suffix](table, staging)
    print(f"{table.num_rows:,} rows written to {path}", file=sys.stderr)


def write_text(text: str, path: Path) -> None:
    """Text to a file, written beside and renamed."""
    check_file_path(path)
    with _staging(path) as staging:
        staging.write_text(text, encoding="utf-8")
    print(f"written to {path}", file=sys.stderr)


@contextmanager
def _staging(path: Path) -> Iterator[Path]:
    """A place beside `path` that takes its name at the end, or is gone."""
    staging = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        yield staging
        staging.replace(path)
    except OSError as fault:
        raise OutputError(
            "the result could not be written", name=str(path), got=fault.strerror or str(fault)
        ) from fault
    finally:
        staging.unlink(missing_ok=True)
