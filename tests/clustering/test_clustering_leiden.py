"""Leiden's promise: every community is connected."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from hashrec.clustering import BipartiteGraph, Partition, louvain, modularity, transposed
from hashrec.clustering.louvain import _connected
from hashrec.clustering.network import aggregate
from hashrec.csr import Csr

Dense = npt.NDArray[np.float64]


def graph_of(dense: Dense, **exponents: float) -> BipartiteGraph:
    row, column = np.nonzero(dense)
    rows = Csr.from_pairs(row, column, n_rows=dense.shape[0], n_columns=dense.shape[1])
    return BipartiteGraph.build(rows, transposed(rows)[0], **exponents)


def pieces(dense: Dense, found: Partition) -> list[int]:
    """Of each community, how many connected pieces it has."""
    links = scipy.sparse.bmat([[None, dense], [dense.T, None]]).tocsr()
    labels = np.concatenate([found.users, found.items])
    counts = []
    for community in range(found.n_communities):
        inside = np.flatnonzero(labels == community)
        counts.append(int(connected_components(links[inside][:, inside])[0]))
    return counts


def shaky(seed: int) -> Dense:
    rng = np.random.default_rng(seed)
    dense = (rng.random((20, 27)) < 0.1).astype(np.float64)
    dense[0, 0] = 1
    return dense


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    resolution=st.sampled_from([0.3, 1.8, 2.3, 10.0]),
    item_exponent=st.sampled_from([0.0, 1.0]),
    iterations=st.integers(1, 3),
)
def test_communities_are_connected(
    seed: int, resolution: float, item_exponent: float, iterations: int
) -> None:
    dense = shaky(seed)
    graph = graph_of(dense, item_exponent=item_exponent)
    found = louvain(graph, resolution, refine=True, iterations=iterations)
    assert set(pieces(dense, found)) == {1}


def test_what_the_last_moves_tore_apart_is_two_communities() -> None:
    """Bug: refinement that merged nothing ended the climb, connected or not."""
    dense = np.kron(np.eye(3), np.ones((2, 2)))
    graph = graph_of(dense)
    alone = Partition.of(np.arange(6), np.arange(6, 12))
    network = aggregate(graph, alone)
    blocks = np.tile(np.repeat([0, 0, 5], 2), 2).astype(np.int32)  # the first two have no link
    labels = _connected(network, blocks)
    found = Partition.of(labels[:6], labels[6:])
    assert found.users.tolist() == found.items.tolist() == [0, 0, 1, 1, 2, 2]
    before = Partition.of(blocks[:6], blocks[6:])
    assert pieces(dense, before) == [2, 1]
    assert modularity(graph, found) > modularity(graph, before)


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("shape", [(2, 2), (7, 3), (40, 60)])
def test_a_complete_graph_is_one_community_or_none(shape: tuple[int, int], refine: bool) -> None:
    graph = graph_of(np.ones(shape))
    assert louvain(graph, 0.9, refine=refine).n_communities == 1
    assert louvain(graph, 1.1 * shape[0] * shape[1], refine=refine).n_communities == sum(shape)


@pytest.mark.parametrize("refine", [False, True])
def test_a_part_of_the_graph_is_a_part_of_the_answer(refine: bool) -> None:
    dense = np.zeros((40, 54))
    dense[:20, :27], dense[20:, 27:] = shaky(1), shaky(2)
    found = louvain(graph_of(dense), 0.01, refine=refine)
    assert not set(found.users[:20]) & set(found.users[20:])
    assert not set(found.items[:27]) & set(found.items[27:])
