"""Every engine against the oracle, bit for bit, on random and on extreme input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.codes import Coder, Codes, FloatCodes, IntCodes, Rotation, SignCodes
from hashrec.csr import Csr
from hashrec.errors import HashrecError, UsageError
from hashrec.search import ENGINES, Hits, TopK, open_index
from hashrec.threads import set_threads, threads

ITEM_CODERS: dict[str, Coder] = {
    "sign": SignCodes(),
    "bare sign": SignCodes(scale="none"),
    **{f"int{bits}": IntCodes(bits=bits) for bits in (2, 3, 4, 5, 8)},
    "half": FloatCodes(bits=16),
    "float": FloatCodes(),
}
QUERY_CODERS: dict[str, Coder] = {
    "float": FloatCodes(),
    "sign": SignCodes(),
    "int4": IntCodes(bits=4),
}


def coded(coder: Coder, vectors: np.ndarray) -> Codes:
    return coder.quantise(vectors, Rotation("none", vectors.shape[1], 0))


def random_rows(rng: np.random.Generator, n: int, n_items: int, most: int) -> Csr:
    lists = [
        rng.choice(n_items, rng.integers(0, most + 1), replace=False).tolist() for _ in range(n)
    ]
    return Csr.from_lists(lists, n_columns=n_items)


def same(found: TopK | Hits, expected: TopK | Hits) -> None:
    assert type(found) is type(expected)
    for name in vars(expected):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs), name


@pytest.mark.parametrize("queries_as", QUERY_CODERS)
@pytest.mark.parametrize("items_as", ITEM_CODERS)
class TestAgainstTheOracle:
    """300 items, some of them twice, queries of which one is zero, rows of excluded items."""

    @pytest.fixture
    def case(self, items_as: str, queries_as: str) -> tuple[Codes, Codes, Csr]:
        rng = np.random.default_rng(len(items_as) * 7 + len(queries_as))
        items = rng.standard_normal((300, 37)).astype(np.float32)
        items[5], items[200], items[201], items[299] = items[9], items[9], 0, items[0]
        users = rng.standard_normal((35, 37)).astype(np.float32)
        users[3] = 0
        seen = random_rows(rng, 34, 300, 40)
        everything = np.concatenate([seen.row_of_entry, np.full(296, 34)])
        columns = np.concatenate([seen.indices, np.arange(296)])
        exclude = Csr.from_pairs(everything, columns, n_rows=35, n_columns=300)
        return (
            coded(ITEM_CODERS[items_as], items),
            coded(QUERY_CODERS[queries_as], users),
            exclude,
        )

    def test_top_k(self, case: tuple[Codes, Codes, Csr]) -> None:
        items, queries, exclude = case
        for k in (1, 10, 300, 1000):
            expected = open_index(items, "exact").search(queries, k, exclude=exclude)
            same(open_index(items).search(queries, k, exclude=exclude), expected)
        assert expected.counts[34] == 4  # all but four were excluded
        same(open_index(items).search(queries, 7), open_index(items, "exact").search(queries, 7))

    def test_nothing_excluded_is_returned(self, case: tuple[Codes, Codes, Csr]) -> None:
        items, queries, exclude = case
        found = open_index(items).search(queries, 300, exclude=exclude)
        for row in range(len(queries)):
            listed = found.positions[row, : found.counts[row]]
            assert not set(listed.tolist()) & set(exclude.row(row).tolist())
            assert found.counts[row] == 300 - len(exclude.row(row))

    def test_threshold_is_inclusive(self, case: tuple[Codes, Codes, Csr]) -> None:
        items, queries, exclude = case
        top = open_index(items).search(queries, 4, exclude=exclude)
        expected = open_index(items, "exact").search_threshold(
            queries, top.scores[:, 3], exclude=exclude
        )
        found = open_index(items).search_threshold(queries, top.scores[:, 3], exclude=exclude)
        same(found, expected)
        assert (np.diff(found.offsets) == 4 + top.ties).all()
        same(
            open_index(items).search_threshold(queries, 0.5),
            open_index(items, "exact").search_threshold(queries, 0.5),
        )

    def test_scores_of_pairs(self, case: tuple[Codes, Codes, Csr]) -> None:
        items, queries, exclude = case
        expected = open_index(items, "exact").score(queries, exclude)
        assert np.array_equal(open_index(items).score(queries, exclude), expected)

    def test_one_query_is_like_the_batch(self, case: tuple[Codes, Codes, Csr]) -> None:
        items, queries, exclude = case
        index = open_index(items)
        batch = index.search(queries, 12, exclude=exclude)
        for row in (0, 3, 34):
            alone = index.search(queries.take(np.array([row])), 12, exclude=exclude.take([row]))
            assert np.array_equal(alone.positions[0], batch.positions[row])
            assert np.array_equal(alone.scores[0], batch.scores[row])
            assert alone.ties[0] == batch.ties[row]

    def test_threads_change_nothing(self, case: tuple[Codes, Codes, Csr]) -> None:
        items, queries, exclude = case
        before = threads()
        expected = open_index(items).search(queries, 9, exclude=exclude)
        try:
            set_threads(1)
            same(open_index(items).search(queries, 9, exclude=exclude), expected)
        finally:
            set_threads(before)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 12), st.integers(1, 15))
def test_many_ties(seed: int, dim: int, n_items: int, k: int) -> None:
    """Three dimensions of bare signs have eight codes, so nearly all items tie."""
    rng = np.random.default_rng(seed)
    items = coded(SignCodes(scale="none"), rng.standard_normal((n_items, dim)).astype(np.float32))
    queries = coded(SignCodes(scale="none"), rng.standard_normal((4, dim)).astype(np.float32))
    exclude = random_rows(rng, 4, n_items, n_items)
    found = open_index(items).search(queries, k, exclude=exclude)
    same(found, open_index(items, "exact").search(queries, k, exclude=exclude))
    user, item = queries.decode(), items.decode()
    for row in range(4):  # by nothing but Python
        rest = [i for i in range(n_items) if i not in set(exclude.row(row).tolist())]
        score = {
            i: float(sum(a * b for a, b in zip(user[row], item[i], strict=True))) for i in rest
        }
        ranked = sorted(rest, key=lambda i: (-score[i], i))
        assert found.positions[row, : found.counts[row]].tolist() == ranked[:k]
        last = score[ranked[:k][-1]] if ranked else None
        assert found.ties[row] == sum(score[i] == last for i in ranked[k:])


@pytest.mark.parametrize(
    "coder", [SignCodes(), IntCodes(bits=4), FloatCodes()], ids=lambda c: c.name
)
def test_few_queries_over_many_items_are_split_and_merged(coder: Coder) -> None:
    rng = np.random.default_rng(4)
    vectors = rng.integers(-1, 2, (9_000, 16)).astype(np.float32)  # many exact ties
    items, queries = coded(coder, vectors), coded(FloatCodes(), vectors[:3])
    exclude = random_rows(rng, 3, 9_000, 4_000)
    for k in (1, 50, 2_500):
        same(
            open_index(items).search(queries, k, exclude=exclude),
            open_index(items, "exact").search(queries, k, exclude=exclude),
        )
    bits = coded(SignCodes(), vectors[:3])
    same(
        open_index(items).search(bits, 50, exclude=exclude),
        open_index(items, "exact").search(bits, 50, exclude=exclude),
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1e-30, 1e-3, 1.0, 1e4]), st.integers(1, 70))
def test_near_ties_of_floats_are_decided_exactly(seed: int, size: float, dim: int) -> None:
    """Items that differ in the last bit only, and norms over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(dim).astype(np.float32) * np.float32(size)
    items = np.tile(base, (60, 1))
    items[20:40] = np.nextafter(items[20:40], np.float32(np.inf), dtype=np.float32)
    items[40:] *= np.float32(10) ** rng.integers(-6, 3, (20, 1)).astype(np.float32)
    items, queries = (
        coded(FloatCodes(), items),
        coded(FloatCodes(), rng.standard_normal((5, dim)).astype(np.float32)),
    )
    same(open_index(items).search(queries, 8), open_index(items, "exact").search(queries, 8))


def test_thresholds_without_end() -> None:
    items = coded(SignCodes(), np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32))
    queries = items.take(np.arange(2))
    index = open_index(items)
    assert np.diff(index.search_threshold(queries, -np.inf).offsets).tolist() == [20, 20]
    assert len(index.search_threshold(queries, np.inf).positions) == 0
    with pytest.raises(UsageError, match="threshold is not a number"):
        index.search_threshold(queries, [0.0, np.nan])


def test_no_queries_at_all() -> None:
    items = coded(SignCodes(), np.ones((3, 8), np.float32))
    none = items.take(np.zeros(0, np.int64))
    assert open_index(items).search(none, 2).positions.shape == (0, 2)
    assert len(open_index(items).search_threshold(none, 0.0)) == 0


def test_misuse_is_explained() -> None:
    items = coded(SignCodes(), np.ones((3, 8), np.float32))
    index = open_index(items)
    with pytest.raises(UsageError, match="k is too small; expected at least 1; got 0"):
        index.search(items, 0)
    with pytest.raises(UsageError, match="differ in dimension; expected 8; got 16"):
        index.search(coded(SignCodes(), np.ones((1, 16), np.float32)), 1)
    with pytest.raises(UsageError, match="expected 3 x 3; got 2 x 3"):
        index.search(items, 1, exclude=Csr.empty(2, 3))
    with pytest.raises(HashrecError, match="unknown engine 'fsat'; expected one of dense"):
        open_index(items, "fsat")
    with pytest.raises(ValueError, match="not floats of 32 bits"):
        ENGINES["scan"](coded(FloatCodes(), np.ones((3, 8), np.float32)))
    with pytest.raises(ValueError, match="need float codes, not 1 bits"):
        ENGINES["dense"](items)


def test_sums_that_would_overflow_are_refused() -> None:
    wide = np.ones((1, 40_000), np.float32)
    items = coded(IntCodes(bits=8, clip="max"), wide)
    with pytest.raises(UsageError, match="overflow 32-bit sums. Use fewer dimensions"):
        open_index(items).search(items, 1)
    huge = coded(FloatCodes(), np.full((2, 4), 3e38, np.float32))
    with pytest.raises(UsageError, match="products overflow float32"):
        open_index(huge).search(huge, 1)


def test_popcount_is_the_number_of_ones() -> None:
    import numba

    from hashrec.search.popcount import popcount

    count = numba.njit(lambda word: popcount(word))
    rng = np.random.default_rng(0)
    words = [0, 1, 2**63, 2**64 - 1, *rng.integers(0, 2**63, 20).tolist()]
    assert [count(np.uint64(word)) for word in words] == [word.bit_count() for word in words]
