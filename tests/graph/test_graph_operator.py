"""The normalised operator: its scales by hand, and a transpose that is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.csr import Csr
from hashrec.graph import BipartiteOperator
from hashrec.graph.operator import degree_power


def dense(rows: Csr, a: float, b: float) -> np.ndarray:
    """D_u^-a R D_i^-b, edge by edge."""
    users = [len(rows.row(user)) for user in range(rows.n_rows)]
    items = [int((rows.indices == item).sum()) for item in range(rows.n_columns)]
    matrix = np.zeros((rows.n_rows, rows.n_columns))
    for user in range(rows.n_rows):
        for item in rows.row(user).tolist():
            matrix[user, item] = users[user] ** -a * items[item] ** -b
    return matrix


def random_rows(seed: int, n: int, m: int) -> Csr:
    rows, columns = np.nonzero(np.random.default_rng(seed).random((n, m)) < 0.25)
    return Csr.from_pairs(rows, columns, n_rows=n, n_columns=m)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 25),
    m=st.integers(1, 25),
    width=st.sampled_from([1, 5, 65]),
    a=st.sampled_from([0.0, 0.35, 0.5, 1.0]),
    b=st.sampled_from([0.0, 0.4, 0.5, 1.0]),
)
def test_both_directions(seed: int, n: int, m: int, width: int, a: float, b: float) -> None:
    rng = np.random.default_rng(seed)
    rows = random_rows(seed, n, m)
    operator = BipartiteOperator.normalised(rows, user_exponent=a, item_exponent=b)
    matrix = dense(rows, a, b)
    assert operator.shape == (n, m)
    users = rng.standard_normal((n, width)).astype(np.float32)
    items = rng.standard_normal((m, width)).astype(np.float32)
    to_users, to_items = operator.to_users(items), operator.to_items(users)
    assert np.allclose(to_users, matrix @ items, atol=1e-5)
    assert np.allclose(to_items, matrix.T @ users, atol=1e-5)
    # <N x, y> = <x, N^T y>, column by column.
    left = (to_users.astype(np.float64) * users).sum(axis=0)
    right = (to_items.astype(np.float64) * items).sum(axis=0)
    assert np.allclose(left, right, atol=1e-4)


def test_scales_by_hand() -> None:
    """Bug: an exponent of 1, not 1.0, was refused as a negative integer power."""
    rows = Csr.from_lists([[0, 1, 2, 4], [], [4]], n_columns=5)
    operator = BipartiteOperator.normalised(rows)
    assert operator.user_scale.tolist() == [0.5, 0.0, 1.0]
    assert operator.item_scale.tolist() == pytest.approx([1, 1, 1, 0, 2**-0.5])
    assert operator.user_scale.dtype == operator.item_scale.dtype == np.float32
    other = BipartiteOperator.normalised(rows, user_exponent=1, item_exponent=0)
    assert other.user_scale.tolist() == [0.25, 0.0, 1.0]
    assert other.item_scale.tolist() == [1, 1, 1, 0, 1]
    assert operator.by_item.lengths.tolist() == [1, 1, 1, 0, 2]


def test_nodes_without_edges_are_zero_rows_and_columns() -> None:
    rows = Csr.from_lists([[0], [], [0, 2]], n_columns=4)
    for exponent in (0.0, 0.5, 1.0):
        operator = BipartiteOperator.normalised(
            rows, user_exponent=exponent, item_exponent=exponent
        )
        seen = operator.to_users(np.eye(4, dtype=np.float32))
        assert not seen[1].any()
        assert not seen[:, [1, 3]].any()
        assert seen[[0, 2], 0].all()
        assert not operator.to_items(np.eye(3, dtype=np.float32))[[1, 3]].any()


def test_out_is_used_in_both_directions() -> None:
    operator = BipartiteOperator.normalised(random_rows(3, 6, 4))
    items, users = np.ones((4, 2), np.float32), np.ones((6, 2), np.float32)
    for found, call in (
        (np.full((6, 2), np.nan, np.float32), lambda out: operator.to_users(items, out)),
        (np.full((4, 2), np.nan, np.float32), lambda out: operator.to_items(users, out)),
    ):
        assert call(found) is found
        assert np.array_equal(found, call(None))


def test_degree_power_by_hand() -> None:
    degrees = np.array([0, 1, 4, 9])
    for exponent, expected in (
        (-0.5, [0, 1, 1 / 2, 1 / 3]),
        (0.5, [0, 1, 2, 3]),
        (0.0, [0, 1, 1, 1]),
        (-1.0, [0, 1, 1 / 4, 1 / 9]),
    ):
        power = degree_power(degrees, exponent)
        assert power.dtype == np.float32
        assert power.tolist() == pytest.approx(expected, rel=1e-6)
