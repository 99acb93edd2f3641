"""Neural matrix factorisation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils import skip_init

from hashrec.training.backbone import Backbone, Seen
from hashrec.training.mf import Looked
from hashrec.training.table import HashedEmbedding

__all__ = ["NeuMfModule"]

_PAIRS = 1 << 20  # scored at a time
_SPARE = 16  # columns beyond the rank, for the range finder


class NeuMfModule(Backbone):
    """s(u, i) = h . [p_u * q_i ; MLP([p'_u ; q'_i])], p and p' the halves of a user's vector.

    X. He et al., "Neural Collaborative Filtering", WWW 2017, eq. 12; layers of ReLU. The score is
    no dot product, so what is exported are the vectors of the best rank that a dot product has:
    S ~ Q (Q^T S), Q an orthonormal basis of S applied to noise (N. Halko et al., SIAM Review 53,
    2011), twice through all pairs.

    Attributes:
        rank: dimensions of exported vectors.
    """

    bilinear = False

    def __init__(
        self, users: HashedEmbedding, items: HashedEmbedding, hidden: tuple[int, ...], rank: int,
        seed: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.user_table, self.item_table, self.rank, self.seed = users, items, rank, seed
        half = users.embedding_dim // 2
        sizes = (2 * half, *hidden)
        # skip_init: what torch would draw first would come from everybody's generator.
        layers = [skip_init(nn.Linear, a, b) for a, b in itertools.pairwise(sizes)]
        self.layers, self.head = nn.ModuleList(layers), skip_init(nn.Linear, half + sizes[-1], 1)
        _draw(self, seed)
        with torch.no_grad():  # at first a plain dot product of the halves p and q
            self.head.weight[:, :half] = 1.0

    def forward(self) -> Seen:
        return _Judged(self)

    def score(self, users: Any, items: Any) -> Any:
        """(...) from (..., 2 d) and (..., 2 d), by broadcasting."""
        users, items = torch.broadcast_tensors(users, items)
        (p, p_deep), (q, q_deep) = users.chunk(2, -1), items.chunk(2, -1)
        deep = torch.cat([p_deep, q_deep], -1)
        for layer in self.layers:
            deep = layer(deep).relu()
        return self.head(torch.cat([p * q, deep], -1)).squeeze(-1)

    def export(self) -> tuple[Any, Any]:
        with torch.no_grad():
            users, items = self.user_table.full(), self.item_table.full()
            rank = min(self.rank, len(users), len(items))
            width = min(rank + _SPARE, len(users), len(items))
            generator = torch.Generator().manual_seed(self.seed)
            noise = torch.randn(len(items), width, generator=generator).to(items.device)
            range_of = torch.cat([block @ noise for _, block in self._blocks(users, items)])
            basis = torch.linalg.qr(range_of)[0]
            image = torch.zeros(width, len(items), device=items.device)
            for rows, block in self._blocks(users, items):
                image += basis[rows].T @ block
            left, strength, right = torch.linalg.svd(image, full_matrices=False)
            root = strength[:rank].sqrt()
            return basis @ left[:, :rank] * root, right[:rank].T * root

    def _blocks(self, users: Any, items: Any) -> Iterator[tuple[slice, Any]]:
        """All scores, some users at a time."""
        size = max(1, _PAIRS // max(len(items), 1))
        for start in range(0, len(users), size):
            rows = slice(start, start + size)
            yield rows, self.score(users[rows, None], items[None])


class _Judged(Looked):
    def score(self, users: Any, items: Any) -> Any:
        return self._module.score(users, items)


def _draw(module: NeuMfModule, seed: int) -> None:
    """Weights of layers from a generator of their own, as torch draws them: U(-a, a), a = 1 /
    sqrt(inputs); biases start at 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in (*module.layers, module.head):
            bound = layer.in_features**-0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.zero_()
