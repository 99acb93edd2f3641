"""Exact top-K and threshold search on codes, each query's excluded items left out first.

`ivf` alone is approximate; its type says so.
"""

from hashrec.search.engines import ENGINES, best_engine, open_index
from hashrec.search.index import Index
from hashrec.search.ivf import IvfIndex, Lists
from hashrec.search.rerank import TwoStage, rerank
from hashrec.search.results import Hits, TopK
from hashrec.search.store import load_index, save_index
from hashrec.search.wanted import find_threshold

__all__ = [
    "ENGINES",
    "Hits",
    "Index",
    "IvfIndex",
    "Lists",
    "TopK",
    "TwoStage",
    "best_engine",
    "find_threshold",
    "load_index",
    "open_index",
    "rerank",
    "save_index",
]
