"""A query as weights of bits: what every set bit of a packed row adds to its sum.

A level is a sum over the bits of its code, level = 2 code - top, so a query's sum over a row is a
sum over the row's set bits: bit t of dimension j weighs 2^(t+1) q_j, and -top sum_j q_j joins the
base. This holds at any width, and at any width four neighbouring bits make a table of sixteen sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hashrec.codes import Codes
from hashrec.kernels import inner_kernel, kernel
from hashrec.search.query import FixedQueries
from hashrec.simd import foreign, load, meet

__all__ = ["bit_weights", "scored", "sum_bits", "sums_of_nibble"]


def bit_weights(
    fixed: FixedQueries, items: Codes
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(n, 8 row bytes) int64 weights, zero beyond the last dimension, and (n,) int64 bases."""
    n, dim = fixed.values.shape
    steps = np.int64(2) << np.arange(items.bits)
    weights = np.zeros((n, 8 * items.data.shape[1]), np.int64)
    weights[:, : dim * items.bits] = (fixed.values[:, :, None] * steps).reshape(n, dim * items.bits)
    top = 2**items.bits - 1
    return weights, fixed.bases - top * fixed.values.sum(axis=1, dtype=np.int64)


@intrinsic
def _sum_bits(_context, data, item, weights, query):  # type: ignore[no-untyped-def]
    """int64: the sum over the set bits of row `item` of their weights in row `query`.

    Inside compiled code only; nothing is checked. Eight bits at once, modulo 2^32.

    Args:
        data: (n_items, width) uint8. weights: (n_queries, 8 width) int32. Both C-contiguous.
    """
    return types.int64(data, item, weights, query), _emit


def _emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    lane, long = ir.IntType(32), ir.IntType(64)
    vector, mask = ir.VectorType(lane, 8), ir.VectorType(ir.IntType(1), 8)
    data, weights = (
        context.make_array(signature.args[place])(context, builder, arguments[place])
        for place in (0, 2)
    )
    width = builder.extract_value(data.shape, 1)
    row = builder.gep(data.data, [builder.mul(arguments[1], width)])
    column = builder.mul(builder.mul(arguments[3], width), long(8))
    own = builder.gep(weights.data, [column])
    zero = ir.Constant(vector, [0] * 8)
    entry, loop = builder.block, builder.append_basic_block("bytes")
    done = builder.append_basic_block("sum")
    builder.branch(loop)
    builder.position_at_end(loop)
    place, total = builder.phi(long), builder.phi(vector)
    bits = builder.bitcast(builder.load(builder.gep(row, [place])), mask)
    eight = load(builder, builder.gep(own, [builder.mul(place, long(8))]), vector, align=4)
    added = builder.add(total, builder.select(bits, eight, zero))
    following = builder.add(place, long(1))
    builder.cbranch(builder.icmp_signed("<", following, width), loop, done)
    meet(place, {entry: long(0), loop: following})
    meet(total, {entry: zero, loop: added})
    builder.position_at_end(done)
    whole = foreign(builder, "llvm.vector.reduce.add.v8i32", lane, added)
    return builder.sext(whole, long)


@inner_kernel
def sum_bits(data, item, weights, query, bases):  # type: ignore[no-untyped-def]
    """int32: the base and what the set bits of row `item` weigh for row `query` of `weights`."""
    return np.int32(bases[query] + _sum_bits(data, item, weights, query))


@inner_kernel
def scored(total, query_scale, item_scales, row):  # type: ignore[no-untyped-def]
    """float32: the score of a sum, in the order of operations that `query.combine` has.

    item_scales: (n,) float32, or none where every item's is one.
    """
    item_scale = np.float64(item_scales[row]) if len(item_scales) else 1.0
    return np.float32(total * (query_scale * item_scale)) + np.float32(0)


@kernel
def sums_of_nibble(weights, nibble, sums):  # type: ignore[no-untyped-def]
    """sums[v], int64: what the set bits of each value v of a nibble weigh; zero beyond the row."""
    sums[0] = 0
    for bit in range(4):
        place = 4 * nibble + bit
        weight = weights[place] if place < len(weights) else 0
        for value in range(1 << bit):
            sums[(1 << bit) + value] = sums[value] + weight
