"""Truncated SVD of the bipartite operator by subspace iteration on whole blocks.

The right singular vectors of N are the eigenvectors of C = N^T N. A random block is multiplied
by C again and again (Halko, Martinsson & Tropp 2011, algorithm 4.4), then a Rayleigh-Ritz step
picks the best vectors of its span. What makes it fast: the product is `propagate`, in buffers
that are used again; the block is orthonormalised through its small Gram matrix (Cholesky QR),
which is a matrix product where Householder QR is not, and no more often than float32 needs; and
the Rayleigh-Ritz step needs no orthonormal block, only two Gram matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashrec.graph import BipartiteOperator
from hashrec.progress import SILENT, Progress

__all__ = ["TruncatedSVD", "truncated_svd"]

Block = npt.NDArray[np.float32]
Small = npt.NDArray[np.float64]

# Cholesky QR is trusted while the factor's diagonal spans no more than this. The condition number
# may be ten times as large, a Gram matrix squares it, and float32 sums err by 1e-7: even then the
# smallest direction is good to one per cent, and the next step mends it.
_LARGEST_SPREAD = 30.0


@dataclass(frozen=True, eq=False)
class TruncatedSVD:
    """N is approximately U diag(singular) V^T; U is left to the caller, for it is N V / singular.

    Attributes:
        singular: (d,) float32, falling. Directions beyond the rank have 0 and a zero column in V.
        right: V, (n_items, d) float32, orthonormal columns.
        iterations: how many times the block was multiplied by N^T N.
        residual: the largest ||C v - s^2 v|| / s_1^2 over the first d Ritz vectors when the
            stopping rule looked last; infinite where it was never asked (tolerance 0).
    """

    singular: npt.NDArray[np.float32]
    right: Block
    iterations: int
    residual: float


def truncated_svd(
    operator: BipartiteOperator,
    dim: int,
    *,
    oversampling: int = 32,
    max_iterations: int = 4,
    tolerance: float = 0.0,
    rng: np.random.Generator,
    progress: Progress = SILENT,
) -> TruncatedSVD:
    """The leading `dim` singular triplets of the operator.

    Args:
        operator: N, (n_users, n_items).
        dim: how many triplets; at most min(n_users, n_items).
        oversampling: further columns carried along; they speed convergence and are dropped.
        max_iterations: at most so many products with N^T N, at least 1.
        tolerance: stop as soon as the residual (see `TruncatedSVD`) is at most this; the rule
            costs an orthonormalisation and a product of small width every iteration. Recommenders
            gain nothing from converged tails, so the default recipe stops early and asks nothing.
        rng: draws the start block: same generator state, same bytes.
    """
    if not 1 <= dim <= min(operator.shape):
        raise ValueError(f"dim must be in [1, {min(operator.shape)}], got {dim}")
    progress.start("spectral", max_iterations)
    block = _Subspace(operator, min(dim + oversampling, *operator.shape), rng)
    residual = float("inf")
    while block.iterations < max_iterations and residual > tolerance:
        if tolerance > 0:
            residual = block.multiply_and_judge(dim)
        else:
            block.multiply()
        progress.advance()
    singular, right = block.rayleigh_ritz(dim)
    return TruncatedSVD(singular, right, block.iterations, residual)


class _Subspace:
    """A block of columns on its way to the leading eigenvectors of C = N^T N."""

    def __init__(self, operator: BipartiteOperator, width: int, rng: np.random.Generator) -> None:
        self.operator = operator
        self.iterations = 0
        n_users, n_items = operator.shape
        self.block = rng.random((n_items, width), dtype=np.float32) - np.float32(0.5)
        self._users = np.empty((n_users, width), np.float32)
        self._spare = np.empty((n_items, width), np.float32)

    def multiply(self) -> None:
        """block <- C block. Columns draw together by s_1^2 / s_d^2 at every product.

        The first starts from random columns, whose spread hides most of that, so two products
        need one orthonormalisation after them; from then on each needs its own.
        """
        if self.iterations >= 2:
            self.block = _orthonormal(self.block)
        self._apply()

    def multiply_and_judge(self, dim: int) -> float:
        """The same, and the residual of the first `dim` Ritz pairs before it."""
        before = self.block = _orthonormal(self.block)
        self._apply()
        return _residual(before, self.block, dim)

    def rayleigh_ritz(self, dim: int) -> tuple[npt.NDArray[np.float32], Block]:
        """Singular values and right vectors of P P^T N, with P orthonormal and the span of N Z.

        Z is the block. With L L^T = (N Z)^T (N Z), P = N Z L^-T, so the right vectors are those of
        B = N^T P = (N^T N Z) L^-T, found from the small matrix B^T B.
        """
        users = self.operator.to_users(self.block, self._users)
        lower = _cholesky(_gram(users))
        if lower is None:
            users, lower = _householder(users), np.eye(users.shape[1])
        image = self.operator.to_items(users, self._spare)
        inverse = np.linalg.inv(lower)
        squared, vectors = np.linalg.eigh(inverse @ _gram(image) @ inverse.T)
        squared, vectors = squared[::-1][:dim], vectors[:, ::-1][:, :dim]
        singular = np.sqrt(np.maximum(squared, 0.0))
        # Below this a Gram matrix of float32 sums holds only rounding: outside the rank.
        live = singular > singular[0] * np.sqrt(len(lower) * np.finfo(np.float32).eps)
        unit = np.divide(1.0, singular, out=np.zeros_like(singular), where=live)
        right = image @ (inverse.T @ vectors * unit).astype(np.float32)
        return np.where(live, singular, 0.0).astype(np.float32), _signed(right)

    def _apply(self) -> None:
        self.operator.to_users(self.block, self._users)
        self.block, self._spare = self.operator.to_items(self._users, self._spare), self.block
        self.iterations += 1


def _orthonormal(block: Block) -> Block:
    """A basis of the same span, orthonormal enough to go on with.

    Cholesky QR where the condition allows, else numpy's Householder QR, which takes any block (a
    graph of few communities makes a rank-deficient one).
    """
    lower = _cholesky(_gram(block))
    if lower is None:
        return _householder(block)
    return block @ np.linalg.inv(lower).T.astype(np.float32)


def _cholesky(gram: Small) -> Small | None:
    """The lower factor, or None where float32 sums cannot carry the condition number."""
    try:
        lower = np.linalg.cholesky(gram).astype(np.float64)
    except np.linalg.LinAlgError:
        return None
    diagonal = np.diag(lower)
    return lower if diagonal.min() * _LARGEST_SPREAD > diagonal.max() else None


def _householder(block: Block) -> Block:
    return np.linalg.qr(block)[0].astype(np.float32)


def _gram(block: Block) -> Small:
    """block^T block: the long sums in float32, by a product that knows it is symmetric."""
    gram: Small = (block.T @ block).astype(np.float64)
    return gram


def _residual(basis: Block, image: Block, dim: int) -> float:
    """max over leading Ritz pairs of ||C Q w - t Q w|| / t_1, for image = C Q, Q orthonormal."""
    small = (basis.T @ image).astype(np.float64)
    ritz, vectors = np.linalg.eigh((small + small.T) / 2)
    ritz, vectors = ritz[::-1][:dim], vectors[:, ::-1][:, :dim].astype(np.float32)
    gap = image @ vectors - (basis @ vectors) * ritz.astype(np.float32)
    return float(np.linalg.norm(gap, axis=0).max() / max(ritz[0], np.finfo(np.float32).tiny))


def _signed(right: Block) -> Block:
    """Each column's sign so that its entries sum to 0 or more: signs are arbitrary otherwise."""
    totals = np.ones(len(right), np.float32) @ right
    return right * np.where(totals < 0, np.float32(-1), np.float32(1))
