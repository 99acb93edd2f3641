"""Matrix products whose rows do not look at each other."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from hashrec.kernels import parallel_kernel

__all__ = ["products"]

Block = npt.NDArray[np.float32]


def products(rows: Block, matrix: Block) -> Block:
    """rows @ matrix, (n, a) float32 by (a, b) float32.

    A row's bits do not depend on how many rows there are, as they do in BLAS: a user asked for
    alone must get what they get among all.
    """
    out = np.zeros((len(rows), matrix.shape[1]), np.float32)
    _accumulate(np.ascontiguousarray(rows), np.ascontiguousarray(matrix), out)
    return out


@parallel_kernel
def _accumulate(rows, matrix, out):  # type: ignore[no-untyped-def]
    for row in numba.prange(len(rows)):
        for inner in range(matrix.shape[0]):
            value = rows[row, inner]
            for column in range(matrix.shape[1]):
                out[row, column] += value * matrix[inner, column]
