"""What training asks of search: how good its vectors are, and which items are hard for whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from hashrec.codes import FloatCodes, SignCodes
from hashrec.csr import Csr
from hashrec.evaluation import evaluate, ranking_of
from hashrec.interactions import Interactions
from hashrec.learning.task import Watch
from hashrec.search import open_index

__all__ = ["hardest", "some_of", "watcher"]

Vectors = npt.NDArray[np.float32]

_K = 20
_SOME = 10_000  # enough users to see a change of a metric's third digit


def some_of(users: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """These ascending positions, or 10,000 of them, drawn once, where there are more."""
    if len(users) <= _SOME:
        return users
    return np.sort(np.random.default_rng(seed).choice(users, _SOME, replace=False))


def watcher(seed: int) -> Callable[[Interactions, Interactions], Watch]:
    """How training measures vectors: recall@20 and NDCG@20 of all, or of some, users."""

    def watching(train: Interactions, valid: Interactions) -> Watch:
        rows = some_of(np.flatnonzero(valid.matrix.lengths), seed)
        seen, truth = train.matrix.take(rows), valid.matrix.take(rows)
        coder = FloatCodes()

        def watch(users: Vectors, items: Vectors) -> Mapping[str, float]:
            index, queries = open_index(coder.encode(items)), coder.encode(users[rows])
            found = index.search(queries, _K, exclude=seen)
            ranking = ranking_of(index, found, _K, queries, seen, truth)
            report = evaluate(ranking, truth, truth.lengths, ks=[_K], n_items=train.n_items)
            return {key: report.metrics[key] for key in (f"recall@{_K}", f"ndcg@{_K}")}

        return watch

    return watching


def hardest(users: Vectors, items: Vectors, seen: Csr, k: int) -> npt.NDArray[np.int32]:
    """(n_users, k) the best unseen items by one-bit codes; -1 where there are no more."""
    coder = SignCodes()
    index = open_index(coder.encode(items))
    found = index.search(coder.encode(users), k, exclude=seen)
    missing = k - found.positions.shape[1]
    return np.pad(found.positions, ((0, 0), (0, missing)), constant_values=-1)
