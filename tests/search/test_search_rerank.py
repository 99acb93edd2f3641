"""Two stages: candidates by codes, their order by better vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.codes import FloatCodes, SignCodes
from hashrec.csr import Csr
from hashrec.search import open_index, rerank


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
