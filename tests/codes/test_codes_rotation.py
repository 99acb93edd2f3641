"""Rotations: orthogonal, undone by their inverse, drawn by their seed, of any size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.codes import Rotation
from hashrec.codes.rotation import RotationKind

KINDS: list[RotationKind] = ["orthogonal", "hadamard"]
DIMS = range(1, 41)


def as_matrix(rotation: Rotation) -> np.ndarray:
    """What it does to the unit vectors, in float64."""
    return rotation.apply(np.eye(rotation.dim, dtype=np.float32)).astype(np.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", DIMS)
def test_orthogonal_in_every_dimension(kind: RotationKind, dim: int) -> None:
    rotation = Rotation(kind, dim, seed=dim)
    matrix = as_matrix(rotation)
    assert np.abs(matrix @ matrix.T - np.eye(dim)).max() < 1e-5

    vectors = np.random.default_rng(dim).standard_normal((3, dim)).astype(np.float32)
    before = vectors.copy()
    rotated = rotation.apply(vectors)
    assert rotated.dtype == np.float32
    assert rotated.shape == vectors.shape
    assert np.array_equal(vectors, before)
    assert np.abs(rotated - vectors @ matrix).max() < 1e-5  # linear: the matrix is all of it
    back = rotation.inverse(rotated)
    assert back.dtype == np.float32
    assert np.abs(back - vectors).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(dim=st.integers(1, 200), seed=st.integers(0, 2**32))
def test_dot_products_are_kept(kind: RotationKind, dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    users, items = rng.standard_normal((2, 4, dim)).astype(np.float32)
    rotation = Rotation(kind, dim, seed)
    before = users.astype(np.float64) @ items.astype(np.float64).T
    after = rotation.apply(users).astype(np.float64) @ rotation.apply(items).astype(np.float64).T
    assert np.abs(after - before).max() < 1e-5 * dim + 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [8, 12])
def test_seeds(kind: RotationKind, dim: int) -> None:
    one, same, other = Rotation(kind, dim, 1), Rotation(kind, dim, 1), Rotation(kind, dim, 2)
    assert one == same
    assert as_matrix(one).tobytes() == as_matrix(same).tobytes()
    assert np.abs(as_matrix(one) - as_matrix(other)).max() > 0.1


def test_none_is_the_identity() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    rotation = Rotation("none", 3, 0)
    assert np.array_equal(rotation.apply(vectors), vectors)
    assert np.array_equal(rotation.inverse(vectors), vectors)


@pytest.mark.parametrize("kind", KINDS)
def test_energy_is_spread(kind: RotationKind) -> None:
    """A vector with all its energy in one dimension leaves with some of it nearly everywhere."""
    for dim in (32, 37, 48):
        matrix = as_matrix(Rotation(kind, dim, 3))
        assert np.abs(matrix).max() < 0.95
        assert (np.abs(matrix) > 0.01).mean() > 0.6


def test_one_round_of_four_by_hand() -> None:
    """At a power of two each round is signs, then H/2; the signs come from the seed alone."""
    hadamard = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    signs = np.random.default_rng(9).choice(np.array([-1.0, 1.0], np.float32), size=(3, 4))
    expected = np.eye(4)
    for sign in signs:
        expected = expected @ np.diag(sign) @ hadamard
    assert np.allclose(as_matrix(Rotation("hadamard", 4, 9)), expected, atol=1e-6)


def test_orthogonal_is_the_unique_factor() -> None:
    """Q with R's diagonal positive: then Q^T G is upper triangular with a positive diagonal."""
    gaussian = np.random.default_rng(5).standard_normal((7, 7))
    upper = as_matrix(Rotation("orthogonal", 7, 5)).T @ gaussian
    assert np.abs(np.tril(upper, -1)).max() < 1e-5
    assert (np.diag(upper) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind: RotationKind) -> None:
    rotation = Rotation(kind, 6, 0)
    assert rotation.apply(np.zeros((0, 6), np.float32)).shape == (0, 6)
    assert rotation.inverse(np.zeros((0, 6), np.float32)).shape == (0, 6)


def test_hadamard_of_dimension_three_keeps_length_by_hand() -> None:
    rotated = Rotation("hadamard", 3, 0).apply(np.array([[3.0, 0.0, 4.0]], np.float32))
    assert math.hypot(*rotated[0].tolist()) == pytest.approx(5.0, rel=1e-6)
