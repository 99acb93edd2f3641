"""The one hot loop of graph recommenders: every row becomes the sum of its neighbours' vectors.

The normalised operator is D_left R D_right with R binary, so no value is stored per edge: a
neighbour's weight is looked up in the right diagonal, which stays in the cache, and each finished
sum is scaled by the left. A general sparse product streams a value for every index instead.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.graph.registers import TILE, gather_tile
from hashrec.kernels import parallel_kernel

__all__ = ["propagate", "propagate_oracle"]

Block = npt.NDArray[np.float32]

# Rows are dealt to threads in this many stretches of equal work, so that one long row (a very
# popular item) does not leave the other threads idle.
_STRETCHES = 64


def propagate(
    rows: Csr,
    block: Block,
    left: npt.NDArray[np.float32],
    right: npt.NDArray[np.float32],
    out: Block | None = None,
) -> Block:
    """D_left R D_right X, in parallel over rows.

    Args:
        rows: R, binary, (n, m).
        block: X, (m, width) float32.
        left: (n,) float32, the diagonal of D_left.
        right: (m,) float32, the diagonal of D_right.
        out: (n, width) float32 to write into; fresh memory costs as much as the product itself.

    Returns:
        (n, width) float32. Each row is summed in the order of its positions in float32, so the
        result does not depend on the number of threads. A row without entries is zero.
    """
    _check(rows, block, left, right)
    shape = rows.n_rows, block.shape[1]
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        # The kernel would write beyond it or between its values.
        raise ValueError(f"out must be {shape} contiguous float32, got {out.shape} {out.dtype}")
    cuts = _stretches(rows.offsets)
    block, right = np.ascontiguousarray(block), np.ascontiguousarray(right)
    _gather_sum(rows.offsets, np.ascontiguousarray(rows.indices), cuts, block, left, right, out)
    return out


def propagate_oracle(
    rows: Csr, block: Block, left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """The same product through a dense float64 matrix: slow, obvious, the judge of `propagate`."""
    dense = np.zeros((rows.n_rows, rows.n_columns))
    dense[rows.row_of_entry, rows.indices] = 1.0
    operator = left.astype(np.float64)[:, None] * dense * right.astype(np.float64)[None, :]
    return operator @ block.astype(np.float64)


def _check(
    rows: Csr, block: Block, left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]
) -> None:
    if block.ndim != 2 or block.dtype != np.float32:
        raise TypeError(f"block must be 2-d float32, got {block.ndim}-d {block.dtype}")
    if left.dtype != np.float32 or right.dtype != np.float32:
        raise TypeError(f"diagonals must be float32, got {left.dtype} and {right.dtype}")
    if (len(left), len(right)) != (rows.n_rows, rows.n_columns) or len(block) != rows.n_columns:
        raise ValueError(
            f"shapes do not meet: rows {rows.n_rows} x {rows.n_columns}, left {len(left)}, "
            f"right {len(right)}, block {block.shape}"
        )


def _stretches(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Row numbers that cut the rows into stretches of about equal entries."""
    cuts = np.searchsorted(offsets, np.linspace(0, offsets[-1], _STRETCHES + 1))
    cuts[0], cuts[-1] = 0, len(offsets) - 1
    return cuts.astype(np.int64)


@parallel_kernel
def _gather_sum(  # type: ignore[no-untyped-def]
    offsets, indices, cuts, block, left, right, out
):  # fmt: skip
    width = block.shape[1]
    whole = width - width % TILE
    for stretch in numba.prange(len(cuts) - 1):
        for row in range(cuts[stretch], cuts[stretch + 1]):
            start, end, scale, total = offsets[row], offsets[row + 1], left[row], out[row]
            for column in range(0, whole, TILE):
                gather_tile(block, indices, right, start, end, column, scale, total)
            for column in range(whole, width):
                total[column] = 0.0
            for entry in range(start, end):
                weight, neighbour = right[indices[entry]], block[indices[entry]]
                for column in range(whole, width):
                    total[column] += weight * neighbour[column]
            for column in range(whole, width):
                total[column] *= scale
