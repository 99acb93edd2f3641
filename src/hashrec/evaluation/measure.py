"""Measuring: from rankings and test items to a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.evaluation.metrics import USER_METRICS, user_metrics
from hashrec.evaluation.protocols import Protocol, protocol_named
from hashrec.evaluation.ranking import Ranking
from hashrec.evaluation.report import Report
from hashrec.evaluation.ties import expected_ranks

__all__ = ["evaluate"]

Floats = npt.NDArray[np.float64]

# Users measured at a time: bounds the memory, and at k = 100 each array at work is a few megabytes.
BLOCK = 4096


def evaluate(
    ranking: Ranking,
    truth: Csr,
    sizes: npt.NDArray[np.int64],
    *,
    ks: Sequence[int],
    protocol: str = "lightgcn",
    n_items: int,
) -> Report:
    """Measure a ranking against the users' test items.

    Metrics are expectations over uniformly random orders of the items with equal scores, in closed
    form (`hashrec.evaluation.ties`, `hashrec.evaluation.metrics`), and then means over the users
    with test items. The means are correctly rounded sums, so the order of users cannot be seen.

    Two are not such means. `coverage@K` is the share of the `n_items` that stand in at least one
    list's top K as served: of all users in the ranking, with tied items in position order, 0
    without items. `f1@K` under the protocol `hashlgn` is 2PR / (P + R) of the means P and R, 0
    where both are 0.

    Args:
        ranking: what the search found.
        truth: (n_users x n_items) the test items of each user, rows aligned with the ranking.
        sizes: (n_users,) int64, |T| of each user: at least the row length of `truth`, more where
            test items are unknown to the model; those count as misses. A user with 0 is left out
            of the means and counted in `users_without_test`.
        ks: the cuts, positive and distinct, none above `ranking.k`.
        protocol: a name in `PROTOCOLS`.
        n_items: how many items the model knows.

    Raises:
        UsageError: an unknown protocol, wrong cuts, arguments that do not fit one another, or no
            user with test items at all, for then there is no mean.
    """
    rules = protocol_named(protocol)
    cuts = _checked_cuts(ks, ranking.k)
    _check_fit(ranking, truth, sizes, n_items)
    evaluated = np.flatnonzero(sizes > 0)
    if len(evaluated) == 0:
        raise UsageError("no user has a test item, so there is nothing to evaluate")

    per_user = _per_user(ranking, truth, sizes, evaluated, cuts, rules)
    means = {key: _mean(values[evaluated]) for key, values in per_user.items()}
    if rules.f1_of_means:
        means.update(_f1_of_means(means, cuts))
    means.update(_coverage(ranking, cuts, n_items))
    names = (*USER_METRICS[:-1], "coverage", USER_METRICS[-1])
    return Report(
        metrics={f"{name}@{k}": means[f"{name}@{k}"] for k in cuts for name in names},
        protocol=rules.name,
        users_evaluated=len(evaluated),
        users_without_test=len(sizes) - len(evaluated),
        per_user=per_user,
    )


def _per_user(
    ranking: Ranking,
    truth: Csr,
    sizes: npt.NDArray[np.int64],
    evaluated: npt.NDArray[np.int64],
    cuts: list[int],
    protocol: Protocol,
) -> dict[str, Floats]:
    """Each metric of each user; NaN for those not evaluated."""
    columns: dict[str, Floats] = {}
    for start in range(0, len(evaluated), BLOCK):
        users = evaluated[start : start + BLOCK]
        ranks = expected_ranks(ranking.take(users), truth.take(users), depth=max(cuts))
        for key, values in user_metrics(ranks, sizes[users], ks=cuts, protocol=protocol):
            columns.setdefault(key, np.full(len(sizes), np.nan))[users] = values
    return columns


def _mean(values: Floats) -> float:
    return math.fsum(values.tolist()) / len(values)


def _f1_of_means(means: dict[str, float], cuts: list[int]) -> dict[str, float]:
    both = {k: (means[f"precision@{k}"], means[f"recall@{k}"]) for k in cuts}
    return {f"f1@{k}": 2 * p * r / (p + r) if p + r else 0.0 for k, (p, r) in both.items()}


def _coverage(ranking: Ranking, cuts: list[int], n_items: int) -> dict[str, float]:
    shares = {}
    for k in cuts:
        served = np.zeros(n_items, dtype=bool)
        served[ranking.positions[:, :k][ranking.filled[:, :k]]] = True
        shares[f"coverage@{k}"] = int(served.sum()) / max(n_items, 1)
    return shares


def _checked_cuts(ks: Sequence[int], limit: int) -> list[int]:
    """The cuts as plain integers."""
    if any(isinstance(k, bool) or not isinstance(k, Integral) for k in ks):
        raise UsageError("a cut is no integer", name="ks", got=repr(list(ks)))
    cuts = [int(k) for k in ks]
    if not cuts or min(cuts) < 1 or len(set(cuts)) < len(cuts):
        raise UsageError("wrong cuts", name="ks", expected="positive, distinct", got=repr(cuts))
    if max(cuts) > limit:
        raise UsageError(
            f"cannot cut at {max(cuts)}",
            name="ks",
            expected=f"at most the {limit} places of the ranking",
            fix="search with a larger k",
        )
    return cuts


def _check_fit(ranking: Ranking, truth: Csr, sizes: npt.NDArray[np.int64], n_items: int) -> None:
    if truth.n_rows != ranking.n_users or sizes.shape != (ranking.n_users,):
        raise UsageError(
            "ranking, truth and sizes are not of the same users",
            got=f"{ranking.n_users}, {truth.n_rows} and {sizes.shape} rows",
        )
    if truth.n_columns != n_items:
        raise UsageError(
            "truth is not of these items", expected=f"{n_items} columns", got=str(truth.n_columns)
        )
    if ranking.positions.size and ranking.positions.max() >= n_items:
        raise UsageError(
            f"the ranking lists position {ranking.positions.max()}", expected=f"below {n_items}"
        )
    if sizes.dtype.kind not in "iu":
        raise UsageError("not whole numbers", name="sizes", expected="int64", got=str(sizes.dtype))
    if np.any(sizes < truth.lengths):
        raise UsageError("smaller than the numbers of test items in truth", name="sizes")
