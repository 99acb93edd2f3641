"""Sign random projections: rows that look alike get codes that share many bits.

Bit j of a row with entries w_q in columns q is 1 where  sum_q w_q g(q, j) >= 0, so two rows at
angle t differ in a bit with probability t / pi (Charikar 2002, "Similarity estimation techniques
from rounding algorithms"). The normal numbers g are replaced by the sum of the four 16-bit parts
of a mixed counter, an integer that is nearly normal and the same on every machine; the sum over q
is made in float64 in the order of the columns, exactly where the w_q are whole.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.hashing import draw
from hashrec.csr import Csr
from hashrec.kernels import kernel

__all__ = ["MAX_BITS", "codes_of_edges", "codes_of_features", "normal_oracle"]

MAX_BITS = 61

Codes = npt.NDArray[np.int64]

# Counters are 2^6 apart for a column, so each of its bits has its own.
_COLUMN = np.uint64(64)
# Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators": SplitMix64.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
_16, _32, _48 = np.uint64(16), np.uint64(32), np.uint64(48)
_PART = np.uint64(0xFFFF)
_CENTRE = 4 * 0xFFFF / 2


def codes_of_edges(
    rows: Csr, weights: npt.NDArray[np.float32] | None, bits: int, seed: int, stream: str
) -> Codes:
    """(n,) int64 codes in [0, 2^bits) of sparse rows; the first bit is the highest.

    `weights`: (n_entries,) beside `rows.indices`, or None where all are one. A row without
    entries has all bits set.
    """
    out = np.empty(rows.n_rows, dtype=np.int64)
    values = np.ones(1, dtype=np.float32) if weights is None else np.ascontiguousarray(weights)
    _project_edges(
        rows.offsets, rows.indices, values, weights is not None, _salt(seed, stream), bits, out
    )
    return out


def codes_of_features(
    features: npt.NDArray[np.float32], bits: int, seed: int, stream: str
) -> Codes:
    """(n,) int64 codes of dense rows: those of `codes_of_edges` for the same numbers."""
    out = np.empty(len(features), dtype=np.int64)
    table = np.empty((features.shape[1], bits), dtype=np.float64)
    _fill(_salt(seed, stream), table)
    _project_features(np.ascontiguousarray(features), table, out)
    return out


def normal_oracle(column: int, bit: int, seed: int, stream: str) -> int:
    """2 g(q, j) in Python's integers: the judge of the kernels."""
    mask = 2**64 - 1
    z = (int(_salt(seed, stream)) + (column * 64 + bit + 1) * int(_STEP)) & mask
    z = (z ^ (z >> 30)) * int(_MIX_1) & mask
    z = (z ^ (z >> 27)) * int(_MIX_2) & mask
    z ^= z >> 31
    return 2 * sum(z >> shift & 0xFFFF for shift in (0, 16, 32, 48)) - 4 * 0xFFFF


def _salt(seed: int, stream: str) -> np.uint64:
    return np.uint64(draw(2**64, "projection", seed, stream))


@kernel
def _normal(salt, column, bit):  # type: ignore[no-untyped-def]
    """g(q, j): mean 0, whole, about normal."""
    z = salt + (np.uint64(column) * _COLUMN + np.uint64(bit) + np.uint64(1)) * _STEP
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    z = z ^ (z >> _31)
    parts = (z & _PART) + ((z >> _16) & _PART) + ((z >> _32) & _PART) + (z >> _48)
    return np.float64(np.int64(parts)) - _CENTRE


@kernel
def _code(sums):  # type: ignore[no-untyped-def]
    code = np.int64(0)
    for bit in range(len(sums)):
        code = code * 2 + (1 if sums[bit] >= 0.0 else 0)
    return code


@kernel
def _project_edges(  # type: ignore[no-untyped-def]
    offsets, indices, weights, weighted, salt, bits, out
):  # fmt: skip
    sums = np.empty(bits, dtype=np.float64)
    for row in range(len(out)):
        sums[:] = 0.0
        for entry in range(offsets[row], offsets[row + 1]):
            weight = np.float64(weights[entry]) if weighted else 1.0
            for bit in range(bits):
                sums[bit] += weight * _normal(salt, indices[entry], bit)
        out[row] = _code(sums)


@kernel
def _fill(salt, table):  # type: ignore[no-untyped-def]
    for column in range(table.shape[0]):
        for bit in range(table.shape[1]):
            table[column, bit] = _normal(salt, column, bit)


@kernel
def _project_features(features, table, out):  # type: ignore[no-untyped-def]
    sums = np.empty(table.shape[1], dtype=np.float64)
    for row in range(len(out)):
        sums[:] = 0.0
        for column in range(features.shape[1]):
            weight = np.float64(features[row, column])
            for bit in range(len(sums)):
                sums[bit] += weight * table[column, bit]
        out[row] = _code(sums)
