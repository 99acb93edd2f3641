"""The contract of every coder in the registry, and what each promises beyond it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hashrec.codes import CODERS, Coder, Codes, FloatCodes, IntCodes, Rotation, SignCodes

VARIANTS: list[Coder] = [
    *(CODERS[name]() for name in CODERS),
    FloatCodes(bits=16),
    *(IntCodes(bits=bits) for bits in range(2, 9)),
    IntCodes(bits=4, clip="max", rotation="none"),
    IntCodes(bits=4, rotation="hadamard"),
    SignCodes(scale="none"),
    SignCodes(rotation="none"),
    SignCodes(rotation="hadamard"),
]
# Largest relative error of decoded bell-shaped vectors: a table per bit width.
ERROR = {1: 0.75, 2: 0.40, 3: 0.22, 4: 0.13, 5: 0.075, 6: 0.04, 7: 0.02, 8: 0.01, 16: 6e-4, 32: 0.0}


def vectors(n: int = 50, dim: int = 33, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.fixture(params=VARIANTS, ids=lambda coder: f"{coder.name}-{coder.model_dump()}")
def coder(request: pytest.FixtureRequest) -> Coder:
    return request.param


class TestContract:
    def test_shapes_and_bytes(self, coder: Coder) -> None:
        codes = coder.encode(vectors())
        assert (len(codes), codes.dim, codes.bits) == (50, 33, coder.bits)
        assert codes.n_bytes == 50 * codes.bytes_per_row
        scale = 0 if codes.scales is None else 4
        assert codes.bytes_per_row == -(-33 * codes.bits // 8) + scale

    def test_decoded_is_near(self, coder: Coder) -> None:
        if coder.name == "sign" and coder.scale == "none":
            pytest.skip("signs without a scale have no length to compare")
        given = vectors(dim=64)
        restored = coder.encode(given).restore()
        error = np.linalg.norm(restored - given) / np.linalg.norm(given)
        assert error <= ERROR[coder.bits] + 1e-6

    def test_a_row_does_not_depend_on_its_batch(self, coder: Coder) -> None:
        rotation = Rotation(coder.wanted_rotation, 33, 3)
        given = vectors()
        whole, alone = coder.quantise(given, rotation), coder.quantise(given[7:8], rotation)
        taken = whole.take(np.array([7]))
        assert np.array_equal(taken.data, alone.data)
        assert np.array_equal(taken.decode(), alone.decode())

    def test_same_seed_same_bytes(self, coder: Coder) -> None:
        one, same = (coder.encode(vectors(), seed=5) for _ in range(2))
        assert one.data.tobytes() == same.data.tobytes()
        if coder.wanted_rotation != "none":
            assert one.data.tobytes() != coder.encode(vectors(), seed=6).data.tobytes()

    def test_zero_vectors_and_extremes(self, coder: Coder) -> None:
        given = np.zeros((5, 33), np.float32)
        given[1], given[2], given[3, 4] = 1e-38, 1e37, -1e-45
        decoded = coder.encode(given).decode()
        assert np.isfinite(decoded).all()
        if coder.name != "sign" or coder.scale == "norm":
            assert np.abs(decoded[0]).max() == 0

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_refused(self, coder: Coder, bad: float) -> None:
        given = vectors()
        given[3, 2] = bad
        with pytest.raises(ValueError, match="vector 3 is not finite"):
            coder.quantise(given, Rotation("none", 33, 0))

    def test_given_vectors_are_left_alone(self, coder: Coder) -> None:
        given = vectors()
        coder.encode(given)
        assert np.array_equal(given, vectors())

    def test_no_rows(self, coder: Coder) -> None:
        assert coder.encode(vectors(n=0)).decode().shape == (0, 33)


@pytest.mark.parametrize("bits", range(1, 9))
def test_levels_are_odd_integers(bits: int) -> None:
    """2c - (2^b - 1), worked by hand for every c."""
    values = np.arange(2**bits, dtype=np.uint8)
    from hashrec.codes import pack

    codes = Codes(pack(values[None], bits), bits, 2**bits, None, Rotation("none", 2**bits, 0))
    assert codes.levels()[0].tolist() == [2 * c - (2**bits - 1) for c in range(2**bits)]


def test_both_zeros_are_positive() -> None:
    codes = SignCodes(rotation="none", scale="none").encode(
        np.array([[0.0, -0.0, -1.0, 1.0]], np.float32)
    )
    assert codes.decode().tolist() == [[1.0, 1.0, -1.0, 1.0]]
    assert codes.data.tolist() == [[0b1011]]


def test_sign_codes_keep_the_norm() -> None:
    given = vectors()
    codes = SignCodes().encode(given)
    np.testing.assert_allclose(codes.norms, np.linalg.norm(given, axis=1), rtol=1e-5)


def test_int_codes_by_hand() -> None:
    """Bound 4 at 2 bits: cells of width 2, middles -3, -1, 1, 3."""
    codes = IntCodes(bits=2, clip="max", rotation="none").encode(
        np.array([[-4.0, -1.5, 0.0, 4.0]], np.float32)
    )
    assert codes.decode().tolist() == [[-3.0, -1.0, 1.0, 3.0]]


def test_clipping_by_mse_is_never_worse() -> None:
    given = vectors(dim=256)
    for bits in (2, 3, 4):
        errors = [
            np.square(
                IntCodes(bits=bits, clip=clip, rotation="none").encode(given).decode() - given
            ).sum(axis=1)
            for clip in ("mse", "max")
        ]
        assert (errors[0] <= errors[1]).all()
        assert errors[0].sum() < errors[1].sum()


def test_half_precision_clips() -> None:
    codes = FloatCodes(bits=16).encode(np.array([[1e9, -1e9]], np.float32))
    assert codes.decode().tolist() == [[65504.0, -65504.0]]


def test_codes_are_frozen_and_checked() -> None:
    codes = SignCodes().encode(vectors())
    with pytest.raises(dataclasses.FrozenInstanceError):
        codes.bits = 2  # type: ignore[misc]
    none = Rotation("none", 8, 0)
    with pytest.raises(ValueError, match="codes of 9 bits cannot be uint8"):
        Codes(np.zeros((1, 9), np.uint8), 9, 8, None, none)
    with pytest.raises(ValueError, match="codes of 1 bits cannot be float32"):
        Codes(np.zeros((1, 8), np.float32), 1, 8, None, none)
    with pytest.raises(ValueError, match="rows must be 1 long"):
        Codes(np.zeros((1, 2), np.uint8), 1, 8, None, none)
    with pytest.raises(ValueError, match=r"scales must be \(1,\) float32"):
        Codes(np.zeros((1, 1), np.uint8), 1, 8, np.ones(2, np.float32), none)
    with pytest.raises(ValueError, match="a rotation of 8 for codes of 16"):
        Codes(np.zeros((1, 2), np.uint8), 1, 16, None, none)
    with pytest.raises(ValueError, match="are floats and have no levels"):
        FloatCodes().encode(vectors()).levels()


@pytest.mark.parametrize("kind", ["orthogonal", "hadamard", "none"])
@pytest.mark.parametrize("dim", [1, 2, 3, 7, 8, 33, 64, 100])
def test_rotations_keep_products_and_come_back(kind: str, dim: int) -> None:
    rotation = Rotation(kind, dim, 1)  # type: ignore[arg-type]
    given = vectors(dim=dim)
    turned = rotation.apply(given)
    np.testing.assert_allclose(turned @ turned.T, given @ given.T, atol=2e-4)
    np.testing.assert_allclose(rotation.inverse(turned), given, atol=1e-5)


@pytest.mark.parametrize("kind", ["orthogonal", "hadamard"])
def test_rotations_spread_one_dimension_over_all(kind: str) -> None:
    """What rotations are for: a vector along an axis must not stay along axes."""
    rotation = Rotation(kind, 100, 1)  # type: ignore[arg-type]
    turned = rotation.apply(np.eye(100, dtype=np.float32))
    assert np.abs(turned).max() < 0.6
