"""Keys of scores and positions, and the best of a stream of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.search.heap import contains, finish, key_of, offer, score_of, unpack

FLOATS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 2.0**-149, -(2.0**-149), float("inf"), -float("inf")]),
    st.floats(width=32, allow_nan=False).map(lambda score: score + 0.0),
)
PLACES = st.integers(0, 2**31 - 1)


SETTLED = settings(deadline=None)  # the first example compiles


def key(score: float, position: int) -> int:
    return int(key_of(np.float32(score), position))


@SETTLED
@given(st.lists(st.tuples(FLOATS, PLACES), min_size=1, max_size=20))
def test_keys_rise_with_scores_and_fall_with_positions(pairs: list[tuple[float, int]]) -> None:
    keys = np.array([key(*pair) for pair in pairs])
    by_key = [pairs[place] for place in np.argsort(-keys, kind="stable")]
    assert by_key == sorted(pairs, key=lambda pair: (-pair[0], pair[1]))


@SETTLED
@given(FLOATS, st.one_of(PLACES, st.just(-1)))
def test_what_went_into_a_key_comes_out(score: float, position: int) -> None:
    made = key(score, position)
    assert score_of(np.int64(made)) == np.float32(score)
    positions, scores = unpack(np.array([made]))
    assert (positions.tolist(), scores.tolist()) == ([position], [score])
    assert (positions.dtype, scores.dtype) == (np.int32, np.float32)


@SETTLED
@given(
    st.lists(st.tuples(st.integers(-2, 2), PLACES), max_size=40, unique_by=lambda pair: pair[1]),
    st.integers(1, 12),
)
def test_the_best_of_a_stream_and_what_ties_with_the_worst(
    pairs: list[tuple[int, int]], k: int
) -> None:
    heap, count, ties = np.zeros(k, np.int64), 0, 0
    for score, position in pairs:
        count, ties = offer(heap, count, ties, np.int64(key(score, position)))
    finish(heap, count)
    ordered = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
    positions, scores = unpack(heap)
    best = [
        (int(score), int(place))
        for score, place in zip(scores[:count], positions[:count], strict=True)
    ]
    assert best == ordered[:k]
    assert ties == sum(score == best[-1][0] for score, _ in ordered[k:])
    assert (positions[count:] == -1).all() and (scores[count:] == -np.inf).all()


@SETTLED
@given(st.sets(st.integers(0, 30)), st.integers(0, 30))
def test_contains(row: set[int], position: int) -> None:
    assert contains(np.array(sorted(row), np.int32), position) == (position in row)
