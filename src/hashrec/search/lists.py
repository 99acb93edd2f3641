"""Lists of items that lie together: k-means on what codes decode to.

Lloyd's algorithm on a sample, from rows drawn at random, then every item to the centre with the
largest x . c - |c|^2 / 2, which is the nearest. Products are BLAS's, so lists may differ a little
with the machine and the number of threads; what is found in given lists does not.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.kernels import parallel_kernel

__all__ = ["centres_of", "cluster"]

Vectors = npt.NDArray[np.float32]

# Items a list has in the sample that centres are learned on.
_SAMPLED = 64
_ROUNDS = 10
# Rows whose products with all centres are held at once, in a cache.
_ROWS = 256


def cluster(codes: Codes, n_lists: int, seed: int) -> npt.NDArray[np.int32]:
    """(n,) int32: the list of each item. Some may stay empty."""
    rng = np.random.default_rng(seed)
    n = len(codes)
    rows = np.sort(rng.choice(n, min(n, _SAMPLED * n_lists), replace=False))
    sample = codes.take(rows).decode()
    centres = sample[rng.choice(len(sample), n_lists, replace=False)]
    for _ in range(_ROUNDS):
        labels = _nearest(sample, centres)
        centres = _means(sample, labels, n_lists)
        empty = np.flatnonzero(np.bincount(labels, minlength=n_lists) == 0)
        centres[empty] = sample[rng.choice(len(sample), len(empty))]
    labels = np.empty(n, np.int32)
    for first in range(0, n, 512 * _ROWS):
        part = np.arange(first, min(first + 512 * _ROWS, n))
        labels[part] = _nearest(codes.take(part).decode(), centres)
    return labels


def centres_of(codes: Codes, offsets: npt.NDArray[np.int64]) -> Vectors:
    """(lists, dim) float32: the mean of the rows offsets[l]:offsets[l + 1]; zero of none."""
    sums = np.zeros((len(offsets) - 1, codes.dim))
    labels = np.repeat(np.arange(len(sums), dtype=np.int32), np.diff(offsets))
    for first in range(0, len(codes), 512 * _ROWS):
        part = np.arange(first, min(first + 512 * _ROWS, len(codes)))
        _add(codes.take(part).decode(), labels[part], sums)
    return (sums / np.maximum(np.diff(offsets), 1)[:, None]).astype(np.float32)


def _means(vectors: Vectors, labels: npt.NDArray[np.int32], n_lists: int) -> Vectors:
    sums = np.zeros((n_lists, vectors.shape[1]))
    _add(vectors, labels, sums)
    counts = np.bincount(labels, minlength=n_lists)
    return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)


def _nearest(vectors: Vectors, centres: Vectors) -> npt.NDArray[np.int32]:
    """(n,) int32, the first of the nearest centres."""
    half = np.einsum("ij,ij->i", centres, centres) / 2
    wide = np.ascontiguousarray(np.column_stack([centres, -half]).T)
    labels = np.empty(len(vectors), np.int32)
    products = np.empty((_ROWS, len(centres)), np.float32)
    for first in range(0, len(vectors), _ROWS):
        part = vectors[first : first + _ROWS]
        found = np.matmul(np.pad(part, ((0, 0), (0, 1)), constant_values=1), wide,
                          out=products[: len(part)])  # fmt: skip
        labels[first : first + _ROWS] = found.argmax(axis=1)
    return labels


@parallel_kernel
def _add(vectors, labels, sums):  # type: ignore[no-untyped-def]
    """Columns in parallel, rows in their order: the same sums on any number of threads."""
    for column in numba.prange(vectors.shape[1]):
        for row in range(len(vectors)):
            sums[labels[row], column] += vectors[row, column]
