"""Unsigned integers of 1 to 8 bits, packed into bytes row by row.

Value j of a row occupies bits j*b ... j*b + b - 1 of the row, least significant first, counted
from the least significant bit of the first byte. Rows begin on a byte; bits left over are zero.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["pack", "row_bytes", "unpack"]

Bytes = npt.NDArray[np.uint8]


def row_bytes(dim: int, bits: int) -> int:
    """Bytes of one packed row of `dim` values."""
    return -(-dim * bits // 8)


def pack(values: Bytes, bits: int) -> Bytes:
    """(n, dim) uint8 values below 2**bits -> (n, row_bytes(dim, bits)) uint8.

    Raises ValueError for bits outside 1..8 or a value that does not fit.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"bits must be in 1..8, got {bits}")
    if values.size and int(values.max()) >> bits:
        raise ValueError(f"a value of {int(values.max())} does not fit {bits} bits")
    n, dim = values.shape
    if bits == 8:
        return values.copy()
    single = (values[:, :, None] >> np.arange(bits, dtype=np.uint8)) & np.uint8(1)
    return np.packbits(single.reshape(n, dim * bits), axis=1, bitorder="little")


def unpack(packed: Bytes, bits: int, dim: int) -> Bytes:
    """The inverse of `pack`: (n, row_bytes) uint8 -> (n, dim) uint8."""
    if packed.shape[1] != row_bytes(dim, bits):
        raise ValueError(
            f"rows of {packed.shape[1]} bytes do not hold {dim} values of {bits} bits "
            f"({row_bytes(dim, bits)} bytes)"
        )
    if bits == 8:
        return packed.copy()
    single = np.unpackbits(packed, axis=1, count=dim * bits, bitorder="little")
    if bits == 1:
        return single
    weights = np.left_shift(1, np.arange(bits)).astype(np.uint8)
    values: Bytes = (single.reshape(len(packed), dim, bits) * weights).sum(axis=2, dtype=np.uint8)
    return values
