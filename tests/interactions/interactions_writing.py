"""The same log written in every format, for tests that read it back."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet

from hashrec.interactions.exact import as_arrow

Pairs = Sequence[tuple[Any, Any]]
HEADERS = {"inter": ("user_id:token", "item_id:token")}


def write_text(path: Path, pairs: Pairs, separator: str) -> Path:
    """A header and the pairs, quoted where the separator or a quotation mark demands it."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(HEADERS.get(path.suffix[1:], ("user_id", "item_id")))
        writer.writerows(pairs)
    return path


def table(pairs: Pairs) -> Any:
    users, items = zip(*pairs, strict=True)
    return pa.table({"user_id": as_arrow(users), "item_id": as_arrow(items)})


def write_parquet(path: Path, pairs: Pairs) -> Path:
    pa.parquet.write_table(table(pairs), path)
    return path


def every_source(folder: Path, pairs: Pairs) -> dict[str, Any]:
    """`pairs` of text or of integers, as each source that can hold them."""
    return {
        "csv": write_text(folder / "log.csv", pairs, ","),
        "csv.gz": write_text(folder / "log.csv.gz", pairs, ","),
        "semicolons": write_text(folder / "semi.csv", pairs, ";"),
        "tsv": write_text(folder / "log.tsv", pairs, "\t"),
        "txt": write_text(folder / "log.txt", pairs, "|"),
        "recbole": write_text(folder / "log.inter", pairs, "\t"),
        "parquet": write_parquet(folder / "log.parquet", pairs),
        "arrow": table(pairs),
        "pandas": pd.DataFrame(pairs, columns=["user_id", "item_id"]),
        "polars": pl.DataFrame(table(pairs)),
        "polars lazy": pl.DataFrame(table(pairs)).lazy(),
        "pandas categories": pd.DataFrame(pairs, columns=["user_id", "item_id"]).astype("category"),
    }


def pairs_of(log: Any) -> set[tuple[Any, Any]]:
    """What a log holds, in raw ids."""
    users = log.users.take(log.matrix.row_of_entry).to_pylist()
    items = log.items.take(log.matrix.indices).to_pylist()
    return set(zip(users, items, strict=True))
