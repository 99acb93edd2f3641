"""One contract for every coder in the registry, and what each promises beyond it."""

from __future__ import annotations

import math
import struct
import warnings
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hashrec.codes import CODERS, Coder, Codes, FloatCodes, IntCodes, Rotation, SignCodes
from hashrec.errors import RecipeError

Vectors = npt.NDArray[np.float32]

# Further option sets of the coders known today; a coder added later is met at its defaults.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "float": [{"bits": 16}],
    "int": [
        *({"bits": bits, "rotation": "none", "clip": "max"} for bits in range(2, 9)),
        {"bits": 2},
        {"bits": 3, "rotation": "hadamard"},
        {"bits": 5, "rotation": "none"},
    ],
    "sign": [
        {"rotation": "none"},
        {"rotation": "hadamard", "scale": "none"},
        {"rotation": "none", "scale": "none"},
    ],
}
# Coders that look at all rows at once have tests of their own.
VARIANTS = [coder for name in CODERS for extra in ({}, *OPTIONS.get(name, []))
            if (coder := CODERS.parse({"name": name, **extra})).by_row]  # fmt: skip
UNROTATED = [coder for coder in VARIANTS if coder.wanted_rotation == "none"]
# The shares of a row's largest value that `mse` tries, told again.
SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42, 0.35, 0.28)


def label(coder: Coder) -> str:
    return "-".join(str(value) for value in coder.to_dict().values())


every = pytest.mark.parametrize("coder", VARIANTS, ids=label)
every_unrotated = pytest.mark.parametrize("coder", UNROTATED, ids=label)


def plain(coder: Coder, vectors: Vectors) -> Codes:
    """Codes without a rotation, whatever the coder wants."""
    return coder.quantise(vectors, Rotation("none", vectors.shape[1], 0))


def gaussian(n: int, dim: int, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def raw_values(codes: Codes) -> npt.NDArray[np.int64]:
    """(n, dim) unsigned codes, read from the bytes by Python's integers."""
    mask = 2**codes.bits - 1
    rows = []
    for row in codes.data:
        number = int.from_bytes(row.tobytes(), "little")
        rows.append([(number >> (codes.bits * j)) & mask for j in range(codes.dim)])
        assert number >> (codes.bits * codes.dim) == 0
    return np.array(rows, np.int64).reshape(len(codes), codes.dim)


def decoded_by_hand(codes: Codes) -> npt.NDArray[np.float64]:
    if codes.bits > 8:
        return codes.data.astype(np.float64)
    scales = np.ones(len(codes)) if codes.scales is None else codes.scales.astype(np.float64)
    return (2 * raw_values(codes) - (2**codes.bits - 1)) * scales[:, None]


def same_bytes(one: Codes, other: Codes) -> bool:
    scales = [None if codes.scales is None else codes.scales.tobytes() for codes in (one, other)]
    return one.data.tobytes() == other.data.tobytes() and scales[0] == scales[1]


# The contract.


@every
@pytest.mark.parametrize("dim", [1, 7, 8, 9, 33])
def test_shapes_and_bytes(coder: Coder, dim: int) -> None:
    codes = coder.encode(gaussian(5, dim), seed=4)
    bits = coder.to_dict()["bits"]
    width = -(-dim * bits // 8)
    assert (len(codes), codes.dim, codes.bits) == (5, dim, bits)
    assert codes.packed is (bits <= 8)
    assert codes.data.nbytes == 5 * width
    assert codes.bytes_per_row == width + (0 if codes.scales is None else 4)
    assert codes.n_bytes == 5 * codes.bytes_per_row
    assert codes.rotation == Rotation(coder.wanted_rotation, dim, 4)
    if codes.scales is not None:
        assert codes.scales.shape == (5,)
        assert (codes.scales >= 0).all()


@every
@pytest.mark.parametrize("dim", [1, 7, 16])
def test_levels_and_decoding_by_independent_arithmetic(coder: Coder, dim: int) -> None:
    codes = coder.encode(gaussian(9, dim, seed=1))
    decoded = codes.decode()
    assert decoded.dtype == np.float32
    assert decoded.shape == (9, dim)
    assert np.allclose(decoded, decoded_by_hand(codes), rtol=1e-6, atol=0)
    if codes.packed:
        levels = codes.levels()
        assert levels.dtype == np.int16
        assert np.array_equal(levels, 2 * raw_values(codes) - (2**codes.bits - 1))
        assert (levels % 2 == 1).all()
    else:
        with pytest.raises(ValueError, match=f"codes of {codes.bits} bits are floats"):
            codes.levels()


@every
def test_norms(coder: Coder) -> None:
    codes = coder.encode(gaussian(6, 11, seed=2))
    expected = [math.sqrt(sum(value**2 for value in row)) for row in decoded_by_hand(codes)]
    assert codes.norms.dtype == np.float32
    assert codes.norms.tolist() == pytest.approx(expected, rel=1e-6)


@every
def test_restore_rotates_back(coder: Coder) -> None:
    """The restored vectors stand to the originals as the decoded ones to the rotated."""
    vectors = gaussian(6, 24, seed=3)
    codes = coder.encode(vectors, seed=8)
    rotation = Rotation(coder.wanted_rotation, 24, 8)
    lost = np.linalg.norm(codes.decode() - rotation.apply(vectors), axis=1)
    assert np.allclose(np.linalg.norm(codes.restore() - vectors, axis=1), lost, atol=1e-4)


@every
def test_no_rows_and_one_row(coder: Coder) -> None:
    none = coder.encode(np.zeros((0, 5), np.float32))
    assert (len(none), none.decode().shape, none.norms.shape) == (0, (0, 5), (0,))
    assert none.n_bytes == 0
    assert none.bytes_per_row == coder.encode(gaussian(1, 5)).n_bytes


@every
def test_zero_vectors(coder: Coder) -> None:
    decoded = plain(coder, np.zeros((2, 5), np.float32)).decode()
    unscaled = isinstance(coder, SignCodes) and coder.scale == "none"
    assert decoded.tolist() == [[1.0 if unscaled else 0.0] * 5] * 2


@every
def test_both_zeros_are_one(coder: Coder) -> None:
    """Packed codes take +0.0 and -0.0 for positive; floats keep the sign."""
    codes = plain(coder, np.array([[0.0, -0.0, 1.0, -1.0]], np.float32))
    if codes.packed:
        assert raw_values(codes)[0, :2].tolist() == [2 ** (codes.bits - 1)] * 2
        assert codes.levels()[0, :2].tolist() == [1, 1]
        assert codes.levels()[0, 3] == -codes.levels()[0, 2] < 0
    else:
        assert codes.decode().tolist() == [[0.0, 0.0, 1.0, -1.0]]
        assert np.signbit(codes.decode())[0].tolist() == [False, True, False, True]


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(coder: Coder, bad: float) -> None:
    vectors = gaussian(4, 5)
    vectors[2, 3] = bad
    with pytest.raises(ValueError, match="vector 2 is not finite"):
        plain(coder, vectors)


@every
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 9), dim=st.integers(1, 40))
def test_each_row_is_coded_by_itself(coder: Coder, seed: int, n: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    wide = 10.0 ** rng.integers(-6, 6, (n, 1))
    vectors = (rng.standard_normal((n, dim)) * wide).astype(np.float32)
    whole = plain(coder, vectors)
    order = rng.permutation(n)
    assert same_bytes(plain(coder, vectors[order]), whole.take(order))
    for row in range(n):
        assert same_bytes(plain(coder, vectors[row : row + 1]), whole.take(np.array([row])))


@pytest.mark.parametrize(
    "coder",
    [IntCodes(bits=4, rotation="hadamard"), SignCodes(rotation="hadamard"), FloatCodes()],
    ids=label,
)
def test_encode_too_where_no_blas_is_asked(coder: Coder) -> None:
    vectors = gaussian(20, 24)
    whole = coder.encode(vectors)
    for row in range(20):
        assert same_bytes(coder.encode(vectors[row : row + 1]), whole.take(np.array([row])))


@every
def test_same_seed_same_bytes(coder: Coder) -> None:
    vectors = gaussian(6, 20, seed=5)
    one, same, other = (coder.encode(vectors, seed=seed) for seed in (1, 1, 2))
    assert same_bytes(one, same)
    assert same_bytes(one, other) is (coder.wanted_rotation == "none")


@every
def test_the_given_vectors_stay_and_are_not_shared(coder: Coder) -> None:
    vectors = gaussian(3, 8, seed=6)
    before = vectors.copy()
    codes = plain(coder, vectors)
    decoded = codes.decode().copy()
    assert np.array_equal(vectors, before)
    vectors[:] = 7
    codes.decode()[:] = 9
    assert np.array_equal(codes.decode(), decoded)


@every
def test_take(coder: Coder) -> None:
    codes = coder.encode(gaussian(6, 9, seed=7), seed=3)
    rows = np.array([4, 0, 4])
    taken = codes.take(rows)
    assert (taken.bits, taken.dim, taken.rotation) == (codes.bits, codes.dim, codes.rotation)
    assert np.array_equal(taken.decode(), codes.decode()[rows])
    assert len(codes.take(np.zeros(0, np.int64))) == 0


@every
def test_frozen(coder: Coder) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        coder.bits = 4  # type: ignore[attr-defined]
    codes = coder.encode(gaussian(1, 3))
    with pytest.raises(FrozenInstanceError, match="dim"):
        codes.dim = 4  # type: ignore[misc]


@every
def test_options_round_trip(coder: Coder) -> None:
    assert CODERS.parse(coder.to_dict()) == coder


EXTREMES = [1e-38, 1e38, 3.4e38, 1e-45, 3e-42, 1e-40, 1e-20, 1e19, 1.0]


@every
@pytest.mark.parametrize("size", EXTREMES)
def test_extreme_magnitudes(coder: Coder, size: float) -> None:
    """Bug: with clip=mse, squares beyond 1e38 warned of overflow and clipping was not tried."""
    shape = np.array([1.0, -1.0, 0.5, -0.25, 0.0, 1e-3, -0.9, 0.3])
    vectors = (np.stack([shape, -shape, np.ones(8)]) * size).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codes = plain(coder, vectors)
        decoded = codes.decode().astype(np.float64)
    exact = vectors.astype(np.float64)
    largest = np.abs(exact).max(axis=1, keepdims=True)
    rounding = 2.0**codes.bits * 2e-45  # a scale can be off by one subnormal step
    if coder.name == "float":
        limit = 65_504 if codes.bits == 16 else np.inf
        step = 6e-8 if codes.bits == 16 else 0.0
        kept = np.clip(exact, -limit, limit)
        assert (np.abs(decoded - kept) <= np.abs(kept) * 2.0**-11 + step).all()
    elif isinstance(coder, IntCodes) and coder.clip == "max":
        assert (np.abs(decoded - exact) <= largest * 1.0001 / 2**codes.bits + rounding).all()
    elif isinstance(coder, IntCodes):
        _, errors = candidates(vectors, coder.bits)
        found = np.square(decoded - exact).sum(axis=1)
        assert (found <= errors.min(axis=0) * 1.0001 + 8 * rounding**2).all()
    elif codes.scales is not None:
        lengths = np.sqrt(np.square(exact).sum(axis=1))
        assert np.allclose(codes.scales, lengths / math.sqrt(8), rtol=1e-6, atol=1.5e-45)


@every
def test_lengths_that_only_float64_can_square(coder: Coder) -> None:
    """Bug: lengths were summed in float32, so 1e20 was infinitely long and 1e-30 had no length."""
    for size in (1e20, 1e-30):
        codes = plain(coder, (gaussian(3, 6) * size).astype(np.float32))
        expected = np.sqrt(np.square(decoded_by_hand(codes)).sum(axis=1))
        assert np.allclose(codes.norms, expected, rtol=1e-6, atol=0)


# Errors that shrink with the bits. At most this share of a Gaussian row's length is lost.
LARGEST_LOSS = {1: 0.70, 2: 0.42, 3: 0.23, 4: 0.13, 5: 0.07, 6: 0.038, 7: 0.02, 8: 0.011, 16: 3e-4,
                32: 0.0}  # fmt: skip


def loss(coder: Coder) -> float:
    vectors = gaussian(200, 64, seed=9)
    lost = np.square(coder.encode(vectors).restore() - vectors).sum()
    return float(np.sqrt(lost / np.square(vectors).sum()))


def test_loss_by_bits() -> None:
    coders: list[Coder] = [SignCodes(), *(IntCodes(bits=bits) for bits in range(2, 9)),
                           FloatCodes(bits=16), FloatCodes(bits=32)]  # fmt: skip
    losses = {coder.to_dict()["bits"]: loss(coder) for coder in coders}
    assert losses.keys() == LARGEST_LOSS.keys()
    assert list(losses.values()) == sorted(losses.values(), reverse=True)
    assert {bits: lost for bits, lost in losses.items() if lost > LARGEST_LOSS[bits]} == {}


# Integers.


def candidates(
    vectors: Vectors, bits: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """(shares, n, dim) codes and (shares, n) squared errors at every share, in float64."""
    largest = np.abs(vectors).max(axis=1)
    codes, errors = [], []
    for share in SHARES:
        bound = largest * np.float32(share)
        unit = np.zeros(vectors.shape)
        live = bound > 0
        unit[live] = vectors[live] / bound[live, None]
        cells = np.clip(np.floor(2.0**bits * (unit + 1) / 2), 0, 2**bits - 1).astype(np.int64)
        scale = (bound / np.float32(2**bits)).astype(np.float64)
        middle = (2 * cells - (2**bits - 1)) * scale[:, None]
        codes.append(cells)
        errors.append(np.square(middle - vectors.astype(np.float64)).sum(axis=1))
    return np.stack(codes), np.stack(errors)


@pytest.mark.parametrize("bits", range(2, 9))
def test_int_max_clip_by_the_formula(bits: int) -> None:
    vectors = gaussian(20, 33, seed=bits)
    codes = plain(IntCodes(bits=bits, clip="max"), vectors)
    cells, _ = candidates(vectors, bits)
    assert np.array_equal(raw_values(codes), cells[0])
    assert codes.scales is not None
    assert np.array_equal(codes.scales, np.abs(vectors).max(axis=1) / np.float32(2**bits))


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("size", [1.0, 1e-30, 1e30])
def test_int_mse_clip_leaves_the_least_error(bits: int, size: float) -> None:
    vectors = (gaussian(30, 33, seed=bits) * size).astype(np.float32)
    vectors[:5, 0] *= 20  # outliers, where clipping is worth it
    codes = plain(IntCodes(bits=bits, clip="mse"), vectors)
    cells, errors = candidates(vectors, bits)
    best = errors.argmin(axis=0)
    assert len(set(best)) > 1 or bits > 4
    assert np.array_equal(raw_values(codes), cells[best, np.arange(30)])
    bounds = np.abs(vectors).max(axis=1) * np.array(SHARES, np.float32)[best]
    assert codes.scales is not None
    assert np.array_equal(codes.scales, bounds / np.float32(2**bits))


def test_the_smallest_share_is_tried() -> None:
    """Six hundred values of a bell and one seven times as far: bounds near a quarter are best."""
    vectors = gaussian(4, 600, seed=3)
    vectors[:, 0] = 8
    codes = plain(IntCodes(bits=2), vectors)
    _, errors = candidates(vectors, 2)
    assert (errors.argmin(axis=0) == len(SHARES) - 1).all()
    assert codes.scales is not None
    assert np.array_equal(codes.scales, np.full(4, np.float32(8) * np.float32(0.28) / 4))


def test_two_bits_by_hand() -> None:
    """Bound 8, cells of 4: [-8, -4) [-4, 0) [0, 4) [4, 8], decoded to -6, -2, 2, 6."""
    vectors = np.array([[8, -8, 3.9, 4, -4, -4.1, -0.1, 0]], np.float32)
    codes = plain(IntCodes(bits=2, clip="max"), vectors)
    assert raw_values(codes).tolist() == [[3, 0, 2, 3, 1, 0, 1, 2]]
    assert codes.data.tobytes() == bytes([0b11_10_00_11, 0b10_01_00_01])
    assert codes.scales is not None and codes.scales.tolist() == [2.0]
    assert codes.decode().tolist() == [[6, -6, 2, 6, -2, -6, -2, 2]]


# Signs.


@pytest.mark.parametrize("rotation", ["none", "orthogonal", "hadamard"])
def test_sign_codes_keep_the_length(rotation: str) -> None:
    vectors = gaussian(8, 37, seed=1) * np.float32(3)
    codes = SignCodes.model_validate({"rotation": rotation}).encode(vectors, seed=2)
    lengths = np.sqrt(np.square(vectors.astype(np.float64)).sum(axis=1))
    assert np.allclose(codes.norms, lengths, rtol=1e-5)
    assert np.allclose(np.linalg.norm(codes.restore(), axis=1), lengths, rtol=1e-5)


def test_signs_by_hand() -> None:
    codes = plain(SignCodes(), np.array([[3, -4, 0, 0, 0, 0, 0, 0, -0.0]], np.float32))
    assert codes.data.tobytes() == bytes([0b11111101, 0b1])
    assert codes.scales is not None
    assert codes.scales.tolist() == pytest.approx([5 / 3])
    bare = plain(SignCodes(scale="none"), np.array([[3, -4]], np.float32))
    assert bare.scales is None
    assert bare.decode().tolist() == [[1, -1]]
    assert bare.bytes_per_row == 1


# Floats.


def test_half_precision_as_the_standard_library_rounds() -> None:
    values = gaussian(1, 300, seed=4)[0] * np.geomspace(1e-8, 6e4, 300).astype(np.float32)
    values = np.clip(values, -65_000, 65_000).astype(np.float32)
    expected = [struct.unpack("<e", struct.pack("<e", float(value)))[0] for value in values]
    assert FloatCodes(bits=16).encode(values[None]).decode()[0].tolist() == expected


def test_half_precision_clips() -> None:
    codes = FloatCodes(bits=16).encode(np.array([[65_504, 65_520, 1e38, -7e4, -1e38]], np.float32))
    assert codes.decode().tolist() == [[65_504, 65_504, 65_504, -65_504, -65_504]]


def test_full_precision_is_exact() -> None:
    vectors = np.array([[1e-45, -3.4e38, 0.1, -0.0]], np.float32)
    assert FloatCodes().encode(vectors).data.tobytes() == vectors.tobytes()


# Options out of their range.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "int", "bits": 1}, "codes.bits: input should be greater than or equal to 2"),
        ({"name": "int", "bits": 9}, "codes.bits: input should be less than or equal to 8, got 9"),
        ({"name": "int", "clip": "no"}, "codes.clip: input should be 'max' or 'mse', got 'no'"),
        ({"name": "int", "rotation": "x"}, "codes.rotation: .*'none', 'orthogonal' or 'hadamard'"),
        ({"name": "float", "bits": 8}, "codes.bits: input should be 16 or 32, got 8"),
        ({"name": "sign", "bits": 2}, "codes.bits: input should be less than or equal to 1"),
        ({"name": "sign", "scale": "max"}, "codes.scale: input should be 'norm' or 'none'"),
        (
            {"name": "sign", "clip": "max"},
            "unknown key codes.clip, known are bits, rotation, scale",
        ),
        ({"name": "binary"}, "unknown codes 'binary'; expected one of float, int, sign"),
    ],
)
def test_options_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        CODERS.parse(options)


# The frozen object itself.

PLAIN = Rotation("none", 9, 0)


@pytest.mark.parametrize(
    ("data", "bits", "scales", "rotation", "words"),
    [
        (np.zeros((2, 9), np.uint8), 9, None, PLAIN, "codes of 9 bits cannot be uint8"),
        (np.zeros((2, 9), np.uint8), 0, None, PLAIN, "codes of 0 bits cannot be uint8"),
        (np.zeros((2, 9), np.float32), 16, None, PLAIN, "codes of 16 bits cannot be float32"),
        (np.zeros((2, 9), np.float64), 32, None, PLAIN, "codes of 32 bits cannot be float64"),
        (np.zeros((2, 9), np.int8), 8, None, PLAIN, "codes of 8 bits cannot be int8"),
        (np.zeros((2, 4), np.uint8), 4, None, PLAIN, r"rows must be 5 long, got .*\(2, 4\)"),
        (np.zeros((2, 8), np.float32), 32, None, PLAIN, r"rows must be 9 long, got .*\(2, 8\)"),
        (np.zeros(9, np.uint8), 8, None, PLAIN, "rows must be 9 long"),
        (np.zeros((2, 2), np.uint8), 1, np.ones(3, np.float32), PLAIN, r"scales must be \(2,\)"),
        (np.zeros((2, 2), np.uint8), 1, np.ones(2), PLAIN, r"scales must be \(2,\) float32"),
        (np.zeros((2, 2), np.uint8), 1, None, Rotation("none", 8, 0), "of 8 for codes of 9"),
    ],
)  # fmt: skip
def test_codes_that_do_not_fit_together(
    data: Any, bits: int, scales: Any, rotation: Rotation, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Codes(data, bits, 9, scales, rotation)


@every_unrotated
def test_every_width_reads_the_documented_order(coder: Coder) -> None:
    """The first dimension stands in the lowest bits of the first byte."""
    vectors = np.full((1, 9), -1, np.float32)
    vectors[0, 0] = 1
    codes = plain(coder, vectors)
    if codes.packed:
        assert codes.bit_order == "little"
        top = 2**codes.bits - 1
        assert int.from_bytes(codes.data.tobytes(), "little") & top > top // 2
        assert codes.levels()[0].tolist() == [max(codes.levels()[0])] + [-codes.levels()[0, 0]] * 8
    else:
        assert codes.decode()[0].tolist() == vectors[0].tolist()
