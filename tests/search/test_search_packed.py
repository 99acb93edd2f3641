"""What engines on packed codes share: the guess, queries with many hits, the work counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from search_cases import assert_same_hits, assert_same_top, case, encoded

from hashrec.codes import Codes, FloatCodes, Rotation
from hashrec.csr import Csr
from hashrec.search import open_index
from hashrec.search.fast import FastIndex
from hashrec.search.packed import PackedIndex, Work
from hashrec.search.scan import ScanIndex

both = pytest.mark.parametrize("engine", [ScanIndex, FastIndex])


@both
def test_a_guess_spares_work_and_changes_nothing(
    engine: type[PackedIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = case(1, "sign", "float32", n_items=20_000, n_queries=9, dim=64)
    guessing = engine(found.items)
    top = guessing.search(found.queries, 30, exclude=found.exclude)
    monkeypatch.setattr("hashrec.search.packed._SAMPLED", 10**9)
    plain = engine(found.items)
    assert_same_top(top, plain.search(found.queries, 30, exclude=found.exclude))
    assert (guessing.work.queries, guessing.work.guessed) == (9, 9)
    assert plain.work.guessed == plain.work.again == 0
    if engine is FastIndex:
        assert 9 * 30 <= guessing.work.checked < plain.work.checked < 9 * 2_000


@both
def test_a_guess_too_high_is_noticed(engine: type[PackedIndex]) -> None:
    """All good items stand where the sample looks, so it takes them for many; they are few."""
    vectors = np.full((16_000, 8), -1.0, np.float32)
    rng = np.random.default_rng(0)
    index = engine(encoded("bare sign", vectors))
    vectors[index._sample[:50]] = 1
    index = engine(encoded("bare sign", vectors))
    queries = encoded("float32", rng.random((3, 8), np.float32) + 1)
    top = index.search(queries, 60)
    assert_same_top(top, open_index(index.codes, "exact").search(queries, 60))
    assert (index.work.guessed, index.work.again) == (3, 3)


@both
def test_no_guess_where_the_sample_is_all_excluded(engine: type[PackedIndex]) -> None:
    found = case(2, "sign", "float32", n_items=9_000, n_queries=2, dim=16, share="none")
    exclude = Csr.from_lists(
        [np.flatnonzero(np.arange(9_000) % 128 < 8).tolist()] * 2, n_columns=9_000
    )
    index = engine(found.items)
    top = index.search(found.queries, 5, exclude=exclude)
    oracle = open_index(found.items, "exact")
    assert_same_top(top, oracle.search(found.queries, 5, exclude=exclude))
    assert index.work == Work(queries=2, guessed=0, again=0, checked=index.work.checked)


@both
def test_queries_with_many_hits_among_queries_with_few(engine: type[PackedIndex]) -> None:
    found = case(3, "int4", "float32", n_items=9_000, n_queries=40, dim=20)
    scores = np.sort(open_index(found.items, "exact").score(
        found.queries, Csr.from_lists([list(range(9_000))] * 40, n_columns=9_000)
    ).reshape(40, -1))  # fmt: skip
    wanted = np.resize([3, 256, 257, 8_000], 40)
    thresholds = scores[np.arange(40), -wanted]
    index, oracle = engine(found.items), open_index(found.items, "exact")
    hits = index.search_threshold(found.queries, thresholds)
    assert_same_hits(hits, oracle.search_threshold(found.queries, thresholds))
    assert hits.totals.tolist() == wanted.tolist()
    few = index.search_threshold(found.queries, thresholds, limit=5)
    assert_same_hits(few, hits.first(5))
    assert np.diff(few.offsets).tolist() == np.minimum(wanted, 5).tolist()


@both
def test_sums_beyond_the_middle_of_int32(engine: type[PackedIndex]) -> None:
    """Nearly all of a query in one dimension: twice its weight leaves int32, the score does not."""
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((300, 12)).astype(np.float32)
    spikes = np.zeros((4, 12), np.float32)
    spikes[np.arange(4), [0, 5, 11, 3]] = [1, -1, 1, 1e-30]
    for kind in ("sign", "int2", "int5", "int8"):
        items = encoded(kind, vectors)
        for queries in (encoded("float32", spikes), encoded("float32", spikes + 1e-3)):
            top = engine(items).search(queries, 20)
            assert_same_top(top, open_index(items, "exact").search(queries, 20))


@both
@pytest.mark.parametrize("n_items", [8_192, 9_001, 20_000])
def test_the_sample_is_a_sixteenth_in_runs(engine: type[PackedIndex], n_items: int) -> None:
    index = engine(encoded("sign", np.ones((n_items, 4), np.float32)))
    sample = index._sample
    assert sample.dtype == np.int32
    assert (np.diff(sample) > 0).all()
    assert 0 <= sample[0] <= sample[-1] < n_items
    assert len(sample) == pytest.approx(n_items / 16, abs=8)
    assert (sample.reshape(-1, 8)[:, 7] - sample.reshape(-1, 8)[:, 0] == 7).all()


@both
def test_more_queries_than_a_block_holds(engine: type[PackedIndex]) -> None:
    found = case(11, "sign", "float32", n_items=50, n_queries=2_100, dim=9)
    index, oracle = engine(found.items), open_index(found.items, "exact")
    top = index.search(found.queries, 7, exclude=found.exclude)
    assert_same_top(top, oracle.search(found.queries, 7, exclude=found.exclude))


@both
def test_one_that_wants_everything_takes_no_room_for_all(
    engine: type[PackedIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bug: all others with many hits were asked again one by one, with room for a catalogue."""
    found = case(12, "sign", "float32", n_items=9_000, n_queries=20, dim=16, share="none")
    index = engine(found.items)
    thresholds = index.search(found.queries, 300).scores[:, -1].copy()
    thresholds[4] = -np.inf
    expected = open_index(found.items, "exact").search_threshold(found.queries, thresholds)
    calls: list[tuple[int, int]] = []
    before = index._hits

    def counted(queries: Any, floors: Any, exclude: Any, rows: Any, places: int) -> Any:
        calls.append((len(queries), places))
        return before(queries, floors, exclude, rows, places)

    monkeypatch.setattr(index, "_hits", counted)
    assert_same_hits(index.search_threshold(found.queries, thresholds), expected)
    assert [n for n, _ in calls] == [20, 19, 1]
    assert calls[1][1] < 600
    assert calls[2][1] == 9_000


@pytest.mark.parametrize("engine", ["exact", "scan", "fast", "ivf"])
@pytest.mark.parametrize("bits", ["floats", "bits"])
def test_items_without_length_tie_whatever_their_bits(engine: str, bits: str) -> None:
    """Their sums have signs, their scores have none."""
    rows = np.array([[0x00], [0xFF], [0x00], [0xFF]], np.uint8)
    space = Rotation("none", 8, 0)
    items = Codes(rows, 1, 8, np.array([0, 0, 1, 1], np.float32), space)
    ones = FloatCodes().quantise(np.ones((1, 8), np.float32), space)
    queries = ones if bits == "floats" else Codes(rows[1:2], 1, 8, None, space)
    top = open_index(items, engine).search(queries, 2)
    assert top.positions.tolist() == [[3, 0]]
    assert top.ties.tolist() == [1]
    assert not np.signbit(top.scores).any()
