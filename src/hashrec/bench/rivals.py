"""Codes without training that others offer: each as what it decodes items to, and its bytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RIVALS", "available", "itq", "rabitq"]

Floats = npt.NDArray[np.float32]
# (n, d) items -> what their codes decode to, (n, d); bytes an item; and bytes kept once for all:
# codebooks, matrices, bounds. None: not at this d.
Rival = Callable[[Floats, int], tuple[Floats, float, int] | None]

_ITQ_STEPS = 50


def itq(items: Floats, seed: int) -> tuple[Floats, float, int]:
    """sign(x R) with the rotation R that brings signs nearest to the numbers, and the norm.

    Y. Gong and S. Lazebnik, "Iterative Quantization", CVPR 2011: B = sign(X R) and R the orthogonal
    solution of min ||B - X R||, in turns. Of unit vectors; R is one matrix for all items.
    """
    norms = np.linalg.norm(items, axis=1, keepdims=True)
    unit = items / np.maximum(norms, 1e-12)
    d = items.shape[1]
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))
    turn = turn.astype(np.float32)
    for _ in range(_ITQ_STEPS):
        u, _, vt = np.linalg.svd(unit.T @ np.where(unit @ turn >= 0, 1, -1).astype(np.float32))
        turn = (u @ vt).astype(np.float32)
    bits = np.where(unit @ turn >= 0, 1, -1).astype(np.float32)
    return (bits * (norms / d**0.5)) @ turn.T, -(-d // 8) + 4, turn.nbytes


def rabitq(items: Floats, seed: int) -> tuple[Floats, float, int]:
    """Signs of randomly turned vectors around their mean, scaled so that products are unbiased.

    J. Gao and C. Long, "RaBitQ", SIGMOD 2024: o = c + r, r turned by P, b = sign(P r) / sqrt(d),
    and <o, q> ~ <c, q> + <b, P q> ||r|| / <b, P r / ||r||>. Here with float queries, so the
    estimate is the product with what this returns.
    """
    d = items.shape[1]
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))
    centre = items.mean(0)
    around = (items - centre) @ turn.astype(np.float32)
    bits = np.where(around >= 0, 1, -1).astype(np.float32)
    scale = np.square(around).sum(1) / np.maximum(np.abs(around).sum(1), 1e-12)
    decoded = centre + (bits * scale[:, None]) @ turn.astype(np.float32).T
    return decoded, -(-d // 8) + 4, centre.nbytes  # P is drawn again from its seed


def _faiss(factory: str) -> Rival:
    """An index of faiss by its factory string; `{m}`: as many sub-quantisers as there are bytes in
    a bit a dimension."""

    def rival(items: Floats, seed: int) -> tuple[Floats, float, int] | None:
        import faiss

        d = items.shape[1]
        if "{m}" in factory and (d % 8 or d % (d // 8)):
            return None
        index = faiss.index_factory(d, factory.format(m=d // 8), faiss.METRIC_INNER_PRODUCT)
        index.train(items)
        index.add(items)
        size = index.sa_code_size()
        shared = len(faiss.serialize_index(index)) - len(items) * size
        return index.reconstruct_n(0, len(items)), float(size), shared

    return rival


RIVALS: Mapping[str, Rival] = {
    "itq": itq,
    "rabitq": rabitq,
    "faiss sq8": _faiss("SQ8"),
    "faiss sq4": _faiss("SQ4"),
    "faiss pq": _faiss("PQ{m}x8"),
    "faiss opq": _faiss("OPQ{m},PQ{m}x8"),
}


def available(note: Callable[[str], Any]) -> list[str]:
    """Those whose packages are here; says so once where they are not."""
    if importlib.util.find_spec("faiss") is not None:
        return list(RIVALS)
    note("faiss is not installed, so its codes are left out: pip install 'hashrec[bench]'")
    return [name for name in RIVALS if not name.startswith("faiss")]
