"""Logs with a known structure: communities of users who like the items of their own.

For tests, where the right answer must be known by thought, and for measuring at any size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashrec.errors import UsageError
from hashrec.interactions.entries import assemble
from hashrec.interactions.ids import Ids
from hashrec.interactions.log import Interactions
from hashrec.interactions.report import Report

__all__ = ["Planted", "planted"]


class Planted(NamedTuple):
    """A log and the truth about it.

    Attributes:
        interactions: ids are the integers 0..n-1, all of them, so labels stand beside positions.
        user_communities: (n_users,) int32.
        item_communities: (n_items,) int32.
    """

    interactions: Interactions
    user_communities: npt.NDArray[np.int32]
    item_communities: npt.NDArray[np.int32]


def planted(
    n_users: int, n_items: int, *, communities: int, degree: int, noise: float, seed: int
) -> Planted:
    """Every user draws `degree` items: with probability 1 - noise from their own community.

    Inside a community the item of rank r is drawn in proportion to 1 / r; noise is uniform over
    all items. What is drawn twice counts once, so users have at most `degree` items. Users and
    items are spread over the communities at random and as evenly as can be.

    Raises UsageError for sizes that make no sense.
    """
    if not 1 <= communities <= min(n_users, n_items) or degree < 1 or not 0 <= noise <= 1:
        raise UsageError(
            "these sizes make no planted log",
            expected="1 <= communities <= users and items, degree >= 1, 0 <= noise <= 1",
            got=f"{n_users=}, {n_items=}, {communities=}, {degree=}, {noise=}",
        )
    random = np.random.default_rng(seed)
    user_slots, item_slots = random.permutation(n_users), random.permutation(n_items)
    user_communities = (user_slots % communities).astype(np.int32)
    users = np.repeat(np.arange(n_users, dtype=np.int32), degree)
    slots = _draw(random, user_communities[users], n_items, communities)
    noisy = random.random(len(slots)) < noise
    slots[noisy] = random.integers(0, n_items, int(noisy.sum()))
    item_of_slot = np.argsort(item_slots).astype(np.int32)
    log = _log(users, item_of_slot[slots], n_users, n_items)
    return Planted(log, user_communities, (item_slots % communities).astype(np.int32))


def _draw(
    random: np.random.Generator,
    community: npt.NDArray[np.int32],
    n_items: int,
    communities: int,
) -> npt.NDArray[np.int64]:
    """For each draw a slot of its community: slot = rank * communities + community.

    Communities differ in size by one at most, so one running sum of 1 / rank serves them all;
    each draws below its own total.
    """
    largest = -(-n_items // communities)
    running = np.cumsum(1 / np.arange(1, largest + 1))
    sizes = (n_items - community - 1) // communities + 1
    below = random.random(len(community)) * running[sizes - 1]
    ranks = np.minimum(np.searchsorted(running, below, side="right"), sizes - 1)
    return np.asarray(ranks * communities + community, dtype=np.int64)


def _log(
    users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], n_users: int, n_items: int
) -> Interactions:
    matrix, _ = assemble(users, items, None, shape=(n_users, n_items))
    report = Report(
        source="planted",
        format="planted",
        user="user",
        item="item",
        rating=None,
        time=None,
        rows=len(users),
        duplicates=len(users) - len(matrix.indices),
        users=n_users,
        items=int(np.count_nonzero(matrix.column_counts())),
        interactions=len(matrix.indices),
    )
    return Interactions(Ids(_numbers(n_users)), Ids(_numbers(n_items)), matrix, None, report)


def _numbers(n: int) -> Any:
    return pa.array(np.arange(n, dtype=np.int64))
