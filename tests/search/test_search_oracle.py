"""The judge is judged: brute force in plain Python on cases small enough to follow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_cases import EXCLUSIONS, KINDS, STYLES, case, encoded, scores_by_hand, top_by_hand

from hashrec.csr import Csr
from hashrec.search import open_index


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    queries=st.sampled_from(list(KINDS)),
    n_items=st.integers(1, 7),
    n_queries=st.integers(1, 3),
    dim=st.integers(1, 9),
    k=st.integers(1, 9),
    style=st.sampled_from(STYLES),
    share=st.sampled_from(EXCLUSIONS),
)
def test_against_brute_force(
    kind: str, seed: int, queries: str, n_items: int, n_queries: int, dim: int, k: int, style: str,
    share: str,
) -> None:  # fmt: skip
    found = case(seed, kind, queries, n_items=n_items, n_queries=n_queries, dim=dim, style=style,
                 share=share)  # fmt: skip
    index = open_index(found.items, "exact")
    table = scores_by_hand(found.items, found.queries)
    top = index.search(found.queries, k, exclude=found.exclude)
    width = min(k, n_items)
    assert top.positions.shape == top.scores.shape == (n_queries, width)
    for row, scores in enumerate(table):
        seen = set(found.seen.row(row).tolist())
        positions, best, ties = top_by_hand(scores, seen, k)
        count = len(positions)
        assert top.counts[row] == count == min(width, n_items - len(seen))
        assert top.positions[row].tolist() == positions + [-1] * (width - count)
        assert top.scores[row].tolist() == best + [-np.inf] * (width - count)
        assert top.ties[row] == ties

        threshold = sorted(scores)[n_items // 2]
        hits = index.search_threshold(found.queries, threshold, exclude=found.exclude)
        everything, all_scores, _ = top_by_hand(scores, seen, n_items)
        wanted = [item for item in everything if scores[item] >= threshold]
        mine = slice(hits.offsets[row], hits.offsets[row + 1])
        assert hits.positions[mine].tolist() == wanted
        assert hits.scores[mine].tolist() == all_scores[: len(wanted)]


def test_by_hand() -> None:
    items = encoded("float32", np.array([[1, 0], [0, 1], [1, 1], [1, 1], [2, 0]], np.float32))
    queries = encoded("float32", np.array([[1, 2], [-1, 0]], np.float32))
    top = open_index(items, "exact").search(
        queries, 3, exclude=Csr.from_lists([[2], [0, 1, 2, 4]], n_columns=5)
    )
    assert top.positions.tolist() == [[3, 1, 4], [3, -1, -1]]
    assert top.scores.tolist() == [[3, 2, 2], [-1, -np.inf, -np.inf]]
    assert top.counts.tolist() == [3, 1]
    assert top.ties.tolist() == [0, 0]
    top = open_index(items, "exact").search(queries, 1)
    assert top.positions.tolist() == [[2], [1]]
    assert top.ties.tolist() == [1, 0]


def test_sign_codes_by_hand() -> None:
    """Agreements less disagreements, times both scales."""
    items = encoded("sign", np.array([[3, 3, -3], [-1, 1, 1]], np.float32))
    queries = encoded("sign", np.array([[2, 2, 2]], np.float32))
    top = open_index(items, "exact").search(queries, 2)
    assert top.positions.tolist() == [[0, 1]]
    assert top.scores.tolist() == [[6, 2]]


def test_scoring_no_queries() -> None:
    """Bug: the oracle stacked one row a query, and could not stack none."""
    items = encoded("int4", np.ones((3, 4), np.float32))
    queries = encoded("float32", np.ones((0, 4), np.float32))
    assert open_index(items, "exact").score(queries, Csr.empty(0, 3)).shape == (0,)
