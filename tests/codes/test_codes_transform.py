"""Transform codes: bits where scores need them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.codes import Basis, Codes, IntCodes, SignCodes, TransformCodes, code_items
from hashrec.codes.transform import allocate, planes, principal
from hashrec.csr import Csr
from hashrec.errors import RecipeError, UsageError
from hashrec.search import ENGINES

Vectors = npt.NDArray[np.float32]


def uneven(n: int, d: int, seed: int) -> Vectors:
    """Vectors whose directions differ much in size, around a mean."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((d, d)))
    sizes = 2.0 ** -np.arange(d)[: d // 2 + 1].repeat(2)[:d]
    return ((rng.standard_normal((n, d)) * sizes) @ turn + rng.standard_normal(d)).astype(
        np.float32
    )


def lost(codes: Codes, items: Vectors, users: Vectors) -> float:
    """Mean squared error of scores, each user's own mean aside."""
    error = users.astype(np.float64) @ (codes.restore().astype(np.float64) - items).T
    return float(np.square(error - error.mean(axis=1, keepdims=True)).mean())


def told(codes: Codes) -> npt.NDArray[np.float64]:
    """What codes stand for, from their bits by another road."""
    basis = codes.rotation
    assert isinstance(basis, Basis)
    assert codes.decoder is not None
    bits = np.unpackbits(codes.data, axis=1, bitorder="little")[:, : codes.dim].astype(int)
    found = np.tile(basis.rest.astype(np.float64), (len(codes), 1))
    for plane, direction in enumerate(basis.owner):
        value = codes.decoder.gain[plane] * (2 * bits[:, plane] - 1) + codes.decoder.offset[plane]
        found += value[:, None] * basis.directions[direction].astype(np.float64)
    return found


@pytest.mark.parametrize("size", [1, 3, 8, 16])
def test_codes_have_the_size_that_was_asked(size: int) -> None:
    codes = TransformCodes(size=size).encode(uneven(50, 16, 0))
    assert (codes.bits, codes.dim, codes.bytes_per_row, codes.scales) == (1, 8 * size, size, None)
    assert codes.n_bytes == 50 * size + codes.shared_bytes
    assert np.allclose(codes.restore(), told(codes), atol=1e-5)


@pytest.mark.parametrize("bits", range(1, 9))
def test_bits_are_the_mean_over_directions(bits: int) -> None:
    items = uneven(60, 9, 1)
    codes = TransformCodes(bits=bits).encode(items)
    assert codes.dim == 9 * bits
    worse = TransformCodes(bits=bits - 1).encode(items) if bits > 1 else None
    if worse is not None:
        assert lost(codes, items, items) < lost(worse, items, items)


def test_nearer_to_the_scores_than_codes_of_as_many_bytes() -> None:
    items, users = uneven(400, 32, 2), uneven(300, 32, 3)
    for other in (IntCodes(bits=2).encode(items), SignCodes().encode(items)):
        ours = code_items(TransformCodes(size=other.bytes_per_row), items, 0, users)
        assert lost(ours, items, users) < 0.2 * lost(other, items, users)


def test_what_is_asked_decides_where_bits_go() -> None:
    """Users who only look at one direction leave no bits to another, however large."""
    rng = np.random.default_rng(4)
    items = (rng.standard_normal((200, 4)) * [1, 100, 100, 100]).astype(np.float32)
    users = np.tile(np.array([1, 0, 0, 0], np.float32), (5, 1))
    codes = code_items(TransformCodes(bits=1), items, 0, users)
    assert np.abs(codes.restore()[:, 0] - items[:, 0]).mean() < 0.1
    assert np.abs(codes.restore()[:, 1:] - items[:, 1:]).mean() > 50
    # The longest user alone would decide if lengths counted.
    longer = np.vstack([users, np.array([[0, 1e-3, 0, 0]], np.float32)])
    shorter = np.vstack([users, np.array([[0, 1e3, 0, 0]], np.float32)])
    coder = TransformCodes(bits=1)
    one, other = (code_items(coder, items, 0, asked) for asked in (longer, shorter))
    assert one.data.tobytes() == other.data.tobytes()


def test_principal_directions_are_uncorrelated_and_undone() -> None:
    items, queries = uneven(80, 6, 5).astype(np.float64), uneven(90, 6, 6).astype(np.float64)
    items -= items.mean(0)
    forward, back = principal(items, queries)
    z = items @ forward
    assert np.allclose(z @ back, items, atol=1e-6)
    spread = np.cov(z.T)
    assert np.allclose(spread, np.diag(np.diag(spread)), atol=1e-6 * spread.max())
    assert (np.diff(np.diag(spread)) <= 1e-9).all()
    # An error e in z costs scores e . e on average, whatever its direction.
    assert np.allclose(back @ (queries.T @ queries) @ back.T, np.eye(6), atol=1e-6)


def test_allocation_is_the_best_there_is() -> None:
    rng = np.random.default_rng(7)
    z = rng.standard_normal((500, 3)) * [4, 1, 0.3]
    z -= z.mean(0)
    errors = {}
    for column, bits in itertools.product(range(3), range(9)):
        given, reach = allocate(z[:, [column]], bits)
        assert given.tolist() == [bits]
        top = 2**bits - 1
        step = 2 * reach[0] / max(top, 1)
        level = np.clip(np.floor((z[:, column] + reach[0]) / step + 0.5), 0, top) if bits else 0
        rounded = level * step - reach[0] if bits else 0.0
        errors[column, bits] = float(np.square(z[:, column] - rounded).mean())
    for total in (1, 4, 7, 12):
        best = min(
            sum(errors[column, bits] for column, bits in enumerate(split))
            for split in itertools.product(range(9), repeat=3)
            if sum(split) == total
        )
        given, _ = allocate(z, total)
        assert given.sum() == total
        assert sum(errors[column, bits] for column, bits in enumerate(given)) == pytest.approx(best)


@pytest.mark.parametrize("bits", [1, 3])
def test_the_mean_stays_however_skewed(bits: int) -> None:
    items = np.random.default_rng(8).exponential(size=(300, 5)).astype(np.float32) ** 2
    codes = TransformCodes(bits=bits).encode(items)
    assert np.abs(codes.restore().mean(0) - items.mean(0)).max() < 2e-3 * items.std()


def test_planes_tell_integers() -> None:
    """0 to 7 in three planes and 0 to 1 in one: gain * odd level + offset, along two axes."""
    columns = np.array([[0, 1], [5, 0], [7, 1]], np.uint8)
    codes = planes(
        columns, np.array([3, 1]), np.array([0.5, 2.0]), np.array([1.0, -1.0]),
        np.array([[4.0, 0.0], [0.0, 1.0]]), np.array([0.0, 100.0]),
    )  # fmt: skip
    assert codes.restore().tolist() == [[-10.0, 101.0], [10.0, 97.0], [18.0, 101.0]]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 30),
    d=st.integers(1, 12),
    size=st.integers(1, 12),
    kind=st.sampled_from(["uneven", "constant", "zero", "few", "huge", "tiny"]),
)
def test_engines_rank_them_like_the_oracle(seed: int, n: int, d: int, size: int, kind: str) -> None:
    items = uneven(n, d, seed)
    users = uneven(6, d, seed + 1)
    if kind == "constant":
        items[:, 0] = 3
    elif kind == "zero":
        items[:] = 0
    elif kind == "few":
        items = items[np.zeros(n, int)]
    items *= {"huge": np.float32(1e15), "tiny": np.float32(1e-15)}.get(kind, np.float32(1))
    codes = code_items(TransformCodes(size=min(size, d)), items, 0, users)
    assert np.isfinite(codes.restore()).all()
    assert np.allclose(codes.restore(), told(codes), atol=1e-4 * max(1e-30, np.abs(items).max()))
    queries = codes.rotation.apply(users)
    asked = Codes(queries, 32, codes.dim, None, codes.rotation)
    exclude = Csr.from_lists([[row % n] for row in range(6)], n_columns=n)
    found = [ENGINES[name](codes).search(asked, 3, exclude=exclude) for name in ("exact", "scan")]
    assert found[0].positions.tobytes() == found[1].positions.tobytes()
    assert found[0].scores.tobytes() == found[1].scores.tobytes()


@pytest.mark.parametrize("options", [{"bits": 0}, {"bits": 9}, {"size": 0}, {"bits": 1.5}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    from hashrec.codes import CODERS

    with pytest.raises(RecipeError, match="codes"):
        CODERS.parse({"name": "transform", **options})


def test_more_bytes_than_there_is_use_for_are_refused() -> None:
    with pytest.raises(UsageError, match="4 dimensions have no use for so many bytes.*expected 4"):
        TransformCodes(size=5).encode(uneven(9, 4, 0))


def test_nothing_to_fit_to_is_refused() -> None:
    with pytest.raises(UsageError, match="no vectors to fit transform codes to"):
        TransformCodes().encode(np.zeros((0, 4), np.float32))


@pytest.mark.parametrize("side", ["items", "queries"])
def test_what_is_not_finite_is_refused(side: str) -> None:
    given = {"items": uneven(5, 4, 0), "queries": uneven(5, 4, 1)}
    given[side][2, 1] = np.nan
    with pytest.raises(ValueError, match="vector 2 is not finite"):
        TransformCodes().encode(given["items"], queries=given["queries"])


def test_vectors_by_themselves_are_refused() -> None:
    from hashrec.codes import Rotation

    with pytest.raises(UsageError, match="fitted to all items"):
        TransformCodes().quantise(uneven(5, 4, 0), Rotation("none", 4, 0))
