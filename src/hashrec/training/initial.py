"""The rows of a compressed table that come nearest to a full one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = ["Mixture"]

Float = npt.NDArray[np.float64]

# Columns solved together: bounds the memory at a few (n, BLOCK) arrays of float64.
BLOCK = 32
STEPS = 100
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Mixture:
    """Which rows make each vector, and how much of each: vector p = sum_j s_pj T[b_pj].

    Attributes:
        buckets: (n, ways) integers in [0, rows).
        shares: (n, ways) floats s.
        rows: of the table T.
        skip: a position whose vector is no matter, or None.
        parts: the sum of the shares of an id that comes later: the number of ways where vectors
            are sums, 1 where they are means.
    """

    buckets: npt.NDArray[Any]
    shares: npt.NDArray[Any]
    rows: int
    skip: int | None
    parts: int

    def nearest_rows(self, full: npt.NDArray[Any]) -> Float:
        """The table T for which A @ T is nearest to `full` in squared error, A as in `matrix`.

        With one way of share 1 that is exactly the mean of the vectors of the ids that share a
        row. Otherwise the normal equations A'A T = A'F are solved by conjugate gradients from
        the answer of their diagonal, until what is left is 1e-6 of what there was or 100 steps
        are done. A row that nobody uses gets the mean of all vectors over `parts`, so that ids
        placed there later start as an average id.

        Args:
            full: (n, width) floats by position.

        Returns (rows, width) float64.
        """
        matrix = self.matrix()
        table = np.empty((self.rows, full.shape[1]))
        for start in range(0, full.shape[1], BLOCK):
            block = slice(start, start + BLOCK)
            table[:, block] = _solve(matrix, full[:, block].astype(np.float64))
        table[_diagonal(matrix) == 0] = self._mean(full) / self.parts
        return table

    def matrix(self) -> sp.csr_array[Any]:
        """A: (n, rows) float64, in row p the shares of the rows of p; the skipped one is empty."""
        n, ways = self.buckets.shape
        shares = self.shares.astype(np.float64)
        if self.skip is not None:
            shares[self.skip] = 0
        columns = self.buckets.astype(np.int64).ravel()
        starts = np.arange(n + 1, dtype=np.int64) * ways
        matrix = sp.csr_array((shares.ravel(), columns, starts), shape=(n, self.rows))
        matrix.sum_duplicates()
        # A stored zero times a NaN of the skipped vector is NaN.
        matrix.eliminate_zeros()
        return matrix

    def _mean(self, full: npt.NDArray[Any]) -> Float:
        """(width,) of all vectors but the skipped one; zeros where there is none."""
        kept = full if self.skip is None else np.delete(full, self.skip, axis=0)
        mean: Float = kept.sum(axis=0, dtype=np.float64) / max(1, len(kept))
        return mean


def _solve(matrix: sp.csr_array[Any], full: Float) -> Float:
    """Least squares for a block of columns: conjugate gradients scaled by the diagonal of A'A."""
    diagonal = _diagonal(matrix)[:, None]
    scale = _ratio(np.ones_like(diagonal), diagonal)
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
        before, power = power, np.sum(scale * residual**2, axis=0)
        direction = scale * residual + _ratio(power, before) * direction
    return table


def _diagonal(matrix: sp.csr_array[Any]) -> Float:
    """(rows,) the diagonal of A'A: zero for a row that nobody uses."""
    squares = np.bincount(matrix.indices, matrix.data**2, minlength=matrix.shape[1])
    return squares.astype(np.float64)


def _ratio(above: Float, below: Float) -> Float:
    """Their quotient, and zero where `below` is: a column solved already, a row not used."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
