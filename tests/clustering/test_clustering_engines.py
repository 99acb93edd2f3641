"""What every engine of community detection promises, and what the foreign ones refuse."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hashrec.clustering import CLUSTERINGS, BipartiteGraph, Partition, modularity, transposed
from hashrec.errors import MissingExtraError, UsageError
from hashrec.interactions import planted

OURS, FOREIGN = ("louvain", "leiden"), ("sknetwork", "networkit")
PACKAGES = {"sknetwork": "scikit-network", "networkit": "networkit"}


def graph(**exponents: float) -> tuple[BipartiteGraph, Partition]:
    made = planted(200, 100, communities=5, degree=12, noise=0.2, seed=4)
    rows = made.interactions.matrix
    truth = Partition.of(made.user_communities, made.item_communities)
    return BipartiteGraph.build(rows, transposed(rows)[0], **exponents), truth


@pytest.mark.parametrize("name", list(CLUSTERINGS))
def test_contract(name: str) -> None:
    if name in FOREIGN:
        pytest.importorskip(name)
    data, truth = graph()
    found = CLUSTERINGS.parse(name).cluster(data, 1.0)
    assert (found.users.shape, found.items.shape) == ((200,), (100,))
    assert found.users.dtype == found.items.dtype == np.int32
    again = Partition.of(found.users, found.items)  # numbered as they first occur, all used
    assert again.fingerprint() == found.fingerprint()
    assert again.n_communities == found.n_communities
    assert modularity(data, found) >= 0.9 * modularity(data, truth)


def test_all_engines_are_met_here() -> None:
    assert set(CLUSTERINGS) == {*OURS, *FOREIGN}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("exponents", [(0.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
def test_ours_know_other_null_models(name: str, exponents: tuple[float, float]) -> None:
    data, truth = graph(user_exponent=exponents[0], item_exponent=exponents[1])
    found = CLUSTERINGS.parse(name).cluster(data, 1.0)
    assert modularity(data, found) >= 0.9 * modularity(data, truth)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("exponents", [(0.0, 1.0), (1.0, 0.0)])
def test_foreign_engines_refuse_a_power_of_either_side(
    name: str, exponents: tuple[float, float]
) -> None:
    """Bug: only the items were looked at, so user_exponent was ignored without a word."""
    pytest.importorskip(name)
    data, _ = graph(user_exponent=exponents[0], item_exponent=exponents[1])
    with pytest.raises(UsageError, match=f"{name}: this engine knows Barber's null model only"):
        CLUSTERINGS.parse(name).cluster(data, 1.0)


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_engines_cannot_tie(name: str) -> None:
    pytest.importorskip(name)
    with pytest.raises(UsageError, match=f"{name}: this engine cannot tie rows to columns"):
        CLUSTERINGS.parse(name).cluster(graph()[0], 1.0, tied=True)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_to_install_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (name, f"{name}.clustering"):
        monkeypatch.setitem(sys.modules, module, None)
    words = rf"{PACKAGES[name]} is not installed.*pip install 'hashrec\[{name}\]'"
    with pytest.raises(MissingExtraError, match=words):
        CLUSTERINGS.parse(name).cluster(graph()[0], 1.0)
