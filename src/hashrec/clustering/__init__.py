"""Communities of a bipartite graph: users and items that meet each other more than by chance."""

from hashrec.clustering.bipartite import BipartiteGraph, Partition
from hashrec.clustering.engines import CLUSTERINGS, Clustering
from hashrec.clustering.louvain import louvain
from hashrec.clustering.modularity import modularity, modularity_oracle
from hashrec.clustering.transpose import transposed

__all__ = [
    "CLUSTERINGS",
    "BipartiteGraph",
    "Clustering",
    "Partition",
    "louvain",
    "modularity",
    "modularity_oracle",
    "transposed",
]
