"""Packing against Python's own integers: a row is one little-endian number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.codes import pack, unpack
from hashrec.codes.packing import row_bytes

BITS = range(1, 9)


def by_hand(row: list[int], bits: int) -> bytes:
    """Value j stands at bit j * bits of one big number."""
    number = sum(value << (bits * j) for j, value in enumerate(row))
    return number.to_bytes((len(row) * bits + 7) // 8, "little")


@pytest.mark.parametrize(
    ("bits", "values", "golden"),
    [
        (1, [1, 0, 0, 0, 0, 0, 0, 0], "01"),
        (1, [1, 1, 0, 1, 0, 0, 0, 1, 1], "8b01"),
        (2, [3, 2, 1, 0], "1b"),
        (2, [0, 1, 2, 3, 1], "e401"),
        (3, [1, 2, 3], "d100"),
        (3, [7, 0, 7, 0, 5, 0, 0, 7], "c751e0"),
        (4, [10, 5, 15], "5a0f"),
        (5, [1, 2, 3, 31, 1], "418c1f00"),
        (6, [63, 1, 0, 42], "7f00a8"),
        (7, [127, 1, 64], "ff0010"),
        (8, [0, 171, 255], "00abff"),
    ],
)
def test_golden_bytes(bits: int, values: list[int], golden: str) -> None:
    packed = pack(np.array([values], np.uint8), bits)
    assert packed.tobytes().hex() == golden
    assert unpack(packed, bits, len(values)).tolist() == [values]


@pytest.mark.parametrize("bits", BITS)
def test_every_value_at_every_place_in_a_byte(bits: int) -> None:
    values = np.arange(2**bits, dtype=np.uint8)
    rows = np.stack([np.roll(values, shift) for shift in range(min(8, len(values)))])
    packed = pack(rows, bits)
    assert packed.dtype == np.uint8
    assert [row.tobytes() for row in packed] == [by_hand(row, bits) for row in rows.tolist()]
    assert np.array_equal(unpack(packed, bits, len(values)), rows)


@pytest.mark.parametrize("bits", BITS)
def test_every_byte_value(bits: int) -> None:
    """Rows of `bits` bytes hold 8 values and nothing over, so packing must give them back."""
    every = np.arange(256)
    packed = np.stack([(every + 37 * column).astype(np.uint8) for column in range(bits)], axis=1)
    values = unpack(packed, bits, 8)
    assert values.dtype == np.uint8
    for row, found in zip(packed.tolist(), values.tolist(), strict=True):
        number = int.from_bytes(bytes(row), "little")
        assert found == [(number >> (bits * j)) & (2**bits - 1) for j in range(8)]
    assert np.array_equal(pack(values, bits), packed)


@st.composite
def values_of_bits(draw: st.DrawFn) -> tuple[int, npt.NDArray[np.uint8]]:
    bits, n, dim = draw(st.integers(1, 8)), draw(st.integers(0, 4)), draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32))
    return bits, np.random.default_rng(seed).integers(0, 2**bits, (n, dim), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(values_of_bits())
def test_inverse_of_any_shape(case: tuple[int, npt.NDArray[np.uint8]]) -> None:
    bits, values = case
    n, dim = values.shape
    before = values.copy()
    packed = pack(values, bits)
    assert packed.shape == (n, -(-dim * bits // 8))
    assert [row.tobytes() for row in packed] == [by_hand(row, bits) for row in values.tolist()]
    assert np.array_equal(unpack(packed, bits, dim), values)
    assert np.array_equal(values, before)


@pytest.mark.parametrize("bits", BITS)
def test_left_over_bits_are_zero(bits: int) -> None:
    for dim in range(1, 18):
        packed = pack(np.full((1, dim), 2**bits - 1, np.uint8), bits)
        assert int.from_bytes(packed.tobytes(), "little") == 2 ** (dim * bits) - 1


@pytest.mark.parametrize("bits", BITS)
def test_no_rows(bits: int) -> None:
    packed = pack(np.zeros((0, 13), np.uint8), bits)
    assert packed.shape == (0, row_bytes(13, bits))
    assert unpack(packed, bits, 13).shape == (0, 13)


@pytest.mark.parametrize("bits", BITS)
def test_result_is_no_view(bits: int) -> None:
    values = np.ones((1, 8), np.uint8)
    packed = pack(values, bits)
    values[:] = 0
    found = unpack(packed, bits, 8)
    packed[:] = 0
    assert found.tolist() == [[1] * 8]


@pytest.mark.parametrize(
    ("dim", "bits", "expected"),
    [(1, 1, 1), (8, 1, 1), (9, 1, 2), (3, 3, 2), (512, 4, 256), (5, 8, 5), (0, 4, 0)],
)
def test_row_bytes(dim: int, bits: int, expected: int) -> None:
    assert row_bytes(dim, bits) == expected


@pytest.mark.parametrize("bits", range(1, 8))
def test_values_that_do_not_fit(bits: int) -> None:
    with pytest.raises(ValueError, match=f"a value of {2**bits} does not fit {bits} bits"):
        pack(np.array([[0, 2**bits]], np.uint8), bits)


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(ValueError, match=f"bits must be in 1..8, got {bits}"):
        pack(np.zeros((1, 1), np.uint8), bits)


@pytest.mark.parametrize("width", [1, 3])
def test_rows_of_another_length(width: int) -> None:
    with pytest.raises(ValueError, match=rf"rows of {width} bytes do not hold 5 values of 3 bits"):
        unpack(np.zeros((2, width), np.uint8), 3, 5)
