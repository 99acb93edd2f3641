"""The rows of a compressed table that come nearest to a full one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from hashrec.bucketing import Assignment

__all__ = ["combination", "rows_from"]

Float = npt.NDArray[np.float64]

# Columns solved together: bounds the memory at a few (n, BLOCK) arrays of float64.
BLOCK = 32
STEPS = 100
TOLERANCE = 1e-6


def combination(assignment: Assignment, skip: int | None = None) -> sp.csr_array[Any]:
    """The (n, rows) float64 matrix A for which A @ table is every vector.

    `skip` is a position whose row of A is left empty: it uses no row of the table.
    """
    n, ways = assignment.buckets.shape
    share = 1 / ways if assignment.combiner == "mean" else 1.0
    values = np.full((n, ways), share)
    if assignment.weights is not None:
        values[:] = assignment.weights
    if skip is not None:
        values[skip] = 0
    columns = assignment.buckets.astype(np.int64).ravel()
    starts = np.arange(n + 1, dtype=np.int64) * ways
    matrix = sp.csr_array((values.ravel(), columns, starts), shape=(n, assignment.rows))
    matrix.sum_duplicates()
    return matrix


def rows_from(
    assignment: Assignment, full: npt.NDArray[Any], *, skip: int | None = None
) -> npt.NDArray[np.float64]:
    """The table T for which A @ T is nearest to `full` in squared error.

    With one way (`sum`, `mean`) that is exactly the mean of the vectors of the ids that share a
    row. With several ways, or with weights, the normal equations A'A T = A'F are solved by
    conjugate gradients from the diagonal's own answer, until what is left of them is 1e-6 of what
    they were or 100 steps are done. A row that nobody uses gets the mean of all vectors (over
    the number of ways, under `sum`), so that ids placed there later start like an average id.

    Args:
        full: (n, d) floats by position. Its first width(d) columns are used (see `dim_share`).
        skip: a position whose vector counts for nothing.

    Returns (rows, width(d)) float64.
    """
    matrix = combination(assignment, skip)
    width = assignment.width(full.shape[1])
    table = np.empty((assignment.rows, width))
    for start in range(0, width, BLOCK):
        block = slice(start, min(start + BLOCK, width))
        table[:, block] = _solve(matrix, full[:, block].astype(np.float64))
    unused = _diagonal(matrix) == 0
    if unused.any():
        table[unused] = _average(assignment, full[:, :width], skip)
    return table


def _solve(matrix: sp.csr_array[Any], full: Float) -> Float:
    """Least squares for a block of columns: conjugate gradients scaled by the diagonal of A'A."""
    diagonal = _diagonal(matrix)
    scale = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)[:, None]
    transposed = matrix.T.tocsr()
    wanted: Float = transposed @ full
    table: Float = scale * wanted
    residual: Float = wanted - transposed @ (matrix @ table)
    enough = TOLERANCE * np.linalg.norm(wanted, axis=0)
    direction = scale * residual
    power = np.sum(residual * direction, axis=0)
    for _ in range(STEPS):
        if (np.linalg.norm(residual, axis=0) <= enough).all():
            break
        curved: Float = transposed @ (matrix @ direction)
        step = _ratio(power, np.sum(direction * curved, axis=0))
        table += step * direction
        residual -= step * curved
        before, power = power, np.sum(residual * (scale * residual), axis=0)
        direction = scale * residual + _ratio(power, before) * direction
    return table


def _diagonal(matrix: sp.csr_array[Any]) -> Float:
    """(rows,) the diagonal of A'A: zero for a row that nobody uses."""
    return np.bincount(matrix.indices, matrix.data**2, minlength=matrix.shape[1])


def _ratio(above: Float, below: Float) -> Float:
    """Their quotient; zero where a column is solved already and both are zero."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _average(assignment: Assignment, full: npt.NDArray[Any], skip: int | None) -> Float:
    """(width,) what a row must hold for a vector made of such rows to be the mean of all."""
    kept = np.ones(len(full), dtype=bool)
    if skip is not None:
        kept[skip] = False
    if not kept.any():
        return np.zeros(full.shape[1])
    mean: Float = full[kept].mean(axis=0, dtype=np.float64)
    return mean / (assignment.ways if assignment.combiner == "sum" else 1)
