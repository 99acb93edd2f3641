"""Random rotations: they spread a vector's energy over all dimensions before it is cut to bits.

A rotation keeps every dot product, so users and items rotated alike score as before; only the
rounding becomes fair. A rotation is its kind, size and seed: nothing else is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from hashrec.codes.products import products

__all__ = ["Rotation", "RotationKind"]

RotationKind = Literal["none", "orthogonal", "hadamard"]
Vectors = npt.NDArray[np.float32]

# A Hadamard round mixes within each half-overlapping block; three rounds mix all with all.
_ROUNDS = 3


@dataclass(frozen=True)
class Rotation:
    """An orthogonal map of `dim` dimensions.

    Attributes:
        kind: `orthogonal`: uniformly random (QR of a Gaussian matrix), dim^2 operations a vector;
            `hadamard`: random signs and Walsh-Hadamard transforms, dim log dim operations, for
            very long vectors; `none`: the identity.
        dim: the vectors' length, any positive number.
        seed: of the generator that draws it.
    """

    kind: RotationKind
    dim: int
    seed: int

    n_bytes: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(RotationKind):
            raise ValueError(f"no rotation is called {self.kind!r}")
        if not (isinstance(self.seed, int | np.integer) and self.seed >= 0):
            raise ValueError(f"a seed is a whole number from 0 on, not {self.seed!r}")

    @property
    def source_dim(self) -> int:
        """Dimensions of the space it turns."""
        return self.dim

    def apply(self, vectors: Vectors, *, steady: bool = False) -> Vectors:
        """(n, dim) float32 -> (n, dim) float32.

        `steady`: no row's bits depend on the rows beside it; slower.
        """
        if self.kind == "none":
            return vectors
        if self.kind == "orthogonal":
            return self._times(vectors, _matrix(self.dim, self.seed), steady)
        return _hadamard_rounds(vectors, self._signs(), inverse=False)

    def inverse(self, vectors: Vectors, *, steady: bool = False) -> Vectors:
        """Undoes `apply` up to float32 rounding."""
        if self.kind == "none":
            return vectors
        if self.kind == "orthogonal":
            return self._times(vectors, _matrix(self.dim, self.seed).T, steady)
        return _hadamard_rounds(vectors, self._signs(), inverse=True)

    def _times(self, vectors: Vectors, matrix: Vectors, steady: bool) -> Vectors:
        return products(vectors, matrix) if steady else vectors @ matrix

    def _signs(self) -> Vectors:
        rng = np.random.default_rng(self.seed)
        return rng.choice(np.array([-1.0, 1.0], np.float32), size=(_ROUNDS, self.dim))


@lru_cache(maxsize=2)
def _matrix(dim: int, seed: int) -> Vectors:
    """(dim, dim) float32, Haar-distributed: R's diagonal is made positive so Q is unique."""
    gaussian = np.random.default_rng(seed).standard_normal((dim, dim))
    q, r = np.linalg.qr(gaussian)
    return np.asarray(q * np.where(np.diag(r) < 0, -1.0, 1.0), dtype=np.float32)


def _hadamard_rounds(vectors: Vectors, signs: Vectors, *, inverse: bool) -> Vectors:
    """Signs, then H on the first and on the last power-of-two block, a few rounds.

    Two overlapping blocks instead of padding: any dim keeps its number of bits.
    """
    result = vectors.astype(np.float32, copy=True)
    dim = result.shape[1]
    size = 1 << (dim.bit_length() - 1)
    blocks = [slice(0, size), slice(dim - size, dim)] if size < dim else [slice(0, dim)]
    for sign in signs[::-1] if inverse else signs:
        if inverse:
            for block in reversed(blocks):
                result[:, block] = _walsh_hadamard(result[:, block])
            result *= sign
        else:
            result *= sign
            for block in blocks:
                result[:, block] = _walsh_hadamard(result[:, block])
    return result


def _walsh_hadamard(vectors: Vectors) -> Vectors:
    """The orthonormal Walsh-Hadamard transform of each row (its own inverse); size 2^k."""
    n, size = vectors.shape
    result, half = vectors, 1
    while half < size:
        pairs = result.reshape(n, size // (2 * half), 2, half)
        left, right = pairs[:, :, 0], pairs[:, :, 1]
        result = np.stack([left + right, left - right], axis=2).reshape(n, size)
        half *= 2
    return result * np.float32(size**-0.5)
