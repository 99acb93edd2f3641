"""Stretches of packed rows turned on their side, as look-ups in registers want them.

Bits of a row are read as nibbles, four bits each. A chunk is four nibbles: the low, or the high,
halves of four neighbouring bytes. A tile holds blocks of 32 items; a block holds its chunks one
after the other, 128 bytes each: every item's four nibbles of that chunk. Rows end in whole words of
eight bytes here; what stands beyond a row's end is whatever follows it, and must weigh nothing.

In which order the 128 bytes stand depends on the instruction that will read them:

    avx512   item by item; the place of a nibble in its chunk is in bits 4 and 5 of its byte
    avx2     nibble by nibble, 32 items each, in the order 0 16 1 17 ... 15 31
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hashrec.kernels import kernel
from hashrec.simd import data_of, foreign, instruction_set, load

__all__ = [
    "BLOCK",
    "CHUNK_BYTES",
    "aligned",
    "chunks_of",
    "fetch",
    "fill",
    "gather",
    "gather_scales",
    "nibble_of",
    "tile_items",
]

BLOCK = 32
CHUNK_BYTES = 4 * BLOCK
_WORD = 8
# Bytes that memory hands over at once.
_LINE = 64
_HALF = BLOCK // 2
_LONG = ir.IntType(64)
_WORDS = ir.VectorType(_LONG, _HALF)
_BY_ITEM = instruction_set() == "avx512"
# A tile stays in the first cache beside the tables of a few queries.
_TILE_BYTES = 16 << 10
_MOST_ITEMS = 1024


def chunks_of(row_bytes: int) -> int:
    """Chunks of a row: two for each four bytes, whole words counted."""
    return 4 * -(-row_bytes // _WORD)


def tile_items(row_bytes: int) -> int:
    """Items of a tile, a whole number of blocks."""
    blocks = _TILE_BYTES // (CHUNK_BYTES * chunks_of(row_bytes))
    return BLOCK * max(1, min(blocks, _MOST_ITEMS // BLOCK))


@kernel
def aligned(size):  # type: ignore[no-untyped-def]
    """(size,) uint8 zeros from a whole line on: a vector that straddles two costs twice."""
    room = np.zeros(size + _LINE - 1, np.uint8)
    first = -room.ctypes.data % _LINE
    return room[first : first + size]


@kernel
def nibble_of(chunk, place):  # type: ignore[no-untyped-def]
    """Which nibble of a row, counted from its first byte's low half."""
    return 2 * (4 * (chunk // 2) + place) + chunk % 2


@intrinsic
def _word_at(_context, data, at):  # type: ignore[no-untyped-def]
    """The eight bytes of `data` from byte `at` on, wherever that is, as one uint64."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first = data_of(context, builder, signature.args[0], arguments[0])
        return load(builder, builder.gep(first, [arguments[1]]), ir.IntType(64))

    return types.uint64(data, at), emit


@kernel
def _last_word(data, item, byte):  # type: ignore[no-untyped-def]
    """The same where eight bytes would lead out of the array."""
    word = np.uint64(0)
    for place in range(byte, min(byte + _WORD, data.shape[1])):
        word |= np.uint64(data[item, place]) << np.uint64(8 * (place - byte))
    return word


@kernel
def gather(data, rows, first, count, byte, column):  # type: ignore[no-untyped-def]
    """column[i] = the word from `byte` on of row `rows[first + i]`, or `first + i` without rows."""
    width = data.shape[1]
    safe = data.shape[0] * width - _WORD
    if len(rows) == 0 and (first + count - 1) * width + byte <= safe:
        for i in range(count):
            column[i] = _word_at(data, (first + i) * width + byte)
        return
    for i in range(count):
        item = np.int64(rows[first + i]) if len(rows) else first + i
        at = item * width + byte
        column[i] = _word_at(data, at) if at <= safe else _last_word(data, item, byte)


@intrinsic
def _fetch(_context, array, at):  # type: ignore[no-untyped-def]
    """Asks memory for the line that array[at] is in, without waiting for it."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first = data_of(context, builder, signature.args[0], arguments[0])
        pointer = builder.bitcast(builder.gep(first, [arguments[1]]), ir.IntType(8).as_pointer())
        flags = [ir.IntType(32)(flag) for flag in (0, 3, 1)]  # to read; keep close; data
        foreign(builder, "llvm.prefetch.p0i8", ir.VoidType(), pointer, *flags)
        return context.get_dummy_value()

    return types.void(array, at), emit


@kernel
def fetch(array, first, count):  # type: ignore[no-untyped-def]
    """Asks for array[first:first + count], not empty, which will be read here and there."""
    for at in range(first, first + count, _LINE // array.itemsize):
        _fetch(array, at)
    _fetch(array, first + count - 1)


@kernel
def gather_scales(item_scales, rows, first, count, scales):  # type: ignore[no-untyped-def]
    """Likewise the items' float32 scales; without any, `scales` is left as it is."""
    if len(item_scales):
        for place in range(count):
            scales[place] = item_scales[rows[first + place] if len(rows) else first + place]


@kernel
def fill(data, rows, first, count, column, tile):  # type: ignore[no-untyped-def]
    """Turns `count` rows from `first` on; blocks are filled up with whatever `column` held.

    Args:
        data: (n, row bytes) uint8, C-contiguous. rows: (m,) int32, which of them, or empty: all.
        column: (a tile's items,) uint64, to work in. tile: (items x chunks x 4) uint8.
    """
    words = -(-data.shape[1] // _WORD)
    blocks = -(-count // BLOCK)
    for word in range(words):
        gather(data, rows, first, count, word * _WORD, column)
        for block in range(blocks):
            at = (block * words + word) * 4 * CHUNK_BYTES
            _turn(column, block * BLOCK, tile, at)


@intrinsic
def _turn(_context, column, first, tile, at):  # type: ignore[no-untyped-def]
    """A word of each of 32 items, from column[first] on, as four chunks from tile[at] on."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        column, tile = (
            data_of(context, builder, signature.args[place], arguments[place]) for place in (0, 2)
        )
        words = builder.gep(column, [arguments[1]])
        halves = [
            load(builder, builder.gep(words, [_LONG(_HALF * half)]), _WORDS, align=8)
            for half in (0, 1)
        ]
        chunks = builder.gep(tile, [arguments[3]])
        (_turn_by_item if _BY_ITEM else _turn_by_nibble)(builder, halves, chunks)
        return context.get_dummy_value()

    return types.void(column, first, tile, at), emit


def _turn_by_item(builder: Any, halves: list[Any], chunks: Any) -> None:
    kind = ir.VectorType(ir.IntType(32), _HALF)
    low, places = (ir.Constant(kind, [number] * _HALF) for number in (0x0F0F0F0F, 0x30201000))
    for half, words in enumerate(halves):
        for chunk in range(4):
            shift = ir.Constant(_WORDS, [32 * (chunk // 2) + 4 * (chunk % 2)] * _HALF)
            nibbles = builder.trunc(builder.lshr(words, shift), kind)
            placed = builder.or_(builder.and_(nibbles, low), places)
            _store(builder, placed, chunks, CHUNK_BYTES * chunk + 64 * half)


def _turn_by_nibble(builder: Any, halves: list[Any], chunks: Any) -> None:
    kind = ir.VectorType(ir.IntType(16), _HALF)
    byte, low, eight, four = (
        ir.Constant(kind, [number] * _HALF) for number in (0xFF, 0x0F0F, 8, 4)
    )
    for place in range(8):
        shift = ir.Constant(_WORDS, [8 * place] * _HALF)
        even, odd = (builder.trunc(builder.lshr(words, shift), kind) for words in halves)
        both = builder.or_(builder.and_(even, byte), builder.shl(odd, eight))
        at = 2 * CHUNK_BYTES * (place // 4) + BLOCK * (place % 4)
        _store(builder, builder.and_(both, low), chunks, at)
        _store(builder, builder.and_(builder.lshr(both, four), low), chunks, at + CHUNK_BYTES)


def _store(builder: Any, vector: Any, chunks: Any, at: int) -> None:
    place = builder.bitcast(builder.gep(chunks, [_LONG(at)]), vector.type.as_pointer())
    builder.store(vector, place).align = 1
