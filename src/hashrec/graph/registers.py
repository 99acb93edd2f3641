"""The inner loop of propagation with its sums held in vector registers.

Written as a plain loop, every neighbour's vector is added to a row in memory: two reads and a
write for each number. Compilers do not lift such a row into registers by themselves, so this
function says it in LLVM's own terms: four vectors of sixteen floats start at zero, every
neighbour is added to them, and they are stored once. On processors with narrower registers LLVM
splits the vectors. The order of additions is that of the plain loop, so are the bits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hashrec.simd import load, meet, spread

__all__ = ["TILE", "gather_tile"]

_LANES = 16
_VECTORS = 4
# Columns summed at once.
TILE = _LANES * _VECTORS

_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)


@intrinsic
def gather_tile(  # type: ignore[no-untyped-def]
    _context, block, indices, weights, start, end, column, scale, out
):
    """out[column:column+TILE] = scale * sum over e in [start, end) of w * block[indices[e], ...].

    w = weights[indices[e]]; block is C-contiguous 2-d float32, out a row of it, indices int32,
    start, end and column int64, scale float32. Inside compiled code only; nothing is checked.
    """
    given = (block, indices, weights, start, end, column, scale, out)
    return types.void(*given), _emit


def _emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    block, indices, weights, out = (
        context.make_array(signature.args[place])(context, builder, arguments[place])
        for place in (0, 1, 2, 7)
    )
    start, end, column, scale = arguments[3:7]
    width = builder.udiv(builder.extract_value(block.strides, 0), _INDEX(4))
    entry, loop, done = (
        builder.block,
        builder.append_basic_block("neighbours"),
        builder.append_basic_block("store"),
    )
    zero = ir.Constant(_VECTOR, [0.0] * _LANES)
    builder.cbranch(builder.icmp_signed("<", start, end), loop, done)

    builder.position_at_end(loop)
    edge = builder.phi(_INDEX)
    sums = [builder.phi(_VECTOR) for _ in range(_VECTORS)]
    neighbour = builder.sext(builder.load(builder.gep(indices.data, [edge])), _INDEX)
    weight = spread(builder, builder.load(builder.gep(weights.data, [neighbour])), _LANES)
    row = builder.gep(block.data, [builder.add(builder.mul(neighbour, width), column)])
    added = [
        builder.fadd(total, builder.fmul(weight, _load(builder, row, vector)))
        for vector, total in enumerate(sums)
    ]
    following = builder.add(edge, _INDEX(1))
    builder.cbranch(builder.icmp_signed("<", following, end), loop, done)
    meet(edge, {entry: start, loop: following})
    for total, after in zip(sums, added, strict=True):
        meet(total, {entry: zero, loop: after})

    builder.position_at_end(done)
    finals = [builder.phi(_VECTOR) for _ in range(_VECTORS)]
    for total, after in zip(finals, added, strict=True):
        meet(total, {entry: zero, loop: after})
    target, factor = builder.gep(out.data, [column]), spread(builder, scale, _LANES)
    for vector, total in enumerate(finals):
        stored = builder.store(builder.fmul(total, factor), _place(builder, target, vector))
        stored.align = 4
    return context.get_dummy_value()


def _place(builder: Any, row: Any, vector: int) -> Any:
    pointer = builder.gep(row, [_INDEX(vector * _LANES)])
    return builder.bitcast(pointer, _VECTOR.as_pointer())


def _load(builder: Any, row: Any, vector: int) -> Any:
    return load(
        builder, _place(builder, row, vector), _VECTOR, align=4
    )  # rows begin where they begin
