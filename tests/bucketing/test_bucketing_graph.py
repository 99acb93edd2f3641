"""Budgets of `graph` to the row, for any options, and the words where there can be none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import example, given, settings
from hypothesis import strategies as st

import hashrec as hr
from hashrec.bucketing import Assignment, buckets
from hashrec.errors import UsageError

Mask = npt.NDArray[np.bool_]


def dense_of(seed: int, users: int, items: int, density: float) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    dense = (rng.random((users, items)) < density) * rng.integers(1, 9, (users, items)) / 4
    dense[0, 0] = 1
    return dense


def options_of(edgeless: str, gamma: float | None, largest: float, power: float) -> dict[str, Any]:
    return {
        "name": "graph", "edgeless": edgeless, "gamma": gamma, "largest": largest,
        "user_exponent": power,
    }  # fmt: skip


graphs = st.builds(
    dense_of, st.integers(0, 10_000), st.integers(3, 22), st.integers(3, 22),
    st.sampled_from([0.05, 0.2, 0.6]),
)  # fmt: skip
options = st.builds(
    options_of, st.sampled_from(["reserved", "hash"]), st.sampled_from([None, 0.05, 3.0, 900.0]),
    st.sampled_from([1.0, 1.0, 0.6, 0.3, 0.1]), st.sampled_from([1.0, 0.0, 2.0]),
)  # fmt: skip


def most(given: dict[str, Any], n: int) -> int:
    return max(1, int(given["largest"] * n))


def fewest(linked: Mask, bound: int) -> int:
    return -(-int(linked.sum()) // bound)


def check_side(side: Assignment, linked: Mask, bound: int, reserved: bool) -> None:
    """Each row is used, none by too many; the last by the unlinked alone where it is theirs."""
    rows = side.rows - int(reserved)
    sizes = np.bincount(side.buckets[linked, 0], minlength=rows)
    assert 1 <= sizes.min() <= sizes.max() <= bound
    assert len(sizes) == rows
    if reserved:
        assert (side.buckets[~linked, 0] == rows).all()


@settings(max_examples=80, deadline=None)
@given(graphs, options, st.floats(0, 1))
@example(dense_of(102, 20, 13, 0.05), options_of("hash", None, 0.1, 1.0), 0.3125)
def test_rows_of_both_sides(
    dense: npt.NDArray[np.float64], given: dict[str, Any], share: float
) -> None:
    """Bug: where no community had a useful best neighbour, and few had one next in strength,
    merging ended above the budget. Bug: a tight bound that left nothing but runs of ids gave one
    side more rows than ids, so the other had one too few."""
    linked, n = (dense.any(1), dense.any(0)), sum(dense.shape)
    reserved = given["edgeless"] == "reserved"
    least = 4 if reserved else 2
    rows = least + int(share * (n - 1 - least))
    bounds = [most(given, side) for side in dense.shape]
    wanted = min(rows - 2 * reserved, int(linked[0].sum() + linked[1].sum()))
    if sum(map(fewest, linked, bounds)) > wanted:
        with pytest.raises(UsageError, match="largest: the bound on bucket sizes contradicts"):
            buckets(scipy.sparse.csr_array(dense), given, rows)
        return
    found = buckets(scipy.sparse.csr_array(dense), given, rows)
    assert found.rows == wanted + 2 * reserved
    check_side(found.users, linked[0], bounds[0], reserved)
    check_side(found.items, linked[1], bounds[1], reserved)


@settings(max_examples=80, deadline=None)
@given(graphs, options, st.floats(0, 1), st.floats(0, 1))
def test_rows_of_each_side(
    dense: npt.NDArray[np.float64], given: dict[str, Any], user_share: float, item_share: float
) -> None:
    linked = dense.any(1), dense.any(0)
    rows = [
        min(2 + int(share * (n - 2)), n - 1) if n > 2 else 2
        for share, n in zip((user_share, item_share), dense.shape, strict=True)
    ]
    reserved = [given["edgeless"] == "reserved" and r < n
                for r, n in zip(rows, dense.shape, strict=True)]  # fmt: skip
    bounds = [most(given, n) for n in dense.shape]
    wanted = [min(r - kept, int(mask.sum()))
              for r, kept, mask in zip(rows, reserved, linked, strict=True)]  # fmt: skip
    asked = {"user_rows": rows[0], "item_rows": rows[1]}
    if any(fewest(linked[at], bounds[at]) > wanted[at] for at in (0, 1)):
        with pytest.raises(UsageError, match="largest: the bound on bucket sizes contradicts"):
            buckets(scipy.sparse.csr_array(dense), given, **asked)
        return
    found = buckets(scipy.sparse.csr_array(dense), given, **asked)
    for at, side in enumerate((found.users, found.items)):
        if rows[at] == dense.shape[at]:  # a row for each
            assert side.rows == rows[at]
            assert sorted(side.buckets[:, 0].tolist()) == list(range(side.rows))
        else:
            assert side.rows == wanted[at] + reserved[at]
            check_side(side, linked[at], bounds[at], reserved[at])


@settings(max_examples=40, deadline=None)
@given(graphs, options)
def test_as_many_rows_as_ids_are_a_row_each(
    dense: npt.NDArray[np.float64], given: dict[str, Any]
) -> None:
    found = buckets(scipy.sparse.csr_array(dense), given, 1.0)
    for side, linked in ((found.users, dense.any(1)), (found.items, dense.any(0))):
        assert (np.bincount(side.buckets[linked, 0]) <= 1).all()
    assert found.rows == sum(dense.shape) or given["edgeless"] == "hash"
    assert found.rows <= sum(dense.shape)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 14), st.floats(0, 1))
def test_tied_rows(seed: int, n: int, share: float) -> None:
    half = dense_of(seed, n, n, 0.2)
    together = half + half.T
    rows = 2 + int(share * (2 * n - 2))
    found = buckets(
        scipy.sparse.csr_array(together), {"name": "graph", "edgeless": "hash"}, rows, tied=True
    )
    assert found.users.buckets.tobytes() == found.items.buckets.tobytes()
    assert found.users.rows == found.items.rows
    if rows < 2 * n:
        assert found.users.rows == min(rows // 2, int(together.any(0).sum()))


def test_a_row_that_only_strangers_share() -> None:
    """Newcomers without a neighbour that has a bucket: the last row, or one by their id."""
    dense = np.kron(np.eye(2), np.ones((3, 3)))
    later = hr.read(pa.table({"user": [100, 101], "item": [200, 201]}))
    kept = buckets(scipy.sparse.csr_array(dense), {"name": "graph"}, 6).extend(later)
    assert kept.users.buckets[6:, 0].tolist() == [kept.users.rows - 1] * 2
    assert kept.items.buckets[6:, 0].tolist() == [kept.items.rows - 1] * 2
    options = {"name": "graph", "edgeless": "hash"}
    hashed = buckets(scipy.sparse.csr_array(dense), options, 4).extend(later)
    assert hashed.users.buckets[:6, 0].tolist() == [0] * 3 + [1] * 3
    assert hashed.users.rows == 2


def test_newcomers_join_the_block_they_have_met() -> None:
    dense = np.kron(np.eye(3), np.ones((4, 4)))
    found = buckets(scipy.sparse.csr_array(dense), {"name": "graph"}, 8)
    later = hr.read(pa.table({"user": [50, 50, 51, 1, 9], "item": [4, 5, 0, 77, 78]}))
    after = found.extend(later)
    users = after.users.buckets[after.users.positions(pa.array([50, 51])), 0]
    assert users.tolist() == [found.users.buckets[4, 0], found.users.buckets[0, 0]]
    items = after.items.buckets[after.items.positions(pa.array([77, 78])), 0]
    assert items.tolist() == [found.items.buckets[0, 0], found.items.buckets[8, 0]]
    assert after.users.buckets[:12].tobytes() == found.users.buckets.tobytes()
