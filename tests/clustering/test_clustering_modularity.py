"""Modularity with other null models than Barber's, against sums over all pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.clustering import BipartiteGraph, Partition, modularity, transposed
from hashrec.csr import Csr

Dense = npt.NDArray[np.float64]


def graph_of(dense: Dense, **exponents: float) -> BipartiteGraph:
    row, column = np.nonzero(dense)
    rows = Csr.from_pairs(row, column, n_rows=dense.shape[0], n_columns=dense.shape[1])
    weights = dense[row, column].astype(np.float32)
    by_item, item_weights = transposed(rows, weights)
    return BipartiteGraph.build(rows, by_item, weights, item_weights, **exponents)


def powers(degrees: list[float], exponent: float) -> list[float]:
    """In proportion to degree ** exponent, 0 for 0, with the sum of the degrees."""
    raised = [degree**exponent if degree else 0.0 for degree in degrees]
    return [sum(degrees) * value / sum(raised) for value in raised]


def test_four_nodes_by_hand() -> None:
    """Weights 3, 1, 2 on u0-i0, u0-i1, u1-i1; m = 6, users 4 and 2, items 3 and 3."""
    graph = graph_of(np.array([[3.0, 1], [0, 2]]))
    pairs = Partition.of(np.array([0, 1]), np.array([0, 1]))
    assert modularity(graph, pairs) == pytest.approx(5 / 6 - (4 * 3 + 2 * 3) / 36)
    assert modularity(graph, pairs, 2.0) == pytest.approx(5 / 6 - 2 * (4 * 3 + 2 * 3) / 36)
    crossed = Partition.of(np.array([0, 1]), np.array([1, 0]))
    assert modularity(graph, crossed) == pytest.approx(1 / 6 - (4 * 3 + 2 * 3) / 36)
    alone = Partition.of(np.array([0, 1]), np.array([2, 3]))
    assert modularity(graph, alone) == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    users=st.integers(1, 7),
    items=st.integers(1, 7),
    exponents=st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 2.0])] * 2),
    resolution=st.sampled_from([0.3, 1.0, 7.0]),
)
def test_any_null_model_is_a_sum_over_pairs(
    seed: int, users: int, items: int, exponents: tuple[float, float], resolution: float
) -> None:
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((users, items)) < 0.4, rng.integers(1, 9, (users, items)) / 4, 0)
    dense[0, 0] = 1
    graph = graph_of(dense, user_exponent=exponents[0], item_exponent=exponents[1])
    of_users = powers(dense.sum(axis=1).tolist(), exponents[0])
    of_items = powers(dense.sum(axis=0).tolist(), exponents[1])
    labels = Partition.of(rng.integers(0, 3, users), rng.integers(0, 3, items))
    total, expected = dense.sum(), 0.0
    for user in range(users):
        for item in range(items):
            if labels.users[user] == labels.items[item]:
                chance = of_users[user] * of_items[item] / total
                expected += (dense[user, item] - resolution * chance) / total
    assert modularity(graph, labels, resolution) == pytest.approx(expected, abs=1e-9)
    for strength, (exponent, scale), degrees in (
        (graph.user_strength, graph.user_power, dense.sum(axis=1)),
        (graph.item_strength, graph.item_power, dense.sum(axis=0)),
    ):
        assert strength.sum() == pytest.approx(total)
        linked = degrees > 0
        assert strength[linked] == pytest.approx(scale * degrees[linked] ** exponent)
        assert (strength[~linked] == 0).all()
