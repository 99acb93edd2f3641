"""Ties: what stands at each rank when items of equal score come in random order.

A group of equal scores with `a` better items before it and `c` members, `r` of them relevant, holds
ranks a+1 .. a+c. In a uniformly random order of its members, with t = rank - a - 1 of them placed,

    P(relevant at this rank)                                    = r / c
    P(relevant at this rank | nothing relevant at better ranks) = min(1, r / (c - t))

(groups are ordered independently, and a group that is behind us with no relevant item placed held
none). Sums of the first give every metric that is linear in hits; products of the second give the
first hit, for  prod_{i<t} (1 - r/(c-i)) * r/(c-t) = C(c-1-t, r-1) / C(c, r)  without a factorial.
The members of the last group that were left out of the list are counted, never walked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.evaluation.ranking import Ranking

__all__ = ["ExpectedRanks", "expected_ranks"]


@dataclass(frozen=True, eq=False)
class ExpectedRanks:
    """One entry a user and rank; past the end of a list all are zero.

    Attributes:
        relevant: (n_users, depth) float64, the probability that the rank holds a relevant item.
        first: (n_users, depth) float64, the same given that no better rank holds one.
        parted: (n_users, depth) bool, a cut just behind this rank goes through a group, so that
            chance decides what is above it.
    """

    relevant: npt.NDArray[np.float64]
    first: npt.NDArray[np.float64]
    parted: npt.NDArray[np.bool_]


def expected_ranks(ranking: Ranking, truth: Csr, *, depth: int) -> ExpectedRanks:
    """Ranks 1..`depth` of each user of `ranking`, whose test items are the rows of `truth`.

    `depth` lies in [1, ranking.k]; groups are counted whole even where they go deeper. Without
    users the result has no rows. Raises `UsageError` where a user's list and ties hold more test
    items than the user has: a list repeats an item, or `relevant_ties` were miscounted.
    """
    listed = _listed_test_items(ranking, truth)
    if np.any(listed.sum(axis=1) + ranking.relevant_ties > truth.lengths):
        raise UsageError("a ranking holds more test items of a user than the user has")
    starts = _group_starts(ranking)
    members = np.diff(starts, append=listed.size)
    group = np.repeat(np.arange(len(starts)), members).reshape(listed.shape)
    relevant = np.bincount(group.ravel(), weights=listed.ravel(), minlength=len(starts))
    # Only a full list has ties left out, so the group they belong to is that of the last column.
    members[group[:, -1]] += ranking.ties
    relevant[group[:, -1]] += ranking.relevant_ties

    slot = np.arange(listed.size).reshape(listed.shape)[:, :depth]
    group = group[:, :depth]
    unplaced = members[group] - (slot - starts[group])
    return ExpectedRanks(
        relevant=(relevant / members)[group],
        first=np.minimum(1.0, relevant[group] / unplaced),
        parted=(unplaced > 1) & ranking.filled[:, :depth],
    )


def _listed_test_items(ranking: Ranking, truth: Csr) -> npt.NDArray[np.bool_]:
    """(n_users, k) which listed items are test items of their user; False where none is listed."""
    wanted = truth.row_of_entry * truth.n_columns + truth.indices
    asked = np.arange(ranking.n_users)[:, None] * truth.n_columns + ranking.positions
    # A key above all others, so that the place behind the last key can be looked at too.
    wanted = np.append(wanted, np.iinfo(np.int64).max)
    # An empty place (-1) asks for the last item of the user before, hence the mask.
    found: npt.NDArray[np.bool_] = wanted[np.searchsorted(wanted, asked)] == asked
    return found & ranking.filled


def _group_starts(ranking: Ranking) -> npt.NDArray[np.int64]:
    """(n_groups,) the flat index of the first place of each group, ascending.

    The empty places of a row are a group of their own: it has members but none is relevant.
    """
    begins = np.ones(ranking.positions.shape, dtype=bool)
    begins[:, 1:] = ranking.scores[:, 1:] != ranking.scores[:, :-1]
    begins |= np.arange(ranking.k) == ranking.counts[:, None]
    return np.flatnonzero(begins)
