"""Metrics of single users at every cut, in expectation over the orders of tied items.

With p(rank) the probability of a relevant item there, q(rank) the same given none above, |T| the
number of test items, and R, I the hits for recall 1 and NDCG 1 that the protocol names:

    hits@K      = sum_{rank<=K} p(rank)
    recall@K    = hits / R               precision@K = hits / K
    f1@K        = 2 hits / (K + R)       the harmonic mean of the two, which is linear in hits
    ndcg@K      = sum_{rank<=K} p(rank) / log2(rank + 1)  /  sum_{rank<=I} 1 / log2(rank + 1)
    none@K      = prod_{rank<=K} (1 - q(rank))
    hit_rate@K  = 1 - none@K             at least one hit
    mrr@K       = sum_{rank<=K} none@(rank-1) q(rank) / rank
    tie_rate@K  = 1 where the cut parts a group of equal scores, else 0
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hashrec.evaluation.protocols import Protocol
from hashrec.evaluation.ties import ExpectedRanks

__all__ = ["USER_METRICS", "user_metrics"]

Floats = npt.NDArray[np.float64]

USER_METRICS = ("recall", "precision", "ndcg", "f1", "mrr", "hit_rate", "tie_rate")


def user_metrics(
    ranks: ExpectedRanks, sizes: npt.NDArray[np.int64], *, ks: Sequence[int], protocol: Protocol
) -> Iterator[tuple[str, Floats]]:
    """Each key (`recall@20`) with its (n_users,) float64 values, cut by cut.

    `sizes` (n_users,) are the |T|, at least 1 each: a user without test items has no recall.
    The cuts `ks` lie in [1, depth of `ranks`]. A list that ends before K has misses behind its end.
    """
    rank = np.arange(1, ranks.relevant.shape[1] + 1)
    discount = 1.0 / np.log2(rank + 1)
    hits = ranks.relevant.cumsum(axis=1)
    gain = (ranks.relevant * discount).cumsum(axis=1)
    ideal_gain = np.concatenate([[0.0], discount.cumsum()])  # by the number of ideal hits
    none = (1.0 - ranks.first).cumprod(axis=1)
    reciprocal = (_first_hit(ranks.first, none) / rank).cumsum(axis=1)

    for k in ks:
        cut, full = k - 1, protocol.recall_hits(sizes, k)
        yield f"recall@{k}", hits[:, cut] / full
        yield f"precision@{k}", hits[:, cut] / k
        yield f"ndcg@{k}", gain[:, cut] / ideal_gain[protocol.ideal_hits(sizes, k)]
        yield f"f1@{k}", 2.0 * hits[:, cut] / (k + full)
        yield f"mrr@{k}", reciprocal[:, cut]
        yield f"hit_rate@{k}", 1.0 - none[:, cut]
        yield f"tie_rate@{k}", ranks.parted[:, cut].astype(np.float64)


def _first_hit(first: Floats, none: Floats) -> Floats:
    """(n_users, depth) the probability that the first hit stands at each rank."""
    reached = np.ones_like(none)
    reached[:, 1:] = none[:, :-1]
    return reached * first
