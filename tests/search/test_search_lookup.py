"""Bounds by look-ups beside plain sums, with every set of instructions there is here."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.codes import Codes, Rotation
from hashrec.search.lookup import LANES, MOST_ROW_BYTES, survey, survey_one, top_of
from hashrec.search.query import FixedQueries
from hashrec.search.tables import SmallTables, lowered
from hashrec.search.tiles import BLOCK, CHUNK_BYTES, chunks_of, fill, gather, nibble_of
from hashrec.search.weights import bit_weights, sum_bits
from hashrec.simd import instruction_set

# What the narrower kernels need; a processor that has more can run them all.
FEATURES = {"avx2": "+avx,+avx2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt", "": "+sse2,+cx8"}


def nibble(row: np.ndarray, place: int) -> int:
    return int(row[place // 2]) >> 4 * (place % 2) & 15 if place // 2 < len(row) else 0


@numba.njit
def surveyed(data, rows, entries, starts, bars, scales, one):  # type: ignore[no-untyped-def]
    chunks = entries.shape[1]
    tile, column = np.zeros(BLOCK * chunks * 4, np.uint8), np.zeros(BLOCK, np.uint64)
    fill(data, rows, 0, BLOCK, column, tile)
    masks = np.zeros(LANES, np.uint32)
    if one:
        survey_one(tile, 0, entries, 0, chunks, starts, bars, scales, 0, masks)
    else:
        survey(tile, 0, entries, 0, chunks, starts, bars, scales, 0, masks)
    return masks


def check_survey(width: int) -> None:
    """Masks are those of sums in plain numbers, whichever rows are asked for."""
    rng = np.random.default_rng(width)
    data = rng.integers(0, 256, (50, width)).astype(np.uint8)
    chunks = chunks_of(width)
    entries = rng.integers(0, top_of(width) + 1, (LANES, chunks, 64)).astype(np.uint8)
    entries[0] = top_of(width)  # the largest sum there can be
    starts = rng.integers(-1000, 1000, LANES).astype(np.int32)
    scales = rng.random(BLOCK).astype(np.float32)
    for rows in (np.zeros(0, np.int32), rng.permutation(50)[:BLOCK].astype(np.int32)):
        bounds = np.empty((LANES, BLOCK), np.float32)
        for lane in range(LANES):
            for item in range(BLOCK):
                row = data[rows[item] if len(rows) else item]
                total = int(starts[lane]) + sum(
                    int(entries[lane, chunk, 16 * place + nibble(row, nibble_of(chunk, place))])
                    for chunk in range(chunks)
                    for place in range(4)
                    if nibble_of(chunk, place) < 2 * width
                )
                bounds[lane, item] = np.float32(total) * scales[item]
        # Beyond a row's end stands the next row: here, as in searches, it must weigh nothing.
        for chunk in range(chunks):
            for place in range(4):
                if nibble_of(chunk, place) >= 2 * width:
                    entries[:, chunk, 16 * place : 16 * place + 16] = 0
        bars = np.sort(bounds, axis=1)[:, 20].copy()
        wanted = [sum(1 << i for i in np.flatnonzero(bounds[q] >= bars[q])) for q in range(LANES)]
        assert surveyed(data, rows, entries, starts, bars, scales, False).tolist() == wanted
        assert surveyed(data, rows, entries, starts, bars, scales, True)[0] == wanted[0]
        none = np.full(LANES, np.inf, np.float32)
        assert not surveyed(data, rows, entries, starts, none, scales, False).any()


@pytest.mark.parametrize("width", [1, 3, 8, 9, 16, 64, 130])
def test_survey_beside_plain_sums(width: int) -> None:
    check_survey(width)


@pytest.mark.parametrize("wanted", list(FEATURES))
def test_survey_with_other_instructions(wanted: str) -> None:
    if instruction_set() not in ("avx512", "avx2"):
        pytest.skip("this processor has neither")
    code = (
        "import test_search_lookup as t\n"
        f"assert t.instruction_set() == {wanted!r}\n"
        "for width in (1, 9, 16, 600): t.check_survey(width)"
    )
    told = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": FEATURES[wanted]}
    here = os.path.dirname(__file__)
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env={**os.environ, **told}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("width", [1, 7, 8, 12, 17])
def test_nothing_is_read_beyond_the_last_row(width: int) -> None:
    """What stands behind the array is not ours; read, it would show."""
    room = np.full((10, width), 255, np.uint8)
    data = room[:6]
    data[:] = np.random.default_rng(0).integers(0, 256, data.shape)
    column, read = np.zeros(6, np.uint64), numba.njit(lambda *given: gather(*given))
    for rows in (np.zeros(0, np.int32), np.array([5, 0, 5, 3, 1, 5], np.int32)):
        for byte in range(0, width, 8):
            read(data, rows, 0, 6, byte, column)
            for place in range(6):
                row = int(rows[place]) if len(rows) else place
                mine = data.reshape(-1)[row * width + byte :][:8].tobytes().ljust(8, b"\0")
                ends = (row + 1) * width - byte - row * width
                wanted, found = mine[: min(8, ends)], column[place].tobytes()
                assert found[: len(wanted)] == wanted
                if row == 5:
                    assert found[len(wanted) :] == bytes(8 - len(wanted))


def test_largest_entries() -> None:
    if instruction_set() == "avx512":
        assert top_of(1) == top_of(MOST_ROW_BYTES) == 255
    else:
        assert [top_of(width) for width in (1, 8, 520, 8192)] == [63, 63, 63, 3]
    assert top_of(MOST_ROW_BYTES) >= 1


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bits=st.integers(1, 8),
    dim=st.sampled_from([1, 2, 7, 8, 33, 64]),
    size=st.sampled_from([1e-38, 1.0, 1e30]),
    style=st.sampled_from(["gaussian", "one", "zeros", "alike", "based"]),
)
def test_tables_never_say_too_little(
    seed: int, bits: int, dim: int, size: float, style: str
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((3, dim)) * size
    vectors[:, 1:] *= {"one": 0, "zeros": 0, "alike": 1e-6}.get(style, 1)
    vectors[:, :1] *= style != "zeros"
    data = rng.integers(0, 256, (40, -(-dim * bits // 8))).astype(np.uint8)
    items = Codes(data, bits, dim, None, Rotation("none", dim, 0))
    own = Codes(vectors.astype(np.float32), 32, dim, None, Rotation("none", dim, 0))
    fixed = FixedQueries.of(own, items)
    weights, bases = bit_weights(fixed, items)
    if style == "based":
        bases = bases + rng.integers(-(2**30), 2**30, 3)
    tables = SmallTables.of(weights, bases)
    set_bits = np.unpackbits(data, axis=1, bitorder="little").astype(np.int64)
    exact = bases[:, None] + weights @ set_bits.T
    width = data.shape[1]
    for query in range(3):
        for item in range(40):
            total = int(tables.starts[query]) + sum(
                int(tables.entries[query, chunk, 16 * place + nibble(data[item], at)])
                for chunk in range(chunks_of(width))
                for place in range(4)
                if (at := nibble_of(chunk, place)) < 2 * width
            )
            bound = total * tables.units[query]
            assert exact[query, item] <= bound
            # And never far too much: a unit a nibble, and two.
            assert bound - exact[query, item] <= (2 * width + 2.01) * tables.units[query]


def test_exact_sums_of_bits() -> None:
    """Modulo 2^32, so that only the result has to fit."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (20, 5)).astype(np.uint8)
    weights = rng.integers(-(2**33), 2**33, (3, 40))
    add = numba.njit(lambda a, i, w, q, b: sum_bits(a, i, w, q, b))
    set_bits = np.unpackbits(data, axis=1, bitorder="little").astype(np.int64)
    for query in range(3):
        for item in range(20):
            base = -int(weights[query] @ set_bits[item]) + 1234 * (item - 7)
            bases = np.array([0, 0, 0])
            bases[query] = base
            found = add(data, item, weights.astype(np.int32), query, bases)
            assert found == 1234 * (item - 7)


@settings(max_examples=300, deadline=None)
@given(
    sums=st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1, max_size=8),
    unit=st.floats(1e-3, 1e7),
    scale=st.sampled_from([0.0, 2.0**-150, 1e-30, 0.7, 3.0, 1e25]),
    item_scale=st.sampled_from([0.0, 1e-45, 1e-39, 1e-3, 1.0, 123.4, 3e38]),
)
def test_bounds_reach_lowered_bars(
    sums: list[int], unit: float, scale: float, item_scale: float
) -> None:
    """Whatever scores at least the bar has a bound that reaches what the bar was lowered to."""
    one = np.float32(item_scale)
    with np.errstate(over="ignore", under="ignore"):
        scores = [np.float32(total * (scale * np.float64(one))) for total in sums]
        for bar in (*scores, np.float32(0), np.float32(-np.inf), np.float32(1e-45)):
            low = lowered(bar, unit, scale)
            for total, score in zip(sums, scores, strict=True):
                steps = int(np.ceil(total / unit))
                if abs(steps) < 2**31 and score >= bar:
                    assert np.float32(np.float32(steps) * one) >= low


def test_chunks_are_a_permutation_of_nibbles() -> None:
    for width in (1, 8, 24):
        chunks = chunks_of(width)
        found = sorted(nibble_of(chunk, place) for chunk in range(chunks) for place in range(4))
        assert found == list(range(4 * chunks))
        assert chunks * CHUNK_BYTES % 64 == 0
