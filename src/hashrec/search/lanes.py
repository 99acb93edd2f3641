"""Inner loops of the portable scan, with fixed numbers of lanes so that they live in registers.

    add_nibbles   one item, 32 queries: eight rows of a table are added to their sums
    any_reaches   one item, 32 queries: whether a sum reaches its bar
    bits_reach    one query, 32 items: which differ in so few bits that they reach the bar

All are plain vector operations, which LLVM has on every processor. Bars are compared in float32;
see `tables.lowered` for how that stays safe. Inside compiled code only; nothing is checked.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hashrec.search.tiles import BLOCK
from hashrec.simd import data_of, foreign, load, meet, spread

__all__ = ["LANES", "NIBBLES", "add_nibbles", "any_reaches", "bits_reach"]

# Queries that are summed together.
LANES = 32
# Nibbles that are added at once, half a word.
NIBBLES = 8

_INT, _LONG = ir.IntType(32), ir.IntType(64)
_SUMS, _FLOATS = ir.VectorType(_INT, LANES), ir.VectorType(ir.FloatType(), LANES)
_WORDS = ir.VectorType(_LONG, BLOCK)


@intrinsic
def add_nibbles(_context, half_word, tables, sums, place):  # type: ignore[no-untyped-def]
    """sums[place] += sum over m of tables[m, nibble m of half_word].

    half_word: uint32. tables: (NIBBLES, 16, LANES) int32. sums: (items, LANES) int32.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tables, sums = (
            data_of(context, builder, signature.args[at], arguments[at]) for at in (1, 2)
        )
        target = builder.gep(sums, [builder.mul(arguments[3], _LONG(LANES))])
        total = load(builder, target, _SUMS, align=4)
        for nibble in range(NIBBLES):
            code = builder.and_(builder.lshr(arguments[0], _INT(4 * nibble)), _INT(15))
            row = builder.add(builder.zext(code, _LONG), _LONG(16 * nibble))
            entries = builder.gep(tables, [builder.mul(row, _LONG(LANES))])
            total = builder.add(total, load(builder, entries, _SUMS, align=4))
        builder.store(total, builder.bitcast(target, _SUMS.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(half_word, tables, sums, place), emit


@intrinsic
def any_reaches(_context, sums, place, scale, bars):  # type: ignore[no-untyped-def]
    """Whether fl32(sums[place, lane]) * scale >= bars[lane] for any lane; sums are int32."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, bars = (data_of(context, builder, signature.args[at], arguments[at]) for at in (0, 3))
        row = builder.gep(sums, [builder.mul(arguments[1], _LONG(LANES))])
        total = builder.sitofp(load(builder, row, _SUMS, align=4), _FLOATS)
        bound = builder.fmul(total, spread(builder, arguments[2], LANES))
        reached = builder.fcmp_ordered(">=", bound, load(builder, bars, _FLOATS, align=4))
        return builder.icmp_unsigned("!=", builder.bitcast(reached, _INT), _INT(0))

    return types.boolean(sums, place, scale, bars), emit


@intrinsic
def bits_reach(  # type: ignore[no-untyped-def]
    _context, columns, place, words, query, dim, scales, bar
):
    """uint32: bit i is set where fl32(dim - 2 d) * scales[place + i] >= bar, d counting the bits in
    which item place + i and the query differ.

    columns: (n_words, items) uint64. words: (n, n_words) uint64. dim: int32. scales: float32.
    """
    given = (columns, place, words, query, dim, scales, bar)
    return types.uint32(*given), _emit_bits_reach


def _emit_bits_reach(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    columns, words = (
        context.make_array(signature.args[at])(context, builder, arguments[at]) for at in (0, 2)
    )
    scales = data_of(context, builder, signature.args[5], arguments[5])
    place, query, dim, bar = (arguments[at] for at in (1, 3, 4, 6))
    n_words, items = (builder.extract_value(columns.shape, at) for at in (0, 1))
    own = builder.gep(words.data, [builder.mul(query, n_words)])
    entry, loop = builder.block, builder.append_basic_block("words")
    done = builder.append_basic_block("compare")
    builder.branch(loop)
    builder.position_at_end(loop)
    word, total = builder.phi(_LONG), builder.phi(_WORDS)
    at = builder.add(builder.mul(word, items), place)
    item_words = load(builder, builder.gep(columns.data, [at]), _WORDS, align=8)
    mine = spread(builder, builder.load(builder.gep(own, [word])), BLOCK)
    differing = foreign(builder, f"llvm.ctpop.v{BLOCK}i64", _WORDS, builder.xor(item_words, mine))
    added = builder.add(total, differing)
    following = builder.add(word, _LONG(1))
    builder.cbranch(builder.icmp_signed("<", following, n_words), loop, done)
    meet(word, {entry: _LONG(0), loop: following})
    meet(total, {entry: ir.Constant(_WORDS, [0] * BLOCK), loop: added})
    builder.position_at_end(done)
    twice = builder.shl(builder.trunc(added, _SUMS), ir.Constant(_SUMS, [1] * BLOCK))
    sums = builder.sub(spread(builder, dim, BLOCK), twice)
    item_scales = load(builder, builder.gep(scales, [place]), _FLOATS, align=4)
    bound = builder.fmul(builder.sitofp(sums, _FLOATS), item_scales)
    return builder.bitcast(builder.fcmp_ordered(">=", bound, spread(builder, bar, BLOCK)), _INT)
