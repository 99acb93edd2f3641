"""Exact top-K and threshold search on codes, each query's excluded items left out first."""

from __future__ import annotations

from collections.abc import Mapping

from hashrec.codes import Codes
from hashrec.errors import RecipeError
from hashrec.search.dense import DenseIndex
from hashrec.search.exact import ExactIndex
from hashrec.search.index import Index
from hashrec.search.rerank import rerank
from hashrec.search.results import Hits, TopK
from hashrec.search.scan import ScanIndex

ENGINES: Mapping[str, type[Index]] = {
    engine.name: engine for engine in (DenseIndex, ExactIndex, ScanIndex)
}

__all__ = ["ENGINES", "Hits", "Index", "TopK", "open_index", "rerank"]


def open_index(codes: Codes, engine: str = "auto") -> Index:
    """An index over `codes`: `scan` for packed ones, `dense` for floats, or the named engine."""
    if engine == "auto":
        engine = "scan" if codes.packed else "dense"
    if engine not in ENGINES:
        raise RecipeError(f"unknown engine {engine!r}", expected="one of " + ", ".join(ENGINES))
    return ENGINES[engine](codes)
