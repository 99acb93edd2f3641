"""What is in the buckets, for people: how large they are, who is in them, which belong together.

Pure functions from buckets and the log they were made from to plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.buckets import Buckets
from hashrec.csr import Csr
from hashrec.interactions import Interactions

__all__ = [
    "Block",
    "CurvePoint",
    "Explanation",
    "Room",
    "densest_blocks",
    "explain",
    "largest_rooms",
    "resolution_curve",
    "size_histogram",
]

Degrees = npt.NDArray[np.int64]
Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Room:
    """One bucket. `size`: ids that use it; `names`: its most frequent ids, each with the number of
    its interactions, most first."""

    side: str
    bucket: int
    size: int
    names: tuple[tuple[Any, int], ...]


@dataclass(frozen=True)
class Block:
    """A user bucket and the item bucket it belongs with. `edges` are between the two; `density` is
    their share of all users x items pairs."""

    users: Room
    items: Room
    edges: int
    density: float


@dataclass(frozen=True)
class Explanation:
    """All of it. `histograms`: for `user` and `item` the (size, how many rows) that occur."""

    histograms: dict[str, list[tuple[int, int]]]
    largest: dict[str, list[Room]]
    densest: list[Block]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class CurvePoint:
    """One clustering: its resolution, how many communities it has, its modularity."""

    gamma: float
    user_communities: int
    item_communities: int
    modularity: float


def explain(
    buckets: Buckets,
    interactions: Interactions,
    *,
    rooms: int = 6,
    blocks: int = 12,
    names: int = 8,
    least: int = 5,
) -> Explanation:
    """The `rooms` largest buckets a side and the `blocks` densest pairs, `names` ids each.

    least: a block has at least so many users and so many items.
    """
    sides = (buckets.users, buckets.items)
    return Explanation(
        {side.side: size_histogram(side) for side in sides},
        {side.side: largest_rooms(side, interactions, rooms, names) for side in sides},
        densest_blocks(buckets, interactions, blocks, names, least),
    )


def size_histogram(side: Assignment) -> list[tuple[int, int]]:
    """(size, how many rows are of that size), sizes ascending; size 0 where rows are empty."""
    sizes, counts = np.unique(side.sizes, return_counts=True)
    return list(zip(sizes.tolist(), counts.tolist(), strict=True))


def largest_rooms(
    side: Assignment, interactions: Interactions, count: int = 3, names: int = 8
) -> list[Room]:
    """The `count` largest buckets, of equal ones the lower number first."""
    order = np.argsort(-side.sizes, kind="stable")[:count]
    members, degrees = _members(side), _degrees(side, interactions)
    return [_room(side, int(bucket), members, degrees, names) for bucket in order]


def densest_blocks(
    buckets: Buckets,
    interactions: Interactions,
    count: int = 12,
    names: int = 8,
    least: int = 5,
) -> list[Block]:
    """The densest pairs of buckets that belong together, densest first.

    Two buckets belong together where each is the other's partner: the one that it has most edges
    with beyond those that chance would give. No bucket stands in two blocks.
    """
    users, items = buckets.users, buckets.items
    pairs = _pairs(users, items, interactions)
    together = np.flatnonzero(_mutual(pairs))
    sizes = users.sizes[pairs.row], items.sizes[pairs.col]
    together = together[np.minimum(*sizes)[together] >= least]
    density = pairs.data / (sizes[0] * sizes[1])
    chosen = together[np.argsort(-density[together], kind="stable")][:count]
    parts = [(side, _members(side), _degrees(side, interactions)) for side in (users, items)]
    blocks = []
    for at in chosen:
        rooms = [
            _room(side, int(bucket), members, degrees, names)
            for (side, members, degrees), bucket in zip(
                parts, (pairs.row[at], pairs.col[at]), strict=True
            )
        ]
        blocks.append(Block(rooms[0], rooms[1], int(pairs.data[at]), float(density[at])))
    return blocks


def resolution_curve(
    cluster: Callable[[float], tuple[Labels, Labels, float]], gammas: Iterable[float]
) -> list[CurvePoint]:
    """What a clustering finds at each resolution.

    cluster: gives (n_users,) and (n_items,) labels and the modularity at a gamma.
    """
    points = []
    for gamma in gammas:
        users, items, modularity = cluster(gamma)
        counts = len(np.unique(users)), len(np.unique(items))
        points.append(CurvePoint(float(gamma), *counts, float(modularity)))
    return points


def _members(side: Assignment) -> Csr:
    """(rows, n): the positions of the ids that use each bucket, once each."""
    positions = np.repeat(np.arange(len(side)), side.ways)
    return Csr.from_pairs(side.buckets.ravel(), positions, n_rows=side.rows, n_columns=len(side))


def _degrees(side: Assignment, interactions: Interactions) -> Degrees:
    """(n,) interactions of each id of the assignment; 0 for ids that the log does not have."""
    is_user = side.side == "user"
    ids = interactions.users if is_user else interactions.items
    counts = interactions.matrix.lengths if is_user else interactions.matrix.column_counts()
    places = side.find(ids.array)
    degrees = np.zeros(len(side), dtype=np.int64)
    degrees[places[places >= 0]] = counts[places >= 0]
    return degrees


def _room(side: Assignment, bucket: int, members: Csr, degrees: Degrees, names: int) -> Room:
    inside = members.row(bucket)
    first = inside[np.argsort(-degrees[inside], kind="stable")[:names]]
    named = tuple((side.ids[int(at)].as_py(), int(degrees[at])) for at in first)
    return Room(side.side, bucket, len(inside), named)


def _pairs(users: Assignment, items: Assignment, interactions: Interactions) -> Any:
    """coo_array (user rows, item rows): the edges between each two buckets that have any."""
    row = users.find(interactions.users.array)[interactions.matrix.row_of_entry]
    column = items.find(interactions.items.array)[interactions.matrix.indices]
    known = (row >= 0) & (column >= 0)
    ones = np.ones(int(known.sum()), dtype=np.int64)
    edges = scipy.sparse.csr_array(
        (ones, (row[known], column[known])), shape=(len(users), len(items))
    )
    return (_incidence(users) @ edges @ _incidence(items).T).tocoo()


def _incidence(side: Assignment) -> Any:
    """csr_array (rows, n) of ones where an id uses a bucket."""
    members = _members(side)
    ones = np.ones(len(members.indices), dtype=np.int64)
    return scipy.sparse.csr_array(
        (ones, members.indices, members.offsets), shape=(side.rows, len(side))
    )


def _mutual(pairs: Any) -> npt.NDArray[np.bool_]:
    """(n_pairs,) whether each of the two has most edges beyond chance with the other."""
    of_row = np.bincount(pairs.row, pairs.data, pairs.shape[0])
    of_column = np.bincount(pairs.col, pairs.data, pairs.shape[1])
    total = max(pairs.data.sum(), 1)
    excess = pairs.data - of_row[pairs.row] * of_column[pairs.col] / total
    best: npt.NDArray[np.bool_] = _is_best(pairs.row, excess) & _is_best(pairs.col, excess)
    best &= excess > 0
    return best


def _is_best(groups: npt.NDArray[Any], values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(n,) whether each is the largest of its group; of equal ones the first."""
    order = np.lexsort((-values, groups))
    first = np.ones(len(order), dtype=bool)
    first[1:] = groups[order][1:] != groups[order][:-1]
    best = np.zeros(len(order), dtype=bool)
    best[order[first]] = True
    return best
