"""Packing: the layout by hand, and the inverse over every value of every width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.codes import pack, unpack

WIDTHS = range(1, 9)


def as_bits(values: list[int], bits: int) -> bytes:
    """The documented layout, in plain integers: value j at bit j * bits of one long number."""
    whole = sum(value << (place * bits) for place, value in enumerate(values))
    return whole.to_bytes(-(-len(values) * bits // 8), "little")


@pytest.mark.parametrize("bits", WIDTHS)
def test_every_value_comes_back(bits: int) -> None:
    values = np.arange(2**bits, dtype=np.uint8)[None, :]
    assert np.array_equal(unpack(pack(values, bits), bits, 2**bits), values)


def test_every_byte_value_is_every_eight_bit_value() -> None:
    packed = np.arange(256, dtype=np.uint8)[:, None]
    for bits in (1, 2, 4, 8):
        assert np.array_equal(pack(unpack(packed, bits, 8 // bits), bits), packed)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.data())
def test_layout_is_as_documented(bits: int, data: st.DataObject) -> None:
    row = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=40))
    packed = pack(np.array([row], np.uint8), bits)
    assert packed.tobytes() == as_bits(row, bits)
    assert unpack(packed, bits, len(row))[0].tolist() == row


def test_golden_bytes() -> None:
    assert pack(np.array([[1, 0, 0, 0, 0, 0, 0, 0, 1]], np.uint8), 1).tolist() == [[1, 1]]
    assert pack(np.array([[1, 2, 3]], np.uint8), 4).tolist() == [[0x21, 0x03]]
    assert pack(np.array([[7, 0, 7]], np.uint8), 3).tolist() == [[0b11000111, 0b1]]


def test_no_rows_and_one_row() -> None:
    assert pack(np.zeros((0, 9), np.uint8), 3).shape == (0, 4)
    assert unpack(np.zeros((0, 4), np.uint8), 3, 9).shape == (0, 9)
    assert unpack(np.array([[255]], np.uint8), 1, 1).tolist() == [[1]]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="a value of 4 does not fit 2 bits"):
        pack(np.array([[4]], np.uint8), 2)
    with pytest.raises(ValueError, match=r"bits must be in 1\.\.8, got 9"):
        pack(np.array([[0]], np.uint8), 9)
    with pytest.raises(ValueError, match="rows of 2 bytes do not hold 9 values of 2 bits"):
        unpack(np.zeros((1, 2), np.uint8), 2, 9)
