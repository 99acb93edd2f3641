"""LightGCN."""

from __future__ import annotations

from typing import Any

import torch

from hashrec.training.backbone import Backbone, Seen, Vectors
from hashrec.training.propagation import Propagation
from hashrec.training.table import HashedEmbedding

__all__ = ["LightGcnModule"]


class LightGcnModule(Backbone):
    """s(u, i) = u . i with (u, i) = sum_k a_k N^k e, e the tables' vectors and N the graph.

    X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation", SIGIR 2020, eq. 3 and 4.
    """

    propagates = True

    def __init__(
        self, users: HashedEmbedding, items: HashedEmbedding, propagation: Propagation
    ) -> None:
        super().__init__()
        self.user_table, self.item_table, self.propagation = users, items, propagation

    def forward(self) -> Seen:
        return Vectors(*self._propagated())

    def rotate(self, matrix: Any) -> bool:
        return self._rotate_tables(matrix)

    def export(self) -> tuple[Any, Any]:
        with torch.no_grad():
            return self._propagated()

    @property
    def width(self) -> int:
        layers = len(self.propagation.weights) if self.propagation.concatenate else 1
        return layers * self.item_table.embedding_dim

    def _propagated(self) -> tuple[Any, Any]:
        return self.propagation(self.user_table.full(), self.item_table.full())
