"""Files named `.txt`, which may be anything: their content is asked."""

from __future__ import annotations

from pathlib import Path

from hashrec.interactions.formats.delimited import open_delimited
from hashrec.interactions.formats.lightgcn import looks_like_lightgcn, open_lightgcn
from hashrec.interactions.formats.source import Source

__all__ = ["open_txt"]


def open_txt(path: Path) -> Source:
    """LightGCN's text, or rows separated by whichever mark the first of them agree on."""
    if looks_like_lightgcn(path):
        return open_lightgcn(path)
    return open_delimited(path, "\t,;| ", "txt")
