"""The slow, obvious version: sort everything, try every order of tied items, average.

Written from the definitions on full score vectors, and sharing no arithmetic with the fast path.
It is what the tests compare with, and it may serve to settle a doubt by hand.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.evaluation.protocols import Protocol
from hashrec.evaluation.ranking import Ranking

__all__ = ["every_order", "expected_metrics", "list_metrics", "rank_everything"]


def rank_everything(scores: npt.NDArray[np.float32], seen: Csr, truth: Csr, *, k: int) -> Ranking:
    """The ranking an exact search returns, from all scores (n_users, n_items) by full sorts."""
    n_users, n_items = scores.shape
    positions = np.full((n_users, k), -1, np.int32)
    kept = np.zeros((n_users, k), np.float32)
    counts, ties, relevant_ties = np.zeros((3, n_users), np.int64)
    for user in range(n_users):
        unseen = sorted(set(range(n_items)) - set(seen.row(user).tolist()))
        order = sorted(unseen, key=lambda item: (-scores[user, item], item))
        best, rest = order[:k], order[k:]
        level = [item for item in rest if scores[user, item] == scores[user, best[-1]]]
        positions[user, : len(best)] = best
        kept[user, : len(best)] = scores[user, best]
        counts[user], ties[user] = len(best), len(level)
        relevant_ties[user] = len(set(level) & set(truth.row(user).tolist()))
    return Ranking(positions, kept, counts, ties, relevant_ties)


def expected_metrics(
    scores: Sequence[float],
    seen: Collection[int],
    relevant: Collection[int],
    *,
    size: int,
    k: int,
    protocol: Protocol,
) -> dict[str, float]:
    """One user's metrics at cut `k`, averaged over every order of tied items.

    The keys are `recall` and its like, without `@k`. `size` is |T|, at least 1. The number of
    orders is the product of factorials of the sizes of tie groups: for tiny cases only.
    """
    orders = list(every_order(scores, seen))
    measured = [
        list_metrics(order[:k], relevant, size=size, k=k, protocol=protocol) for order in orders
    ]
    means = {key: math.fsum(one[key] for one in measured) / len(orders) for key in measured[0]}
    chance_decides = len({frozenset(order[:k]) for order in orders}) > 1
    return {**means, "tie_rate": float(chance_decides)}


def every_order(scores: Sequence[float], seen: Collection[int]) -> Iterator[list[int]]:
    """Every ranking of the unseen items with falling scores; one empty one if all are seen."""
    unseen = [item for item in range(len(scores)) if item not in seen]
    levels = sorted({scores[item] for item in unseen}, reverse=True)
    groups = [[item for item in unseen if scores[item] == level] for level in levels]
    for choice in itertools.product(*map(itertools.permutations, groups)):
        yield [item for group in choice for item in group]


def list_metrics(
    top: Sequence[int], relevant: Collection[int], *, size: int, k: int, protocol: Protocol
) -> dict[str, float]:
    """The metrics of one list of at most `k` items, as the textbooks define them."""
    hit_ranks = [rank for rank, item in enumerate(top, start=1) if item in relevant]
    recall_hits = min(k, size) if protocol.recall_capped else size
    ideal_hits = min(k, size) if protocol.ideal_capped else k
    precision, recall = len(hit_ranks) / k, len(hit_ranks) / recall_hits
    return {
        "recall": recall,
        "precision": precision,
        "ndcg": _dcg(hit_ranks) / _dcg(range(1, ideal_hits + 1)),
        "f1": 2 * precision * recall / (precision + recall) if hit_ranks else 0.0,
        "mrr": 1 / hit_ranks[0] if hit_ranks else 0.0,
        "hit_rate": float(bool(hit_ranks)),
    }


def _dcg(hit_ranks: Collection[int]) -> float:
    return math.fsum(1 / math.log2(rank + 1) for rank in hit_ranks)
