"""What may be asked, and how it is refused: vectors, masks, limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from search_cases import assert_same_hits, assert_same_top, case, encoded

from hashrec.codes import Basis, Codes, FloatCodes, Rotation, SignCodes, TransformCodes, bring
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.search import ENGINES, TwoStage, open_index


def test_vectors_are_brought_to_where_the_items_are() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 24)).astype(np.float32)
    queries = rng.standard_normal((7, 24)).astype(np.float32)
    own = FloatCodes().quantise(queries, Rotation("none", 24, 0))
    for codes in (SignCodes().encode(vectors), TransformCodes(bits=1.0).encode(vectors)):
        index = open_index(codes)
        there = bring(own, codes.rotation)
        assert_same_top(index.search(queries, 5), index.search(there, 5))
        assert_same_top(index.search(queries.tolist(), 5), index.search(there, 5))
        assert_same_hits(index.search_threshold(queries, 1), index.search_threshold(there, 1))
        # About the products of the vectors, but for what all items have in common.
        about = codes.restore() @ queries[0]
        if isinstance(codes.rotation, Basis):
            about -= codes.rotation.rest @ queries[0]
        assert index.search(queries, 1).scores[0, 0] == pytest.approx(about.max(), rel=1e-3)


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        (np.zeros((2, 5)), r"no vectors of the items' space; expected an array of \(n, 6\); "
         r"got an array of \(2, 5\)"),
        (np.zeros(6), r"got an array of \(6,\)"),
        (np.full((1, 6), np.nan), "queries hold NaN or infinity; expected finite numbers"),
        (np.full((1, 6), np.inf), "queries hold NaN or infinity"),
        (np.full((1, 6), 1e39), "queries hold NaN or infinity"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("engine", list(ENGINES))
def test_vectors_refused(engine: str, queries: Any, words: str) -> None:
    kind = "float32" if engine == "dense" else "sign"
    index = open_index(encoded(kind, np.ones((4, 6), np.float32)), engine)
    with pytest.raises(UsageError, match=words), np.errstate(over="ignore"):
        index.search(queries, 1)


def test_codes_that_hold_no_numbers_are_refused() -> None:
    codes = encoded("float32", np.ones((2, 3), np.float32))
    codes.data[1, 2] = np.nan
    index = open_index(encoded("sign", np.ones((4, 3), np.float32)))
    for ask in (lambda: index.search(codes, 1), lambda: index.search_threshold(codes, 0)):
        with pytest.raises(UsageError, match="queries hold NaN or infinity"):
            ask()
    scaled = encoded("sign", np.ones((2, 3), np.float32))
    assert scaled.scales is not None
    scaled.scales[0] = np.inf
    with pytest.raises(UsageError, match="queries hold NaN or infinity"):
        index.search(scaled, 1)
    for wrong in (-1, np.nan, np.inf):
        scaled.scales[0] = wrong
        items = open_index(scaled)
        with pytest.raises(UsageError, match="scales of items are no lengths; expected finite"):
            items.search(np.ones((1, 3), np.float32), 1)
    scaled.scales[0] = -1
    with pytest.raises(UsageError, match="scales of queries are no lengths"):
        index.search(scaled, 1)


def test_queries_that_overflow_are_refused() -> None:
    """Bug: they were cast to integers as they came."""
    items = encoded("decoded int3", np.ones((4, 3), np.float32))
    long = encoded("int8", np.full((2, 3), 3e38, np.float32))
    assert long.scales is not None
    long.scales[:] = 3e38
    for engine in ("exact", "scan", "fast"):
        with pytest.raises(UsageError, match="queries are so long that they overflow float32"):
            open_index(items, engine).search(long, 1)


@pytest.mark.parametrize("k", [0, -3, 2.5, "3", True, None])
@pytest.mark.parametrize("engine", list(ENGINES))
def test_numbers_of_items_refused(engine: str, k: Any) -> None:
    kind = "float32" if engine == "dense" else "sign"
    index = open_index(encoded(kind, np.ones((4, 6), np.float32)), engine)
    queries = np.ones((2, 6), np.float32)
    with pytest.raises(UsageError, match="k is .*; expected at least 1; got"):
        index.search(queries, k)
    with pytest.raises(UsageError, match="k is .*; expected at least 1; got"):
        TwoStage(index, index, 3).search(queries, k)
    if k is not None:
        with pytest.raises(UsageError, match="limit is .*; expected at least 1; got"):
            index.search_threshold(queries, 0, limit=k)


def test_codes_that_cannot_be_searched() -> None:
    nothing = Codes(np.zeros((3, 0), np.float32), 32, 0, None, Rotation("none", 0, 0))
    with pytest.raises(UsageError, match="these codes cannot be searched; .* got 3 of 0"):
        open_index(nothing)


def test_bits_beyond_the_last_dimension_say_nothing() -> None:
    """Bug: 1-bit users counted them."""
    rng = np.random.default_rng(1)
    for dim in (5, 20, 63, 65):
        space = Rotation("none", dim, 0)
        width = -(-dim // 8)
        items, users = (
            Codes(rng.integers(0, 256, (n, width)).astype(np.uint8), 1, dim, None, space)
            for n in (300, 6)
        )
        expected = open_index(items, "exact").search(users, 20)
        for engine in ("scan", "fast"):
            assert_same_top(open_index(items, engine).search(users, 20), expected)


def test_users_of_zeros_among_others() -> None:
    """They are not scanned for: everything scores zero."""
    found = case(8, "decoded int3", "float32", n_items=400, n_queries=9, dim=6, allow="most")
    found.queries.data[[0, 3, 8]] = 0
    for kind in ("sign", "int4"):
        items = encoded(kind, np.random.default_rng(0).standard_normal((400, 6), np.float32))
        for k, allow in ((5, None), (5, found.allow), (400, found.allow)):
            asked: dict[str, Any] = {"exclude": found.exclude, "allow": allow}
            expected = open_index(items, "exact").search(found.queries, k, **asked)
            for engine in ("scan", "fast"):
                assert_same_top(
                    open_index(items, engine).search(found.queries, k, **asked), expected
                )


@pytest.mark.parametrize("engine", list(ENGINES))
def test_masks_by_hand(engine: str) -> None:
    kind = "float32" if engine == "dense" else "int8"
    items = encoded(kind, np.array([[5.0], [4.0], [3.0], [2.0], [1.0]], np.float32))
    queries = encoded("float32", np.array([[1.0], [-1.0]], np.float32))
    index = open_index(items, engine)
    allow = [False, True, False, True, True]
    top = index.search(queries, 2, allow=allow)
    assert top.positions.tolist() == [[1, 3], [4, 3]]
    hits = index.search_threshold(queries, -1e9, allow=np.array(allow))
    assert hits.positions.tolist() == [1, 3, 4, 4, 3, 1]
    assert index.search_threshold(queries, -1e9, allow=allow, limit=1).positions.tolist() == [1, 4]
    nothing = index.search(queries, 2, allow=np.zeros(5, bool))
    assert nothing.positions.tolist() == [[-1, -1]] * 2
    assert nothing.counts.tolist() == [0, 0]
    assert index.search_threshold(queries, -1e9, allow=np.zeros(5, bool)).totals.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("allow", "words"),
    [
        ([True] * 4, r"no mask of the items; expected \(5,\) bool; got \(4,\) bool"),
        ([1, 0, 1, 0, 1], r"got \(5,\) int64"),
        ([[True] * 5], r"got \(1, 5\) bool"),
    ],
)
def test_masks_refused(allow: Any, words: str) -> None:
    found = case(0, "sign", "float32", n_items=5, n_queries=2, dim=3)
    index = open_index(found.items)
    with pytest.raises(UsageError, match=words):
        index.search(found.queries, 1, allow=allow)
    with pytest.raises(UsageError, match=words):
        index.search_threshold(found.queries, 1, allow=allow)


def test_limits_refused() -> None:
    found = case(0, "sign", "float32", n_items=5, n_queries=2, dim=3)
    with pytest.raises(UsageError, match="limit is too small; expected at least 1; got 0"):
        open_index(found.items).search_threshold(found.queries, 1, limit=0)


def test_exclusions_as_scipy_has_them() -> None:
    """Unsorted, repeated and zero entries: what is there and not zero is left out."""
    found = case(7, "sign", "float32", n_items=9, n_queries=2, dim=5, share="none")
    index = open_index(found.items)
    matrix = scipy.sparse.csr_array(
        (np.array([1, 2, 1, 0, 5]), np.array([7, 2, 7, 3, 0]), np.array([0, 4, 5])), shape=(2, 9)
    )
    expected = index.search(found.queries, 9, exclude=Csr.from_lists([[2, 7], [0]], n_columns=9))
    assert_same_top(index.search(found.queries, 9, exclude=matrix), expected)
    with pytest.raises(UsageError, match="no rows of items; got expected a Csr or a sparse"):
        index.search(found.queries, 9, exclude=[[1], [2]])
    with pytest.raises(UsageError, match="expected 2 x 9; got 2 x 8"):
        index.search(found.queries, 9, exclude=scipy.sparse.csr_array((2, 8)))
    with pytest.raises(ValueError, match=r"columns must lie in \[0, 9\), got 1 to 9"):
        Csr.from_lists([[1, 9]], n_columns=9)
