"""Where matrix products round the wrong way: the dense engine must not be led astray."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
from search_cases import Case, assert_same_hits, assert_same_top, everything

from hashrec.codes import FloatCodes
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.search import open_index

Vectors = npt.NDArray[np.float32]


def last_bits(rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """One vector, each copy a few last bits away in a few places."""
    base = rng.standard_normal(65).astype(np.float32)
    items = np.repeat(base[None], 400, axis=0)
    for row in items[40:]:  # the first forty are exact copies
        for place in rng.integers(0, 65, 3):
            row[place] = np.nextafter(row[place], np.float32(rng.choice([-9, 9])))
    return np.concatenate([base[None], rng.standard_normal((4, 65))]).astype(np.float32), items


def cancellation(rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """Large products that cancel, so that the score is far below one rounding of its terms."""
    half = (rng.standard_normal((300, 40)) * 1e4).astype(np.float32)
    rest = rng.integers(-3, 4, (300, 2))
    items = np.concatenate([half, -half, rest], axis=1)
    side = rng.standard_normal((5, 40)) * 1e4
    users = np.concatenate([side, side, np.ones((5, 2))], axis=1)
    return users.astype(np.float32), items.astype(np.float32)


def norms(rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """Lengths over thirty powers of ten: the bound follows the longest item."""
    items = rng.standard_normal((300, 24)) * 10.0 ** rng.uniform(-18, 12, (300, 1))
    users = rng.standard_normal((6, 24)) * 10.0 ** np.array([-20, -10, -3, 0, 10, 20])[:, None]
    return users.astype(np.float32), items.astype(np.float32)


def underflow(rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """Products below the smallest normal float32."""
    items = rng.standard_normal((300, 24)) * 1e-20
    return (rng.standard_normal((4, 24)) * 1e-20).astype(np.float32), items.astype(np.float32)


def lattice(rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """Small integers: hundreds of exact ties."""
    users, items = rng.integers(-1, 2, (5, 6)), rng.integers(-1, 2, (400, 6))
    return users.astype(np.float32), items.astype(np.float32)


def thirds(rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """The same terms in another order: equal in real numbers, not in floating point."""
    base = (1 / rng.integers(3, 60, 48)).astype(np.float32)
    items = np.stack([rng.permutation(base) for _ in range(300)])
    return np.ones((3, 48), np.float32) / np.float32(3), items


TRAPS = [last_bits, cancellation, norms, underflow, lattice, thirds]


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("bits", [32, 16])
@pytest.mark.parametrize("k", [1, 7, 300])
def test_near_ties(trap, bits: int, k: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(k)
    users, items = trap(rng)
    coder = FloatCodes(bits=bits)
    seen = rng.random((len(users), len(items))) < 0.1
    rows, columns = np.nonzero(seen)
    exclude = Csr.from_pairs(rows, columns, n_rows=len(users), n_columns=len(items))
    found = Case(coder.encode(items), FloatCodes().encode(users), exclude)
    dense, exact = open_index(found.items, "dense"), open_index(found.items, "exact")
    expected = exact.search(found.queries, k, exclude=exclude)
    assert_same_top(dense.search(found.queries, k, exclude=exclude), expected)
    for row in range(len(users)):  # one by one, where BLAS takes another path
        alone = np.array([row])
        top = dense.search(found.queries.take(alone), k, exclude=exclude.take(alone))
        assert top.positions[0].tolist() == expected.positions[row].tolist()
        assert top.scores[0].tobytes() == expected.scores[row].tobytes()
        assert top.ties[0] == expected.ties[row]
    for thresholds in (expected.scores[:, -1], np.nextafter(expected.scores[:, 0], np.float32(9))):
        assert_same_hits(
            dense.search_threshold(found.queries, thresholds, exclude=exclude),
            exact.search_threshold(found.queries, thresholds, exclude=exclude),
        )
    pairs = everything(len(users), len(items))
    scores = dense.score(found.queries, pairs)
    assert scores.tobytes() == exact.score(found.queries, pairs).tobytes()


@pytest.mark.parametrize("engine", ["dense", "exact"])
def test_zero_has_no_sign(engine: str) -> None:
    """A negative product too small for float32 is the zero that it equals."""
    tiny = np.float32(1e-30)
    items = np.array([[-tiny], [tiny], [0]], np.float32)
    index = open_index(FloatCodes().encode(items), engine)
    top = index.search(np.array([[tiny]], np.float32), 2)
    assert top.positions.tolist() == [[0, 1]]
    assert top.ties.tolist() == [1]
    assert not np.signbit(top.scores).any()


def test_the_traps_are_traps() -> None:
    """Summed in float32 in the same order, each of these would be ranked otherwise."""
    for trap in (last_bits, cancellation, thirds):
        users, items = trap(np.random.default_rng(7))
        rough = np.zeros((len(users), len(items)), np.float32)
        exact = np.zeros((len(users), len(items)))
        for place in range(users.shape[1]):
            rough += np.outer(users[:, place], items[:, place])
            exact += np.outer(*(side[:, place].astype(np.float64) for side in (users, items)))
        wrong = np.argsort(-rough, axis=1, kind="stable")[:, :7]
        right = np.argsort(-exact.astype(np.float32), axis=1, kind="stable")[:, :7]
        assert (wrong != right).any(axis=1).all(), trap.__name__


def test_vectors_too_long_are_refused_before_they_overflow() -> None:
    """Bug: the product was made before it was checked, and warned of an overflow."""
    items = FloatCodes().encode(np.full((3, 4), 1e30, np.float32))
    queries = FloatCodes().encode(np.full((2, 4), 1e30, np.float32))
    index = open_index(items, "dense")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for call in (lambda: index.search(queries, 1), lambda: index.search_threshold(queries, 0)):
            with pytest.raises(UsageError, match="so long that their products overflow float32"):
                call()


def test_a_score_by_hand() -> None:
    """2^24 + 1 - 2^24 is 1: float32 sums would lose it, float64 sums do not."""
    items = FloatCodes().encode(np.array([[2**24, 1, -(2**24)], [0, 0.5, 0]], np.float32))
    queries = FloatCodes().encode(np.ones((1, 3), np.float32))
    top = open_index(items, "dense").search(queries, 2)
    assert top.positions.tolist() == [[0, 1]]
    assert top.scores.tolist() == [[1.0, 0.5]]
