"""What is said about buckets, on a graph of three rooms that is written out below."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hashrec.bucketing import Assignment, Buckets
from hashrec.bucketing.explain import (
    CurvePoint,
    densest_blocks,
    explain,
    largest_rooms,
    resolution_curve,
    size_histogram,
)
from hashrec.bucketing.full import Full
from hashrec.bucketing.rules import Reserved
from hashrec.interactions import Interactions, planted, read

# Python: all of 3 x 2. Perl: 3 of 2 x 2. R: 2 x 1, and one of its users needs Python's first.
NEEDS = {
    "django": ["python", "pip"], "flask": ["python", "pip"], "numpy": ["python", "pip"],
    "ack": ["perl", "cpan"], "exiftool": ["perl"],
    "ggplot": ["r-base"], "knitr": ["r-base", "python"],
}  # fmt: skip
PAIRS = [(user, item) for user, items in NEEDS.items() for item in items]
LOG = read(pa.table({"user": [pair[0] for pair in PAIRS], "item": [pair[1] for pair in PAIRS]}))
USERS = {"django": 4, "flask": 4, "numpy": 4, "ack": 0, "exiftool": 0, "ggplot": 2, "knitr": 2}
ITEMS = {"python": 1, "pip": 1, "perl": 0, "cpan": 0, "r-base": 2}


def assignment(side: Any, rooms: dict[str, int | list[int]], rows: int) -> Assignment:
    """From names to buckets: positions as they come in the mapping, not as in the log."""
    buckets = [room if isinstance(room, list) else [room] for room in rooms.values()]
    ids, rules = pa.array(list(rooms)), tuple(Reserved(0) for _ in buckets[0])
    return Assignment(side, ids, np.array(buckets, dtype=np.int32), rows, rules)


BUCKETS = Buckets(assignment("user", USERS, 5), assignment("item", ITEMS, 3), Full())


def test_the_histogram_counts_rows_of_each_size_the_empty_ones_too() -> None:
    assert size_histogram(BUCKETS.users) == [(0, 2), (2, 2), (3, 1)]
    assert size_histogram(BUCKETS.items) == [(1, 1), (2, 2)]


def test_the_largest_rooms_name_their_most_frequent_ids_first() -> None:
    first, second = largest_rooms(BUCKETS.items, LOG, count=2, names=2)
    assert (first.side, first.bucket, first.size) == ("item", 0, 2)
    assert first.names == (("perl", 2), ("cpan", 1))
    assert (second.bucket, second.names) == (1, (("python", 4), ("pip", 3)))
    (room,) = largest_rooms(BUCKETS.users, LOG, count=1, names=1)
    assert (room.bucket, room.size, room.names) == (4, 3, (("django", 2),))


def test_the_densest_blocks_are_the_rooms_that_were_planted() -> None:
    blocks = densest_blocks(BUCKETS, LOG, least=1)
    found = [(b.users.bucket, b.items.bucket, b.edges, b.density) for b in blocks]
    assert found == [(2, 2, 2, 1.0), (4, 1, 6, 1.0), (0, 0, 3, 0.75)]
    assert blocks[1].items.names == (("python", 4), ("pip", 3))
    assert [name for name, _ in blocks[0].users.names] == ["knitr", "ggplot"]


def test_small_blocks_are_left_out_and_the_rest_cut_to_the_count() -> None:
    blocks = densest_blocks(BUCKETS, LOG, least=2)
    assert [(b.users.bucket, b.items.bucket) for b in blocks] == [(4, 1), (0, 0)]
    assert len(densest_blocks(BUCKETS, LOG, least=1, count=1)) == 1
    assert densest_blocks(BUCKETS, LOG, least=4) == []


def test_a_hub_that_all_need_is_partner_of_those_alone_who_need_it_beyond_chance() -> None:
    """Most edges of both user buckets go to the hub: 3 of 4, and 3 of 5. The partner of bucket 1
    is nevertheless bucket 1, of which nobody else has anything."""
    pairs = [("a", "libc"), ("b", "libc"), ("c", "libc"), ("a", "x"),
             ("d", "libc"), ("e", "libc"), ("f", "libc"), ("d", "y"), ("e", "z")]  # fmt: skip
    log = read(pa.table({"user": [p[0] for p in pairs], "item": [p[1] for p in pairs]}))
    users = assignment("user", {"a": 0, "b": 0, "c": 0, "d": 1, "e": 1, "f": 1}, 2)
    items = assignment("item", {"libc": 0, "x": 0, "y": 1, "z": 1}, 2)
    blocks = densest_blocks(Buckets(users, items, Full()), log, least=2)
    assert {(b.users.bucket, b.items.bucket, b.edges) for b in blocks} == {(0, 0, 4), (1, 1, 2)}


def test_buckets_that_meet_no_more_than_by_chance_do_not_belong_together() -> None:
    """One bucket a side: all edges are inside, as they would be in any graph."""
    users, items = (
        assignment(side, dict.fromkeys(rooms, 0), 1)
        for side, rooms in (("user", USERS), ("item", ITEMS))
    )
    assert densest_blocks(Buckets(users, items, Full()), LOG, least=1) == []


def test_ids_with_several_rows_count_once_in_each() -> None:
    """ack uses row 0 twice and pip rows 0 and 1: no edge is counted double inside a block."""
    users = assignment("user", {name: [room, room] for name, room in USERS.items()}, 5)
    items = assignment("item", {**{n: [r, r] for n, r in ITEMS.items()}, "pip": [0, 1]}, 3)
    blocks = densest_blocks(Buckets(users, items, Full()), LOG, least=1)
    found = {(b.users.bucket, b.items.bucket): (b.edges, b.items.size) for b in blocks}
    assert found == {(2, 2): (2, 1), (4, 1): (6, 2), (0, 0): (3, 3)}


def test_ids_that_the_log_or_the_buckets_do_not_have() -> None:
    users = assignment("user", {**USERS, "stranger": 4}, 5)
    items = assignment("item", {name: room for name, room in ITEMS.items() if name != "pip"}, 3)
    given = Buckets(users, items, Full())
    by_bucket = {block.users.bucket: block for block in densest_blocks(given, LOG, least=1)}
    assert (by_bucket[4].edges, by_bucket[4].density) == (3, 0.75)
    assert by_bucket[4].users.names[-1] == ("stranger", 0)


def planted_buckets() -> tuple[Interactions, Buckets]:
    made = planted(120, 80, communities=4, degree=12, noise=0.1, seed=1)
    log = made.interactions
    sides = (("user", log.users, made.user_communities), ("item", log.items, made.item_communities))
    users, items = (
        Assignment(name, ids.array, labels.astype(np.int32)[:, None], 4, (Reserved(0),))
        for name, ids, labels in sides
    )
    return log, Buckets(users, items, Full())


def test_planted_communities_come_back_in_pairs() -> None:
    log, given = planted_buckets()
    blocks = densest_blocks(given, log)
    assert {(block.users.bucket, block.items.bucket) for block in blocks} == {
        (community, community) for community in range(4)
    }
    dense = np.asarray(log.to_scipy().todense())
    for block in blocks:
        inside = dense[given.users.buckets[:, 0] == block.users.bucket]
        inside = inside[:, given.items.buckets[:, 0] == block.items.bucket]
        assert block.edges == inside.sum()
        assert block.density == pytest.approx(inside.mean())


def test_all_of_it_is_json() -> None:
    log, given = planted_buckets()
    found = explain(given, log, rooms=2, blocks=3, names=4)
    again = json.loads(json.dumps(found.to_dict()))
    assert set(again) == {"histograms", "largest", "densest"}
    assert [len(rooms) for rooms in again["largest"].values()] == [2, 2]
    assert len(again["densest"]) == 3
    assert all(len(block["users"]["names"]) == 4 for block in again["densest"])
    assert again["histograms"]["user"] == [list(pair) for pair in size_histogram(given.users)]


def test_a_curve_counts_the_communities_of_both_sides() -> None:
    def cluster(gamma: float) -> tuple[Any, Any, float]:
        labels = np.arange(8) % round(2 * gamma)
        return labels, labels[:3], 0.5 / gamma

    assert resolution_curve(cluster, [0.5, 1, 4]) == [
        CurvePoint(0.5, 1, 1, 1.0),
        CurvePoint(1.0, 2, 2, 0.5),
        CurvePoint(4.0, 8, 3, 0.125),
    ]
