"""The engines by name, and which of them is the best here."""

from __future__ import annotations

from collections.abc import Mapping

from hashrec.codes import Codes
from hashrec.errors import RecipeError
from hashrec.search.dense import DenseIndex
from hashrec.search.exact import ExactIndex
from hashrec.search.fast import FastIndex
from hashrec.search.index import Index
from hashrec.search.ivf import IvfIndex
from hashrec.search.lookup import MOST_ROW_BYTES
from hashrec.search.scan import ScanIndex
from hashrec.simd import instruction_set

__all__ = ["ENGINES", "best_engine", "open_index"]

ENGINES: Mapping[str, type[Index]] = {
    engine.name: engine for engine in (DenseIndex, ExactIndex, FastIndex, IvfIndex, ScanIndex)
}


def best_engine(bits: int, row_bytes: int) -> str:
    """Which exact engine `open_index` takes for such rows on this machine."""
    if bits > 8:
        return "dense"
    return "fast" if instruction_set() and row_bytes <= MOST_ROW_BYTES else "scan"


def open_index(codes: Codes, engine: str = "auto") -> Index:
    """An index over `codes`: by the best exact engine here, or the named one.

    Raises RecipeError for a name that is none, ValueError for codes that the engine does not read.
    """
    if engine == "auto":
        engine = best_engine(codes.bits, codes.data.shape[1])
    if engine not in ENGINES:
        raise RecipeError(f"unknown engine {engine!r}", expected="one of " + ", ".join(ENGINES))
    return ENGINES[engine](codes)
