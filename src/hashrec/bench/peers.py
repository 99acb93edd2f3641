"""Other libraries' searches, as sides of `bench search`: what is installed takes part."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.threads import threads

__all__ = ["PEERS", "binary_flat", "fast_scan", "flat_ip", "implicit_top"]

Floats = npt.NDArray[np.float32]
# (n, d) queries and k -> whatever it finds; its bytes an item are beside it.
Side = Callable[[Floats, int], Any]

_ROWS = 200_000

PEERS = {name: importlib.util.find_spec(name) is not None for name in ("faiss", "implicit")}


def _faiss() -> Any:
    import faiss

    faiss.omp_set_num_threads(threads())
    return faiss


def fast_scan(codes: Codes) -> Side:
    """faiss's IndexPQFastScan over the same codes: a nibble of 1, 2 or 4-bit levels is a block of
    4, 2 or 1 dimensions whose sixteen centroids are known, so its codebook is filled by hand.

    Its tables have 8 bits and nothing is scored again, so it is not exact; it excludes nothing.
    """
    faiss = _faiss()
    per_nibble = 4 // codes.bits
    index = faiss.IndexPQFastScan(codes.dim, codes.dim // per_nibble, 4, faiss.METRIC_INNER_PRODUCT)
    values, mask = np.arange(16), 2**codes.bits - 1
    levels = [2 * (values >> (codes.bits * slot) & mask) - mask for slot in range(per_nibble)]
    centroids = np.tile(np.stack(levels, axis=1).astype(np.float32), (codes.dim // per_nibble, 1))
    faiss.copy_array_to_vector(centroids.ravel(), index.pq.centroids)
    index.is_trained = True
    _add(index, codes)
    return lambda queries, k: index.search(queries, k)


def flat_ip(codes: Codes) -> Side:
    """faiss's IndexFlatIP over what the codes decode to."""
    index = _faiss().IndexFlatIP(codes.dim)
    _add(index, codes)
    return lambda queries, k: index.search(queries, k)


def binary_flat(codes: Codes) -> Side:
    """faiss's IndexBinaryFlat over one-bit codes; queries become their signs."""
    index = _faiss().IndexBinaryFlat(codes.dim)
    index.add(codes.data)

    def search(queries: Floats, k: int) -> Any:
        return index.search(np.packbits(queries > 0, axis=1, bitorder="little"), k)

    return search


def implicit_top(items: Floats, seen: Any = None) -> Side:
    """implicit's top-k by blocked products of floats; `seen`: a scipy matrix it leaves out."""
    from implicit.cpu.topk import topk

    def search(queries: Floats, k: int) -> Any:
        return topk(items, queries, k, filter_query_items=seen, num_threads=threads())

    return search


def _add(index: Any, codes: Codes) -> None:
    for first in range(0, len(codes), _ROWS):
        part = np.arange(first, min(first + _ROWS, len(codes)))
        index.add(codes.take(part).levels().astype(np.float32))
