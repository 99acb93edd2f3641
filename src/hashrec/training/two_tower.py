"""Two towers."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn
from torch.nn.utils import skip_init

from hashrec.training.backbone import Backbone, Seen
from hashrec.training.mf import Looked
from hashrec.training.table import HashedEmbedding

__all__ = ["TwoTowerModule"]


class TwoTowerModule(Backbone):
    """s(u, i) = f(u) . g(i), a tower being x + MLP([x ; features]) of an id's table vector x.

    P. Covington et al., RecSys 2016, and X. Yi et al., RecSys 2019, in their common part. The sum
    with x lets training begin where the tables do: the last layer starts at zero.
    """

    def __init__(
        self, users: HashedEmbedding, items: HashedEmbedding, user_features: Any,
        item_features: Any, hidden: tuple[int, ...], seed: int,
    ) -> None:  # fmt: skip
        """Features are (n_users, f) and (n_items, g) float32; f or g may be 0."""
        super().__init__()
        self.user_table, self.item_table = users, items
        generator = torch.Generator().manual_seed(seed)
        self.user_tower = _Tower(users.embedding_dim, user_features, hidden, generator)
        self.item_tower = _Tower(items.embedding_dim, item_features, hidden, generator)

    def forward(self) -> Seen:
        return _Towers(self)

    def users(self, positions: Any) -> Any:
        return self.user_tower(self.user_table(positions), positions)

    def items(self, positions: Any) -> Any:
        return self.item_tower(self.item_table(positions), positions)

    def all_items(self) -> Any:
        return self.items(_everyone(self.item_table))

    def export(self) -> tuple[Any, Any]:
        with torch.no_grad():
            return self.users(_everyone(self.user_table)), self.all_items()


class _Tower(nn.Module):  # type: ignore[misc]
    def __init__(
        self, dim: int, features: Any, hidden: tuple[int, ...], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.register_buffer("features", features, persistent=False)
        sizes = (dim + features.shape[1], *hidden, dim)
        # skip_init: what torch would draw first would come from everybody's generator.
        layers = [skip_init(nn.Linear, a, b) for a, b in itertools.pairwise(sizes)]
        self.layers = nn.ModuleList(layers)
        with torch.no_grad():
            for layer in layers:
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.zero_()
            layers[-1].weight.zero_()

    def forward(self, vectors: Any, positions: Any) -> Any:
        deep = torch.cat([vectors, self.features[positions]], -1)
        for layer in self.layers[:-1]:
            deep = layer(deep).relu()
        return vectors + self.layers[-1](deep)


class _Towers(Looked):
    def users(self, positions: Any) -> Any:
        return self._module.users(positions)

    def items(self, positions: Any) -> Any:
        return self._module.items(positions)

    def all_items(self) -> Any:
        return self._module.all_items()


def _everyone(table: HashedEmbedding) -> Any:
    return torch.arange(table.num_embeddings, device=table.weight.device)
