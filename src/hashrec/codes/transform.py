"""Transform codes: bits go where they matter to scores."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hashrec.codes.basis import Basis
from hashrec.codes.coder import Coder, require_finite
from hashrec.codes.codes import Codes
from hashrec.codes.decoder import Decoder
from hashrec.codes.packing import pack
from hashrec.codes.rotation import Rotation, RotationKind
from hashrec.errors import UsageError

__all__ = ["TransformCodes", "allocate", "planes", "principal", "total_bits"]

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Users' second moments below this share of the largest are taken for it, so that no direction's
# length in the basis is lost in rounding.
_LEAST = 1e-9
# The outermost level, in standard deviations: the best for a normal variable at 1 bit is .8, at 8
# bits 3.9, and heavier tails want more.
_REACHES = tuple(0.6 * 1.12**step for step in range(20))
_SAMPLED = 4_096  # items that say how far the levels of each direction reach
_MOST = 8


class TransformCodes(Coder):
    """As many bits for each direction as make the error of scores least.

    With M the mean of q q' over the queries, the squared error of a score, E (q . x - q . y)^2, is
    (x - y)' M (x - y). In z = V' M^(1/2) x, V the principal directions of M^(1/2) x, that is a sum
    over directions of variances that are as unequal as can be, x and y around the mean of all
    items. Each gets a uniform quantiser of 0 to 8 bits, bits being given out one by one to where
    they take away most error (transform coding: Huang and Schultheiss 1963; measuring errors by
    the queries that will come: Guo et al., "Accelerating Large-Scale Inference with Anisotropic
    Vector Quantization", ICML 2020, whose weights are others). Stored as bit planes: one bit a
    dimension.

    Users count alike whatever their length, which changes no ranking, and users' own codes look at
    items around their mean, for the same reason. Scores lack one number a user, the product with
    the items' mean, which is the basis's `rest`; it ranks nothing.

    Attributes:
        bits: the mean over the directions, as many as the vectors have dimensions.
        size: bytes an item instead; None: as `bits` says.
    """

    name: ClassVar[str] = "transform"
    by_row: ClassVar[bool] = False

    bits: Annotated[int, Field(ge=1, le=_MOST)] = 2
    size: Annotated[int, Field(ge=1)] | None = None

    def encode(
        self,
        vectors: npt.NDArray[np.float32],
        seed: int = 0,
        *,
        queries: npt.NDArray[np.float32] | None = None,
        turned: RotationKind = "none",
    ) -> Codes:
        """Codes of all items together; without `queries` they stand for their own.

        Raises ValueError where a value is not finite, UsageError where there is no vector to fit
        codes to, or `size` is more than 8 bits for every dimension.
        """
        if not len(vectors):
            raise UsageError("there are no vectors to fit transform codes to", got="0 rows")
        require_finite(vectors)
        middle = vectors.mean(axis=0, dtype=np.float64)
        around = vectors - middle
        asked = vectors if queries is None else queries
        require_finite(asked)
        forward, back = principal(around, asked.astype(np.float64))
        z = around @ forward
        bits, reach = allocate(z, total_bits(self.bits, self.size, vectors.shape[1]))
        return _coded(z, back, middle, bits, reach)

    def quantise(self, vectors: npt.NDArray[np.float32], rotation: Rotation) -> Codes:
        raise UsageError(
            "transform codes are fitted to all items and what will be asked of them; they code no "
            "vectors by themselves", fix="use `encode`, or take int codes",
        )  # fmt: skip


def total_bits(bits: int, size: int | None, dim: int) -> int:
    """Of a vector of `dim` dimensions; raises UsageError where it has no use for `size` bytes."""
    if size is not None and size > dim * _MOST // 8:
        raise UsageError(
            f"{dim} dimensions have no use for so many bytes", name="codes.size",
            expected=f"{dim} at most", got=str(size),
        )  # fmt: skip
    return bits * dim if size is None else 8 * size


def principal(items: Doubles, queries: Doubles) -> tuple[Doubles, Doubles]:
    """(d, d) T and its inverse: z = x T, the strongest direction of items first, which are around
    their mean."""
    moments, axes = np.linalg.eigh(queries.T @ queries)
    largest = moments.max(initial=0.0)
    roots = np.sqrt(np.maximum(moments, largest * _LEAST)) if largest > 0 else np.ones(len(axes))
    forward, back = axes * roots, (axes / roots).T
    seen = items @ forward
    _, directions = np.linalg.eigh(seen.T @ seen)
    directions = directions[:, ::-1]
    return forward @ directions, directions.T @ back


def allocate(z: Doubles, total: int) -> tuple[Ints, Doubles]:
    """(d,) bits of each column of z, `total` in all, and (d,) how far its levels reach from zero.

    The next bit goes where it takes away most squared error, as measured at the best reach.
    """
    every = max(1, -(-len(z) // _SAMPLED))
    sample = z[::every]
    errors = np.empty((_MOST + 1, z.shape[1]))
    reaches = np.zeros((_MOST + 1, z.shape[1]))
    errors[0] = np.square(sample).mean(0)
    spread = np.sqrt(errors[0])
    for bits in range(1, _MOST + 1):
        tried = [_error(sample, bits, spread * reach) for reach in _REACHES]
        best = np.argmin(tried, axis=0)
        errors[bits] = np.min(tried, axis=0)
        reaches[bits] = spread * np.array(_REACHES)[best]
    gains = np.vstack([errors[:-1] - errors[1:], np.full(z.shape[1], -np.inf)])
    given, columns = np.zeros(z.shape[1], np.int64), np.arange(z.shape[1])
    for _ in range(total):
        given[np.argmax(gains[given, columns])] += 1
    return given, reaches[given, columns]


def _error(z: Doubles, bits: int, reach: Doubles) -> Doubles:
    """Mean squared error of each column at such a reach."""
    rounded = _levels(z, bits, reach) * (reach / (2**bits - 1))
    return np.asarray(np.square(z - rounded).mean(0))


def _levels(z: Doubles, bits: int, reach: Doubles) -> Doubles:
    """Odd integers, -(2^bits - 1) for -reach and 2^bits - 1 for reach."""
    top = 2**bits - 1
    unit = np.divide(z, reach, out=np.zeros_like(z), where=reach > 0)
    return np.asarray(2 * np.clip(np.floor(((unit + 1) * top + 1) / 2), 0, top) - top)


def _coded(z: Doubles, back: Doubles, middle: Doubles, bits: Ints, reach: Doubles) -> Codes:
    """Bit planes of every direction that has bits; z are around the mean, which is `middle`."""
    live = np.flatnonzero(bits)
    columns = np.zeros((len(z), len(live)), np.uint8)
    gain, offset = np.zeros(len(live)), np.zeros(len(live))
    for number, column in enumerate(live):
        b = int(bits[column])
        levels = _levels(z[:, column], b, reach[column])
        gain[number], offset[number] = _fitted(z[:, column], levels)
        columns[:, number] = ((levels + 2**b - 1) / 2).astype(np.uint8)
    return planes(columns, bits[live], gain, offset, back[live], middle)


def _fitted(z: Doubles, levels: Doubles) -> tuple[float, float]:
    """The gain and the offset with which levels come nearest to z, whose mean is zero."""
    around = levels - levels.mean()
    square = float(around @ around)
    gain = float(around @ z) / square if square > 0 else 0.0
    return gain, -gain * float(levels.mean())


def planes(
    columns: npt.NDArray[np.uint8],
    bits: Ints,
    gain: Doubles,
    offset: Doubles,
    directions: Doubles,
    rest: Doubles,
) -> Codes:
    """One-bit codes of (n, k) integers below 2^bits: a level is a sum over planes of +2^p or -2^p.

    x = sum_j (gain_j level_j + offset_j) directions_j + rest; a direction's length moves into its
    gain, so that half precision is enough for the rest of it.
    """
    owner = np.repeat(np.arange(len(bits)), bits)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(bits) - bits, bits)
    length = np.abs(directions).max(axis=1, initial=0.0)
    length[length == 0] = 1.0
    wide_gain = (gain * length)[owner] * 2.0**place
    wide_offset = np.where(place == 0, (offset * length)[owner], 0.0)
    basis = Basis(
        (directions / length[:, None]).astype(np.float16), owner.astype(np.uint16),
        rest.astype(np.float32),
    )  # fmt: skip
    decoder = Decoder(wide_gain.astype(np.float32), wide_offset.astype(np.float32))
    set_bits = np.empty((len(columns), len(owner)), np.uint8)
    for plane, (column, p) in enumerate(zip(owner, place, strict=True)):
        set_bits[:, plane] = (columns[:, column] >> np.uint8(p)) & 1
    return Codes(pack(set_bits, 1), 1, len(owner), None, basis, decoder)
