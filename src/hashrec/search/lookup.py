"""Upper bounds of many scores at once, by tables of sixteen bytes held in registers.

For every nibble of a row a table says, in small integers, what each of its sixteen values adds
to a query's sum. One instruction looks up 64 nibbles (or 32), so a block of 32 items meets four
queries in a few dozen cycles. The tables are rounded such that, in units of the query, the sum
never lies below the true one (`tables.py`); whoever's bound stays below the bar cannot be in the
result.

    avx512   a byte permutation looks up four nibbles of sixteen items, in a table of 64 bytes;
             a dot product with ones adds the four to 32-bit sums
    avx2     a byte shuffle looks up one nibble of 32 items; four tables of six bits add up to a
             byte, and even and odd bytes to two rows of 16-bit sums

Elsewhere the same is done byte by byte: slow, and only there so that everything runs everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hashrec.search.tiles import BLOCK, CHUNK_BYTES, chunks_of
from hashrec.simd import data_of, foreign, instruction_set, load, meet, spread

__all__ = ["LANES", "MOST_ROW_BYTES", "TABLE_BYTES", "survey", "survey_one", "top_of"]

# Queries that meet a block together.
LANES = 4
# Bytes of one query's tables for one chunk.
TABLE_BYTES = 64
# Rows beyond this are for the plain scan.
MOST_ROW_BYTES = 8192

_HALF = BLOCK // 2
_BYTE, _SHORT, _INT, _LONG = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES, _SHORTS = ir.VectorType(_BYTE, 32), ir.VectorType(_SHORT, 16)
_SUMS, _FLOATS = ir.VectorType(_INT, _HALF), ir.VectorType(ir.FloatType(), _HALF)

_FOUR_TO_A_BYTE = 255 // 4
_SHORT_SUMS = 2**16 - 1


def top_of(row_bytes: int) -> int:
    """The largest entry that a table may have: in 16-bit sums, all nibbles together must fit."""
    if instruction_set() == "avx512":
        return 255
    return min(_FOUR_TO_A_BYTE, _SHORT_SUMS // (4 * chunks_of(row_bytes)))


# One block's sums so far, half a block a vector, of one query.
_Halves = list[Any]


def _surveying(lanes: int) -> Any:
    @intrinsic
    def surveying(  # type: ignore[no-untyped-def]
        _context, tile, at, tables, query, chunks, starts, bars, scales, scale_at, masks
    ):
        """Compares a block with `lanes` queries from `query` on; returns 0 if nothing reaches its
        bar, and then stores nothing.

        masks[lane], uint32: bit i is set where (starts + sum of entries) * scale of item i, in
        float32, is at least the bar. Inside compiled code only; nothing is checked.

        Args:
            tile: uint8, the block's chunks from `at` on. tables: uint8, TABLE_BYTES a chunk,
                `chunks` a query. starts, bars: int32 and float32 a query. scales: float32, from
                `scale_at` on.
        """
        given = (tile, at, tables, query, chunks, starts, bars, scales, scale_at, masks)

        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = {
                name: data_of(context, builder, signature.args[place], arguments[place])
                for name, place in (
                    ("tile", 0), ("tables", 2), ("starts", 5), ("bars", 6), ("scales", 7), ("masks",
                    9)
                )
            }  # fmt: skip
            at, query, chunks, scale_at = (arguments[place] for place in (1, 3, 4, 8))
            block = builder.gep(arrays["tile"], [at])
            step = builder.mul(chunks, _LONG(TABLE_BYTES))
            sums = _sums(builder, block, arrays["tables"], query, step, chunks, lanes)
            starts = builder.gep(arrays["starts"], [query])
            bars = builder.gep(arrays["bars"], [query])
            scales = builder.gep(arrays["scales"], [scale_at])
            return _compared(builder, sums, starts, bars, scales, arrays["masks"])

        return types.int64(*given), emit

    return surveying


survey, survey_one = _surveying(LANES), _surveying(1)


def _sums(
    builder: Any, block: Any, tables: Any, query: Any, step: Any, chunks: Any, lanes: int
) -> list[_Halves]:
    """The loop over chunks: each query's two halves of int32 sums."""
    kind, add, finish = _WAYS[instruction_set()]
    first = [
        builder.gep(tables, [builder.mul(builder.add(query, _LONG(lane)), step)])
        for lane in range(lanes)
    ]
    entry, loop = builder.block, builder.append_basic_block("chunks")
    done = builder.append_basic_block("compare")
    builder.branch(loop)
    builder.position_at_end(loop)
    chunk = builder.phi(_LONG)
    before = [[builder.phi(kind) for _ in range(2)] for _ in range(lanes)]
    codes = builder.gep(block, [builder.mul(chunk, _LONG(CHUNK_BYTES))])
    offset = builder.mul(chunk, _LONG(TABLE_BYTES))
    after = add(builder, codes, [builder.gep(table, [offset]) for table in first], before)
    following = builder.add(chunk, _LONG(1))
    end = builder.block
    builder.cbranch(builder.icmp_signed("<", following, chunks), loop, done)
    meet(chunk, {entry: _LONG(0), end: following})
    zero = ir.Constant(kind, [0] * kind.count)
    for phis, sums in zip(before, after, strict=True):
        for phi, total in zip(phis, sums, strict=True):
            meet(phi, {entry: zero, end: total})
    builder.position_at_end(done)
    return [finish(builder, sums) for sums in after]


def _add_avx512(builder: Any, codes: Any, tables: list[Any], sums: list[_Halves]) -> list[_Halves]:
    wide = ir.VectorType(_BYTE, 64)
    ones = ir.Constant(_SUMS, [0x01010101] * _HALF)
    halves = [load(builder, builder.gep(codes, [_LONG(64 * half)]), wide) for half in (0, 1)]
    found = []
    for table, totals in zip(tables, sums, strict=True):
        entries = load(builder, table, wide)
        added = []
        for half, total in zip(halves, totals, strict=True):
            looked_up = foreign(builder, "llvm.x86.avx512.permvar.qi.512", wide, entries, half)
            words = builder.bitcast(looked_up, _SUMS)
            added.append(
                foreign(builder, "llvm.x86.avx512.vpdpbusd.512", _SUMS, total, words, ones)
            )
        found.append(added)
    return found


def _add_avx2(builder: Any, codes: Any, tables: list[Any], sums: list[_Halves]) -> list[_Halves]:
    def shuffle(table: Any, place: int) -> Any:
        lane = load(builder, builder.gep(table, [_LONG(16 * place)]), ir.VectorType(_BYTE, 16))
        both = ir.Constant(ir.VectorType(_INT, 32), [*range(16), *range(16)])
        entries = builder.shuffle_vector(lane, ir.Constant(lane.type, ir.Undefined), both)
        return foreign(builder, "llvm.x86.avx2.pshuf.b", _BYTES, entries, nibbles[place])

    nibbles = [load(builder, builder.gep(codes, [_LONG(32 * place)]), _BYTES) for place in range(4)]
    eight = ir.Constant(_SHORTS, [8] * _HALF)
    found = []
    for table, (pairs, odd) in zip(tables, sums, strict=True):
        looked_up = [shuffle(table, place) for place in range(4)]
        low = builder.add(looked_up[0], looked_up[1])
        total = builder.add(low, builder.add(looked_up[2], looked_up[3]))
        shorts = builder.bitcast(total, _SHORTS)
        found.append([builder.add(pairs, shorts), builder.add(odd, builder.lshr(shorts, eight))])
    return found


def _finish_avx2(builder: Any, sums: _Halves) -> _Halves:
    """`pairs` = even + 256 odd, modulo 2^16; even bytes are the first half of the block."""
    pairs, odd = sums
    eight = ir.Constant(_SHORTS, [8] * _HALF)
    even = builder.sub(pairs, builder.shl(odd, eight))
    return [builder.zext(even, _SUMS), builder.zext(odd, _SUMS)]


def _add_plainly(builder: Any, codes: Any, tables: list[Any], sums: list[_Halves]) -> list[_Halves]:
    found = []
    for table, totals in zip(tables, sums, strict=True):
        halves = list(totals)
        for place in range(4):
            for slot in range(BLOCK):
                code = builder.load(builder.gep(codes, [_LONG(32 * place + slot)]))
                at = builder.add(builder.zext(code, _LONG), _LONG(16 * place))
                entry = builder.zext(builder.load(builder.gep(table, [at])), _INT)
                half, lane = slot % 2, _INT(slot // 2)
                total = builder.add(builder.extract_element(halves[half], lane), entry)
                halves[half] = builder.insert_element(halves[half], total, lane)
        found.append(halves)
    return found


def _as_they_are(_builder: Any, sums: _Halves) -> _Halves:
    return sums


_Add = Callable[[Any, Any, list[Any], list[_Halves]], list[_Halves]]
_WAYS: dict[str, tuple[Any, _Add, Callable[[Any, _Halves], _Halves]]] = {
    "avx512": (_SUMS, _add_avx512, _as_they_are),
    "avx2": (_SHORTS, _add_avx2, _finish_avx2),
    "": (_SUMS, _add_plainly, _as_they_are),
}


def _compared(
    builder: Any, sums: list[_Halves], starts: Any, bars: Any, scales: Any, masks: Any
) -> Any:
    """Whether any bound reaches its bar; if one does, each query's mask is stored."""
    item_scales = [
        load(builder, builder.gep(scales, [_LONG(_HALF * half)]), _FLOATS) for half in (0, 1)
    ]
    reached, together = [], None
    for lane, halves in enumerate(sums):
        start = spread(builder, builder.load(builder.gep(starts, [_LONG(lane)])), _HALF)
        bar = spread(builder, builder.load(builder.gep(bars, [_LONG(lane)])), _HALF)
        for total, scale in zip(halves, item_scales, strict=True):
            bound = builder.fmul(builder.sitofp(builder.add(total, start), _FLOATS), scale)
            reached.append(builder.fcmp_ordered(">=", bound, bar))
            together = reached[-1] if together is None else builder.or_(together, reached[-1])
    hit = builder.zext(builder.bitcast(together, _SHORT), _LONG)
    with builder.if_then(builder.icmp_unsigned("!=", hit, _LONG(0)), likely=False):
        for lane in range(len(sums)):
            early, late = (
                builder.zext(builder.bitcast(half, _SHORT), _INT)
                for half in reached[2 * lane : 2 * lane + 2]
            )
            mask = builder.or_(early, builder.shl(late, _INT(_HALF)))
            builder.store(mask, builder.gep(masks, [_LONG(lane)]))
    return hit
