"""Two stages: candidates by codes, their order by better vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.codes import FloatCodes, SignCodes
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.search import TwoStage, load_index, open_index, rerank, save_index


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_items=st.integers(1, 30),
    depth=st.integers(1, 40),
    k=st.integers(1, 12),
    few=st.booleans(),
)
def test_by_loops(seed: int, n_items: int, depth: int, k: int, few: bool) -> None:
    rng = np.random.default_rng(seed)
    items: npt.NDArray[np.float32] = rng.standard_normal((n_items, 8)).astype(np.float32)
    if few:  # equal scores
        items = np.sign(items)
    users = rng.standard_normal((5, 8)).astype(np.float32)
    exclude = Csr.from_lists(
        [sorted(set(rng.integers(0, n_items, 4).tolist())) for _ in range(5)], n_columns=n_items
    )
    codes, floats = SignCodes(rotation="none").encode(items), FloatCodes().encode(items)
    queries, index = FloatCodes().encode(users), open_index(floats)
    first = open_index(codes).search(queries, max(depth, k), exclude=exclude)
    found = rerank(first, index, queries, k)
    for row in range(5):
        listed = first.positions[row][: first.counts[row]].tolist()
        scores = {item: np.float32((users[row].astype(float) * items[item]).sum())
                  for item in listed}  # fmt: skip
        wanted = sorted(listed, key=lambda item: (-scores[item], item))[:k]
        n = int(found.counts[row])
        assert n == len(wanted)
        assert found.scores[row, :n].tolist() == [float(scores[item]) for item in wanted]
        assert found.positions[row, :n].tolist() == wanted
        assert (found.positions[row, n:] == -1).all()
        assert np.isneginf(found.scores[row, n:]).all()
    assert found.ties.tolist() == [0] * 5


def test_as_many_candidates_as_items_give_what_the_second_stage_finds() -> None:
    rng = np.random.default_rng(0)
    items = rng.standard_normal((50, 16)).astype(np.float32)
    queries = FloatCodes().encode(rng.standard_normal((9, 16)).astype(np.float32))
    index = open_index(FloatCodes().encode(items))
    first = open_index(SignCodes(rotation="none").encode(items)).search(queries, 50)
    best, found = index.search(queries, 7), rerank(first, index, queries, 7)
    assert found.positions.tobytes() == best.positions.tobytes()
    assert found.scores.tobytes() == best.scores.tobytes()


def test_two_stages_asked_like_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((400, 16)).astype(np.float32)
    queries = rng.standard_normal((6, 16)).astype(np.float32)
    allow = rng.random(400) < 0.6
    exclude = Csr.from_pairs(
        rng.integers(0, 6, 90), rng.integers(0, 400, 90), n_rows=6, n_columns=400
    )
    signs = open_index(SignCodes().encode(vectors))
    save_index(open_index(FloatCodes(bits=16).encode(vectors)), tmp_path / "floats")
    floats = load_index(tmp_path / "floats")
    both = TwoStage(signs, floats, 40)
    found = both.search(queries, 5, exclude=exclude, allow=allow)
    first = signs.search(queries, 40, exclude=exclude, allow=allow)
    again = rerank(first, floats, FloatCodes().encode(queries), 5)
    assert found.positions.tolist() == again.positions.tolist()
    assert found.scores.tobytes() == again.scores.tobytes()
    assert allow[found.positions].all()
    given = FloatCodes().quantise(signs.codes.rotation.apply(queries), signs.codes.rotation)
    pair = both.search((given, FloatCodes().encode(queries)), 5, exclude=exclude, allow=allow)
    assert pair.positions.tolist() == found.positions.tolist()
    # All of the first stage ranked anew is the second alone.
    whole = TwoStage(signs, floats, 400).search(queries, 7, exclude=exclude)
    alone = floats.search(queries, 7, exclude=exclude)
    assert whole.positions.tolist() == alone.positions.tolist()
    # The mapped floats were read where they were needed, not decoded whole.
    fresh = load_index(tmp_path / "floats")
    TwoStage(signs, fresh, 40).search(queries, 5)
    assert "_items" not in vars(fresh)
    assert "_items" in vars(floats)  # the second alone was asked, above


def test_two_stages_refused() -> None:
    one, other = (open_index(SignCodes().encode(np.ones((n, 4), np.float32))) for n in (3, 4))
    with pytest.raises(UsageError, match="hold different items; expected 3 in both; got 4"):
        TwoStage(one, other, 5)
    with pytest.raises(UsageError, match="depth is too small; expected at least 1; got 0"):
        TwoStage(one, one, 0)
