"""Queries against packed codes, in fixed point.

A float sum depends on the order of its terms, so two engines, or the same engine on one user and
on a batch, would disagree in the last bit and break ties differently. Against packed codes a
query is therefore rounded once, to integers: every sum is then exact in int32 whatever the
order, and every engine returns the same bits. With Q = sum_j |x_j|, each query keeps about
31 - log2(levels) bits for Q: at 1 bit and 512 dimensions that is float32's own precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.errors import UsageError

__all__ = ["FixedQueries", "combine", "integral"]

_LARGEST_SUM = 2**31 - 1


@dataclass(frozen=True, eq=False)
class FixedQueries:
    """Integer queries and what they stand for.

    Attributes:
        values: (n, dim) int32; no base + sum of values * levels leaves int32.
        bases: (n,) int32, what an item's decoder adds to every sum of a query.
        scales: (n,) float64, at least 0; the score is scale * item scale * (base + sum), rounded to
        float32.
    """

    values: npt.NDArray[np.int32]
    bases: npt.NDArray[np.int32]
    scales: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, queries: Codes, items: Codes) -> FixedQueries:
        """Queries for packed items: packed ones exactly, floats rounded to fixed point.

        A decoder of the items is moved to the other side: with x_j = g_j level_j + o_j, the product
        q . x is (q g) . level + q . o. Packed queries count as floats where a decoder tells
        dimensions apart.
        """
        largest_level = 2**items.bits - 1
        if integral(queries, items):
            _require_room(queries.dim * largest_level * (2**queries.bits - 1), queries, items.bits)
            scales = np.ones(len(queries)) if queries.scales is None else queries.scales
            gain = _gain(queries) * _gain(items)
            values = queries.levels().astype(np.int32) * np.int32(-1 if gain < 0 else 1)
            none = np.zeros(len(queries), np.int32)
            return cls(values, none, scales.astype(np.float64) * abs(gain))
        with np.errstate(over="ignore", invalid="ignore"):
            exact, bases = queries.decode().astype(np.float64), np.zeros(len(queries))
        if not np.isfinite(exact).all():
            raise UsageError("queries are so long that they overflow float32")
        if items.decoder is not None:
            for dimension, offset in enumerate(items.decoder.offset):  # in this order, always
                bases += exact[:, dimension] * np.float64(offset)
            exact *= items.decoder.gain
        terms = queries.dim + (items.decoder is not None)
        _require_room(2 * terms * largest_level, queries, items.bits)
        # Rounding adds at most 1/2 a term, so leave room for it.
        room = _LARGEST_SUM // largest_level - terms
        total = np.abs(exact).sum(axis=1) + np.abs(bases) / largest_level
        exponent = np.zeros(len(exact), dtype=np.int64)
        live = total > 0
        exponent[live] = np.floor(np.log2(room / total[live])).astype(np.int64)
        values = np.rint(np.ldexp(exact, exponent[:, None])).astype(np.int32)
        fixed_bases = np.rint(np.ldexp(bases, exponent)).astype(np.int32)
        return cls(values, fixed_bases, np.ldexp(1.0, -exponent))


def integral(queries: Codes, items: Codes) -> bool:
    """Whether scores are sums of small integers times a number: both are packed, and neither has a
    decoder that tells dimensions apart."""
    decoders = (queries.decoder, items.decoder)
    return queries.packed and all(one is None or one.constant is not None for one in decoders)


def _gain(codes: Codes) -> float:
    """What every level stands for, where they all stand for the same."""
    constant = 1.0 if codes.decoder is None else codes.decoder.constant
    assert constant is not None
    return constant


def _require_room(largest_sum: int, queries: Codes, item_bits: int) -> None:
    if largest_sum > _LARGEST_SUM:
        raise UsageError(
            f"{queries.dim} dimensions of {item_bits}-bit items and {queries.bits}-bit queries "
            "overflow 32-bit sums",
            fix="use fewer dimensions or fewer bits",
        )


def combine(
    sums: npt.NDArray[np.float64],
    query_scales: npt.NDArray[np.float64],
    item_scales: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """(n_queries, n_items) scores of integer sums, in the order of operations all engines keep.

    Zero has no sign, which the sum of an item without length, or of one too short, would give it.
    """
    scores = sums * (query_scales[:, None] * item_scales.astype(np.float64))
    with np.errstate(over="ignore"):  # beyond float32 a score is infinite, in every engine
        return scores.astype(np.float32) + np.float32(0)
