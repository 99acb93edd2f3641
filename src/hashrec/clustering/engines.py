"""The engines of community detection: ours, and two others to compare with."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

import numpy as np
import scipy.sparse
from pydantic import Field

from hashrec.clustering.bipartite import BipartiteGraph, Partition
from hashrec.clustering.louvain import louvain
from hashrec.component import Component, Registry
from hashrec.errors import MissingExtraError, UsageError

__all__ = ["CLUSTERINGS", "Clustering", "Leiden", "Louvain", "Networkit", "Sknetwork"]


class Clustering(Component):
    """Options of one engine."""

    @abstractmethod
    def cluster(self, graph: BipartiteGraph, resolution: float, *, tied: bool = False) -> Partition:
        """A partition of large modularity. UsageError where `tied` is beyond the engine."""


class Louvain(Clustering):
    """Ours: half passes in parallel at the finest level, a queue above. See `louvain`."""

    name: ClassVar[str] = "louvain"

    iterations: Annotated[int, Field(ge=1)] = 2

    def cluster(self, graph: BipartiteGraph, resolution: float, *, tied: bool = False) -> Partition:
        return louvain(graph, resolution, iterations=self.iterations, tied=tied)


class Leiden(Clustering):
    """Ours, with refinement: communities are connected, at about three times the cost."""

    name: ClassVar[str] = "leiden"

    iterations: Annotated[int, Field(ge=1)] = 2

    def cluster(self, graph: BipartiteGraph, resolution: float, *, tied: bool = False) -> Partition:
        return louvain(graph, resolution, iterations=self.iterations, refine=True, tied=tied)


class Sknetwork(Clustering):
    """scikit-network's Louvain, with the defaults that GraphHash used. The reference."""

    name: ClassVar[str] = "sknetwork"

    def cluster(self, graph: BipartiteGraph, resolution: float, *, tied: bool = False) -> Partition:
        try:
            from sknetwork.clustering import Louvain as Reference
        except ImportError as fault:
            raise _missing("scikit-network", "sknetwork") from fault
        _only_degrees(self.name, graph, tied)
        reference = Reference(resolution=resolution)
        reference.fit(_matrix(graph), force_bipartite=True)
        return Partition.of(reference.labels_row_, reference.labels_col_)


class Networkit(Clustering):
    """networkit's parallel Louvain: another objective (both sides as one), and its partition
    changes from run to run where there is more than one thread."""

    name: ClassVar[str] = "networkit"

    def cluster(self, graph: BipartiteGraph, resolution: float, *, tied: bool = False) -> Partition:
        try:
            import networkit
        except ImportError as fault:
            raise _missing("networkit", "networkit") from fault
        _only_degrees(self.name, graph, tied)
        edges = _matrix(graph).tocoo()
        ends = edges.row.astype(np.uint64), edges.col.astype(np.uint64) + np.uint64(graph.n_users)
        whole = networkit.graph.Graph(n=graph.n, weighted=True)
        whole.addEdges((edges.data, ends))
        # Over both sides a degree is a share of 2 m, not of m: a pair costs half, so gamma doubles.
        plm = networkit.community.PLM(whole, refine=True, gamma=resolution * 2)
        labels = np.asarray(plm.run().getPartition().getVector(), dtype=np.int64)
        return Partition.of(labels[: graph.n_users], labels[graph.n_users :])


CLUSTERINGS: Registry[Clustering] = Registry(
    "clustering engine", Louvain, Leiden, Sknetwork, Networkit
)


def _matrix(graph: BipartiteGraph) -> Any:
    rows = graph.by_user
    weights = graph.user_weights
    values = np.ones(len(rows.indices)) if weights is None else weights.astype(np.float64)
    return scipy.sparse.csr_matrix(
        (values, rows.indices, rows.offsets), shape=(graph.n_users, graph.n_items)
    )


def _only_degrees(engine: str, graph: BipartiteGraph, tied: bool) -> None:
    if tied:
        raise UsageError("this engine cannot tie rows to columns", name=engine,
                         fix="use the engine louvain or leiden")  # fmt: skip
    if (graph.user_power[0], graph.item_power[0]) != (1.0, 1.0):
        raise UsageError("this engine knows Barber's null model only", name=engine,
                         fix="use the engine louvain or leiden")  # fmt: skip


def _missing(package: str, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"{package} is not installed", fix=f"run pip install 'hashrec[{extra}]'"
    )
