"""Inverted lists: what they hold, what is scanned, and what a query may miss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from search_cases import assert_same_top, case, encoded

from hashrec.codes import Codes, SignCodes
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.search import ENGINES, IvfIndex, open_index
from hashrec.search.ivf import Lists
from hashrec.search.lists import cluster


def grouped(n: int, groups: int, seed: int, noise: float = 0.3) -> tuple[Codes, Codes, Any]:
    """Items and queries around far centres, and each item's group."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((groups, 32)) * 2
    labels = rng.integers(0, groups, n)
    vectors = centres[labels] + noise * rng.standard_normal((n, 32))
    queries = centres[:9] + noise * rng.standard_normal((9, 32))
    made = encoded("int4", vectors.astype(np.float32))
    return made, encoded("float32", queries.astype(np.float32)), labels


def test_only_this_engine_is_approximate() -> None:
    assert [name for name, engine in ENGINES.items() if not engine.exact] == ["ivf"]


def test_lists_hold_every_item_once_in_order() -> None:
    items, _, labels = grouped(500, 12, 0)
    lists = Lists.of(items, labels * 3 + 7)
    assert len(lists.centres) == len(lists.offsets) - 1 == len(np.unique(labels))
    assert sorted(lists.order.tolist()) == list(range(500))
    for place in range(len(lists.centres)):
        mine = lists.order[lists.offsets[place] : lists.offsets[place + 1]]
        assert (np.diff(mine) > 0).all()
        assert len(np.unique(labels[mine])) == 1
        mean = items.take(mine).decode().mean(axis=0)
        centre = lists.centres.take(np.array([place])).decode()[0]
        assert np.abs(centre - mean).max() <= 1.01 * np.abs(mean).max() / 15
    assert np.array_equal(lists.codes.data, items.data[lists.order])


@pytest.mark.parametrize("probes", [1, 3, 8])
def test_a_search_finds_the_best_of_the_lists_it_probes(probes: int) -> None:
    """The oracle over the items of those lists, whatever is excluded or forbidden."""
    items, queries, labels = grouped(3_000, 20, 1, noise=2.0)
    rng = np.random.default_rng(2)
    index = IvfIndex(items, labels, probes=probes)
    exclude = Csr.from_pairs(
        rng.integers(0, 9, 900), rng.integers(0, 3_000, 900), n_rows=9, n_columns=3_000
    )
    allow = rng.random(3_000) < 0.7
    means = index.lists.centres.decode()
    ranked = np.argsort(-(queries.decode() @ means.T), axis=1, kind="stable")[:, :probes]
    names = np.unique(labels)
    oracle = open_index(items, "exact")
    for row in range(9):
        alone = np.array([row])
        inside = np.isin(labels, names[ranked[row]])
        for may in (None, allow):
            wanted = inside if may is None else inside & may
            asked: dict[str, Any] = {"exclude": exclude.take(alone)}
            found = index.search(queries.take(alone), 25, allow=may, **asked)
            assert_same_top(found, oracle.search(queries.take(alone), 25, allow=wanted, **asked))
            bar = float(found.scores[0, 5])
            hits = index.search_threshold(queries.take(alone), bar, allow=may, **asked)
            expected = oracle.search_threshold(queries.take(alone), bar, allow=wanted, **asked)
            assert hits.positions.tolist() == expected.positions.tolist()
            assert hits.totals.tolist() == expected.totals.tolist()
    pairs = Csr.from_lists([[0, 7, 2_999]] * 9, n_columns=3_000)
    assert index.score(queries, pairs).tobytes() == oracle.score(queries, pairs).tobytes()


def test_items_that_lie_together_are_found_in_one_list() -> None:
    items, queries, _ = grouped(20_000, 30, 3)
    index = IvfIndex(items, 60, probes=8)
    exact = open_index(items, "exact").search(queries, 100)
    recall = index.recall(queries, exact)
    assert recall[7] > 0.99
    assert recall[-1] == 1
    assert (np.diff(recall) >= 0).all()
    found = index.search(queries, 100)
    shared = [
        len(np.intersect1d(*pair)) for pair in zip(found.positions, exact.positions, strict=True)
    ]
    assert sum(shared) / 900 == pytest.approx(recall[7])
    assert index.with_probes(60).probes == 60
    assert index.probes == 8
    assert_same_top(index.with_probes(60).search(queries, 100), exact)
    assert index.work.guessed > 0
    assert index.work.checked < 9 * 20_000 / 4


def test_one_query_on_many_threads_is_the_batch() -> None:
    items, queries, _ = grouped(4_000, 40, 4, noise=1.0)
    index = IvfIndex(items, 40, probes=12)
    together = index.search(queries, 30)
    assert index._splits(1, None) > 1 == index._splits(9_999, None)
    for row in range(9):
        alone = index.search(queries.take(np.array([row])), 30)
        assert alone.positions[0].tolist() == together.positions[row].tolist()
        assert alone.ties[0] == together.ties[row]


def test_clusters() -> None:
    items, _, labels = grouped(2_000, 10, 5, noise=0.1)
    found = cluster(items, 40, seed=0)
    assert found.dtype == np.int32
    assert np.array_equal(found, cluster(items, 40, seed=0))
    assert not np.array_equal(found, cluster(items, 40, seed=1))
    assert found.min() >= 0
    assert found.max() < 40
    for label in np.unique(found):  # forty far from ten: none spans two groups
        assert len(np.unique(labels[found == label])) == 1
    # Each item is with the nearest mean of its own clustering, but for what the sample left.
    vectors = items.decode()
    means = np.stack([vectors[found == label].mean(axis=0) for label in np.unique(found)])
    nearest = ((vectors[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (np.unique(found)[nearest] == found).mean() > 0.95


def test_as_many_lists_as_items_and_one_for_all() -> None:
    found = case(6, "sign", "float32", n_items=20, n_queries=3, dim=9)
    exact = open_index(found.items, "exact").search(found.queries, 5, exclude=found.exclude)
    for lists in (1, 20, 100):
        index = IvfIndex(found.items, lists, probes=100)
        assert_same_top(index.search(found.queries, 5, exclude=found.exclude), exact)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lists": 0}, "lists is too small; expected at least 1; got 0"),
        ({"lists": True}, "lists is no number of items; expected at least 1; got True"),
        ({"lists": 2.5}, "lists is no number of items"),
        ({"probes": 0}, "probes is too small; expected at least 1; got 0"),
        ({"probes": 1.5}, "probes is no number of items"),
        ({"lists": np.zeros(20)}, r"labels do not match items; .* got \(20,\) float64"),
        (
            {"lists": np.zeros(3, int)},
            r"labels do not match items; expected \(20,\) integers; got \(3,\)",
        ),
    ],
)
def test_refused(options: dict[str, Any], words: str) -> None:
    found = case(6, "sign", "float32", n_items=20, n_queries=3, dim=9)
    with pytest.raises(UsageError, match=words):
        IvfIndex(found.items, **options)
    with pytest.raises(ValueError, match="ivf reads packed codes, not floats of 32 bits"):
        IvfIndex(found.queries)


def test_lists_of_other_items_are_refused() -> None:
    """Bug: offsets that did not fit were followed out of the array."""
    found = case(6, "sign", "float32", n_items=20, n_queries=3, dim=9)
    lists = IvfIndex(found.items, 3).lists
    with pytest.raises(UsageError, match="lists hold other items; expected 12; got 20"):
        IvfIndex(found.items.take(np.arange(12)), lists)
    wrong = Lists(lists.codes, lists.order, lists.offsets + 3, lists.centres)
    with pytest.raises(ValueError, match="offsets of lists do not rise from 0 to 20"):
        IvfIndex(found.items, wrong)


def test_recall_of_vectors_is_that_of_their_codes() -> None:
    """Bug: vectors were not turned as the items are."""
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((500, 16)).astype(np.float32)
    index = IvfIndex(SignCodes().encode(vectors), 20)
    queries = rng.standard_normal((30, 16)).astype(np.float32)
    exact = open_index(SignCodes().encode(vectors)).search(queries, 10)
    recall = index.recall(queries, exact)
    for probes in (1, 5):
        found = index.with_probes(probes).search(queries, 10)
        pairs = zip(found.positions, exact.positions, strict=True)
        shared = sum(len(np.intersect1d(*pair)) for pair in pairs)
        assert recall[probes - 1] == pytest.approx(shared / 300)
    with pytest.raises(UsageError, match="found is of other queries; expected 7; got 30"):
        index.recall(queries[:7], exact)
    other = index.with_probes(2)
    other.search(queries, 3)
    assert other.work.queries == 30
    assert index.work.queries == 0


def test_many_dimensions_have_means_too() -> None:
    found = case(9, "sign", "float32", n_items=40, n_queries=3, dim=8_200)
    index = IvfIndex(found.items, 4, probes=4)
    exact = open_index(found.items, "exact").search(found.queries, 5)
    assert_same_top(index.search(found.queries, 5), exact)
