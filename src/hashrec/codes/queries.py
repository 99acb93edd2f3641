"""Queries on their way to the space in which items are coded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hashrec.codes.basis import Basis
from hashrec.codes.coder import Coder
from hashrec.codes.codes import Codes
from hashrec.codes.floats import FloatCodes
from hashrec.codes.rotation import Rotation, RotationKind

__all__ = ["bring", "code_items", "code_queries"]

Vectors = npt.NDArray[np.float32]


def code_items(
    coder: Coder, items: Vectors, seed: int, users: Vectors, turned: RotationKind = "none"
) -> Codes:
    """Codes of (n, d) items that such (m, d) users will ask for. `turned`: see `Coder.encode`."""
    lengths = np.linalg.norm(users, axis=1, keepdims=True)
    unit = np.divide(users, lengths, out=np.zeros_like(users), where=lengths > 0)
    return coder.encode(items, seed, queries=unit, turned=turned)


def code_queries(
    coder: Coder,
    vectors: Vectors,
    space: Rotation | Basis,
    seed: int,
    items: Vectors | None = None,
) -> Codes:
    """Codes of (n, d) vectors to be asked of items that are coded in `space`.

    Turned as the items are where `space` only turns; elsewhere they get a space of their own, and
    `bring` takes them over when they are asked. `items`: (m, d) what they will meet, for coders
    that look at all vectors at once.
    """
    if not coder.by_row:
        # What all items have in common adds the same to every score of a query.
        met = None if items is None else items - items.mean(axis=0)
        return coder.encode(vectors, seed, queries=met)
    if isinstance(space, Rotation):
        return coder.quantise(space.apply(vectors), space)
    rotation = Rotation(coder.wanted_rotation, vectors.shape[1], seed)
    return coder.quantise(rotation.apply(vectors, steady=True), rotation)


def bring(queries: Codes, space: Rotation | Basis) -> Codes:
    """`code_queries`' codes as searches in `space` take them."""
    if queries.rotation == space:
        return queries
    there = space.apply(queries.restore(steady=True), steady=True)
    return FloatCodes().quantise(there, Rotation("none", space.dim, 0))
