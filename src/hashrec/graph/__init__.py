"""The interaction graph: the normalised bipartite operator and its product with dense blocks."""

from hashrec.graph.operator import BipartiteOperator
from hashrec.graph.propagate import propagate, propagate_oracle

__all__ = ["BipartiteOperator", "propagate", "propagate_oracle"]
