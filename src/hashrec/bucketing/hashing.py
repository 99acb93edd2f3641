"""Universal hashing of raw ids in exact integers: the same row on every machine, for ever.

An id becomes a key in [0, p), p = 2^61 - 1: an integer its value mod p, a string the polynomial

    r^n + B_1 r^(n-1) + ... + B_n   (mod p)      over its n UTF-8 bytes, r drawn from the seed,

whose leading 1 tells "", "\\0" and "\\0\\0" apart. A key becomes a row by a cubic with drawn c_j:

    h(x) = ((c_3 x^3 + c_2 x^2 + c_1 x + c_0) mod p) mod rows

Any four distinct keys are hashed independently of one another (Wegman & Carter 1981, "New hash
functions and their use in authentication and set equality"). The line a x + b would be universal
too, but real ids are often 0..n-1, and a line takes those to rows that are far too even or, for
one seed in ten, far too uneven.

Coefficients are drawn by sha256, not by NumPy, whose generators may change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashrec.kernels import kernel

__all__ = ["PRIME", "Universal", "draw", "hash_oracle", "keys"]

PRIME: int = 2**61 - 1
_TERMS = 4

Keys = npt.NDArray[np.uint64]

# Typed, because numba makes a float of uint64 with a signed integer.
_P = np.uint64(PRIME)
_61, _32, _29, _3 = np.uint64(61), np.uint64(32), np.uint64(29), np.uint64(3)
_LOW32, _LOW29 = np.uint64(2**32 - 1), np.uint64(2**29 - 1)


def draw(below: int, *what: int | str) -> int:
    """A number in [0, below) that depends on `what` alone; even to within 2^-190 for 61 bits."""
    parts = [repr(part if isinstance(part, str) else int(part)) for part in what]
    text = "hashrec draw 1 " + " ".join(parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % below


def keys(ids: Any, seed: int) -> Keys:
    """(n,) uint64 in [0, p): one key for each of `ids`, a pa.Array of integers or strings.

    Integers that agree mod p share a key whatever the seed; below 2^60 in size none do.
    """
    if pa.types.is_string(ids.type):
        return _text_keys(ids, _base(seed))
    values = ids.to_numpy(zero_copy_only=False)
    if values.dtype == np.uint64:
        found: Keys = values % _P
    else:
        found = np.mod(values.astype(np.int64), np.int64(PRIME)).astype(np.uint64)
    return found


class Universal(NamedTuple):
    """One hash function of the family: `seed` is the user's, `stream` tells its uses apart."""

    seed: int
    stream: str

    @property
    def coefficients(self) -> tuple[int, ...]:
        """c_0 .. c_3, each in [0, p)."""
        return tuple(draw(PRIME, "c", self.seed, self.stream, j) for j in range(_TERMS))

    def hash(self, keys: Keys, rows: int) -> npt.NDArray[np.int32]:
        """(n,) int32 in [0, rows) for (n,) keys in [0, p)."""
        coefficients = np.array(self.coefficients, dtype=np.uint64)
        out = np.empty(len(keys), dtype=np.int32)
        _hash(keys, coefficients, np.uint64(rows), out)
        return out


def hash_oracle(ids: Sequence[int | str], universal: Universal, rows: int) -> list[int]:
    """Keys and rows as the equations have them, in Python's integers: the judge of the kernels."""
    return [_row(_key(raw, _base(universal.seed)), universal.coefficients, rows) for raw in ids]


def _key(raw: int | str, base: int) -> int:
    if isinstance(raw, int):
        return raw % PRIME
    text = raw.encode()
    key = 0
    for power, digit in enumerate(reversed((1, *text))):
        key += digit * pow(base, power, PRIME)
    return key % PRIME


def _row(key: int, coefficients: Sequence[int], rows: int) -> int:
    return sum(c * pow(key, j, PRIME) for j, c in enumerate(coefficients)) % PRIME % rows


def _base(seed: int) -> int:
    """r: above every byte, so short texts differ by more than luck."""
    return 256 + draw(PRIME - 256, "r", seed)


def _text_keys(ids: Any, base: int) -> Keys:
    out = np.empty(len(ids), dtype=np.uint64)
    if len(ids):
        _, offsets, data = ids.buffers()
        starts = np.frombuffer(offsets, dtype=np.int32)[ids.offset : ids.offset + len(ids) + 1]
        text = np.frombuffer(data if data is not None else b"", dtype=np.uint8)
        _horner(text, starts, np.uint64(base), out)
    return out


@kernel
def _times(a, b):  # type: ignore[no-untyped-def]
    """a b mod p for a, b in [0, p), by halves of 32 bits; 2^61 = 1 and so 2^64 = 8 (mod p).

    a = A 2^32 + a', b = B 2^32 + b':  8 A B  +  2^32 (A b' + a' B)  +  a' b', each below 2^64.
    """
    high_a, low_a = a >> _32, a & _LOW32
    high_b, low_b = b >> _32, b & _LOW32
    middle = high_a * low_b + low_a * high_b
    low = low_a * low_b
    total = (high_a * high_b) << _3
    total += (middle >> _29) + ((middle & _LOW29) << _32)
    total += (low >> _61) + (low & _P)
    return _reduced(total)


@kernel
def _reduced(total):  # type: ignore[no-untyped-def]
    """total mod p, for any uint64."""
    folded = (total >> _61) + (total & _P)
    return folded - _P if folded >= _P else folded


@kernel
def _hash(keys, coefficients, rows, out):  # type: ignore[no-untyped-def]
    for at in range(len(keys)):
        value = coefficients[-1]
        for j in range(len(coefficients) - 2, -1, -1):
            value = _reduced(_times(value, keys[at]) + coefficients[j])
        out[at] = value % rows


@kernel
def _horner(text, starts, base, out):  # type: ignore[no-untyped-def]
    for at in range(len(out)):
        value = np.uint64(1)
        for byte in range(starts[at], starts[at + 1]):
            value = _reduced(_times(value, base) + np.uint64(text[byte]))
        out[at] = value
