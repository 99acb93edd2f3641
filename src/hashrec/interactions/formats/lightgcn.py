"""LightGCN's text: a line a user, `user item item ...`, separated by spaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.errors import DataError
from hashrec.interactions.formats.opening import first_text, not_utf8, stream
from hashrec.interactions.formats.source import Source, damaged

__all__ = ["looks_like_lightgcn", "open_lightgcn"]


def looks_like_lightgcn(path: Path) -> bool:
    """Integers only, and not equally many on every line: nothing else looks like that."""
    text, _ = first_text(path)
    lines = [line.split() for line in text.split("\n") if line.strip()]
    integers = all(token.lstrip("-").isdigit() for line in lines for token in line)
    return integers and len({len(line) for line in lines}) > 1


def open_lightgcn(path: Path) -> Source:
    """Columns `user` and `item`; lines that hold a user and no item are skipped."""
    tokens, lengths = _tokens(path)
    starts = np.cumsum(lengths) - lengths
    is_item = np.ones(len(tokens), dtype=bool)
    is_item[starts] = False
    if not is_item.any():
        raise DataError(
            "there are no interactions",
            name=str(path),
            expected="lines of the form: user item item ...",
            got="no line with an item",
        )
    users = np.repeat(starts, lengths)[is_item]
    chosen = {"user": users, "item": np.flatnonzero(is_item)}
    return Source(
        name=str(path),
        format="lightgcn",
        columns=("user", "item"),
        load=lambda name: tokens.take(pa.array(chosen[name])),
        text=True,
    )


def _tokens(path: Path) -> tuple[Any, Any]:
    """All words of the file, and how many stand on each line that has any."""
    broken = damaged(str(path), "the file cannot be read", "check that it is whole")
    with broken, stream(path) as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise not_utf8(str(path), f"byte 0x{content[fault.start]:02x}") from fault
    lines = pa.array([line for line in text.split("\n") if line.strip()], type=pa.string())
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(lines))
    lengths = pc.list_value_length(words).to_numpy(zero_copy_only=False)
    return pc.list_flatten(words), lengths.astype(np.int64)
