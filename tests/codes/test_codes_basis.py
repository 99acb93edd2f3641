"""Bases: what a code's dimensions tell, and queries and decoded vectors on their way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashrec.codes import Basis, FloatCodes, Rotation, TransformCodes, bring, code_queries


def basis(k: int = 3, d: int = 5, owner: list[int] | None = None, seed: int = 0) -> Basis:
    rng = np.random.default_rng(seed)
    return Basis(
        rng.standard_normal((k, d)).astype(np.float16),
        np.array([0, 0, 1, 2, 2, 2] if owner is None else owner, np.uint16),
        rng.standard_normal(d).astype(np.float32),
    )


def test_products_are_kept_but_for_the_rest() -> None:
    """q . inverse(y) = apply(q) . y + q . rest."""
    space, rng = basis(), np.random.default_rng(1)
    queries = rng.standard_normal((7, 5)).astype(np.float32)
    decoded = rng.standard_normal((4, 6)).astype(np.float32)
    products = queries.astype(np.float64) @ space.inverse(decoded).T
    expected = space.apply(queries).astype(np.float64) @ decoded.T
    expected += (queries.astype(np.float64) @ space.rest)[:, None]
    assert np.allclose(products, expected, atol=1e-5)


def test_inverse_by_hand() -> None:
    space = Basis(
        np.array([[1, 0], [2, 3]], np.float16), np.array([0, 1, 1], np.uint16),
        np.array([10, 20], np.float32),
    )  # fmt: skip
    assert space.inverse(np.array([[5, 1, -2]], np.float32)).tolist() == [[13.0, 17.0]]
    assert space.apply(np.array([[1, 4]], np.float32)).tolist() == [[1.0, 14.0, 14.0]]
    assert (space.dim, space.n_bytes) == (3, 8 + 6 + 8)


def test_a_query_has_the_same_bits_alone_and_among_many() -> None:
    """In BLAS they differ, and ties would break differently."""
    space, rng = basis(k=40, d=70, owner=[*range(40)]), np.random.default_rng(2)
    queries = rng.standard_normal((50, 70)).astype(np.float32)
    whole = space.apply(queries)
    for row in range(50):
        assert space.apply(queries[row : row + 1]).tobytes() == whole[row : row + 1].tobytes()


def test_bring_takes_queries_from_any_space() -> None:
    space, rng = basis(), np.random.default_rng(3)
    vectors = rng.standard_normal((4, 5)).astype(np.float32)
    turn = Rotation("orthogonal", 5, 7)
    queries = FloatCodes().quantise(turn.apply(vectors), turn)
    assert np.allclose(bring(queries, space).decode(), space.apply(vectors), atol=1e-5)
    assert bring(queries, turn) is queries
    assert np.allclose(bring(queries, Rotation("none", 5, 0)).decode(), vectors, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"directions": np.zeros((3, 5), np.float32)},
            "must be .* float16, got float32",
        ),
        ({"directions": np.full((3, 5), np.inf, np.float16)}, "directions that are not finite"),
        ({"rest": np.zeros(4, np.float32)}, "a basis of 5 dimensions needs"),
        ({"rest": np.full(5, np.nan, np.float32)}, "rest that are not finite"),
        ({"owner": np.array([0, 3], np.uint16)}, "owners must rise and be below 3"),
        ({"owner": np.array([1, 0], np.uint16)}, "owners must rise and be below 3"),
        ({"owner": np.array([0, 1])}, "uint16 owners"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Basis(**{**vars(basis()), **change})


def test_norms_are_of_the_vectors_that_codes_stand_for() -> None:
    items = np.random.default_rng(4).standard_normal((20, 6)).astype(np.float32) + 2
    codes = TransformCodes(bits=3).encode(items)
    lengths = np.linalg.norm(codes.restore().astype(np.float64), axis=1)
    assert codes.norms == pytest.approx(lengths, rel=1e-6)
    assert not np.allclose(np.linalg.norm(codes.decode(), axis=1), lengths, rtol=0.1)


def test_users_do_not_look_at_what_items_have_in_common() -> None:
    rng = np.random.default_rng(5)
    users, items = (rng.integers(-8, 8, (40, 6)).astype(np.float32) for _ in range(2))
    coder, space = TransformCodes(bits=2), Rotation("none", 6, 0)
    near, far = (code_queries(coder, users, space, 0, items + by)
                 for by in (np.float32(0), np.array([64, 0, 0, 0, 0, 0], np.float32)))  # fmt: skip
    assert near.data.tobytes() == far.data.tobytes()
    other = coder.encode(users, queries=items + np.array([64, 0, 0, 0, 0, 0], np.float32))
    assert other.data.tobytes() != near.data.tobytes()
