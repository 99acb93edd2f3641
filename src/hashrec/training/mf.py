"""Matrix factorisation."""

from __future__ import annotations

from typing import Any

import torch

from hashrec.training.backbone import Backbone, Seen
from hashrec.training.table import HashedEmbedding

__all__ = ["Looked", "MfModule"]


class MfModule(Backbone):
    """s(u, i) = u . i, the vectors being those of the tables."""

    def __init__(self, users: HashedEmbedding, items: HashedEmbedding) -> None:
        super().__init__()
        self.user_table, self.item_table = users, items

    def forward(self) -> Seen:
        return Looked(self)

    def rotate(self, matrix: Any) -> bool:
        return self._rotate_tables(matrix)

    def export(self) -> tuple[Any, Any]:
        with torch.no_grad():
            return self.user_table.full(), self.item_table.full()


class Looked(Seen):
    """Vectors are looked up where they are wanted, so a step touches no more."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def users(self, positions: Any) -> Any:
        return self._module.user_table(positions)

    def items(self, positions: Any) -> Any:
        return self._module.item_table(positions)

    def all_items(self) -> Any:
        return self._module.item_table.full()
