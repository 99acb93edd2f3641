"""A coded module that is also taught the lists its vectors gave before they were coded."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import normalize, softplus

from hashrec.csr import Csr
from hashrec.hashing.coded import CodedModule, CodedSeen
from hashrec.hashing.quantisers import Side
from hashrec.learning import Batch, Task
from hashrec.training.backbone import Backbone, Seen

__all__ = ["Distilled", "best_lists"]

_FALL = 0.1  # a place further down the list counts exp(-0.1) as much
_BLOCK = 1_024
# Cosines are stretched to the range of a trained dot product, where softplus has a slope to give.
_STRETCH = 10.0


class Distilled(CodedModule):
    """Attributes: lists: (n_users, k) int64 positions, best first; -1 where there are no more."""

    def __init__(
        self, inner: Backbone, users: Side, items: Side, task: Task, weight: float, k: int
    ) -> None:
        super().__init__(inner, users, items)
        self.weight = weight
        lists = best_lists(*inner.export(), task.log.matrix, min(k, task.log.n_items))
        self.register_buffer("lists", lists, persistent=False)

    def forward(self) -> Seen:
        return _Taught(self, self.inner())


class _Taught(CodedSeen):
    module: Distilled

    def extra(self, batch: Batch) -> Any:
        """weight * mean over the batch's users and their lists of exp(-0.1 rank) softplus(-s)."""
        listed = self.module.lists[batch.users]
        users = normalize(self.users(batch.users), dim=-1)
        items = normalize(self.items(listed.clamp(min=0)), dim=-1)
        scores = _STRETCH * torch.einsum("ud,ukd->uk", users, items)
        ranks = torch.arange(1, listed.shape[1] + 1, device=listed.device)
        counted = torch.exp(-_FALL * ranks) * (listed >= 0)
        return self.module.weight * (counted * softplus(-scores)).mean()


def best_lists(users: Any, items: Any, seen: Csr, k: int) -> Any:
    """(n_users, k) the best unseen items of each user by cosine, best first; -1 beyond the end."""
    users, items = normalize(users, dim=-1), normalize(items, dim=-1)
    owner = torch.from_numpy(seen.row_of_entry)
    met = torch.from_numpy(seen.indices.astype("int64"))
    found = []
    for start in range(0, len(users), _BLOCK):
        scores = users[start : start + _BLOCK] @ items.T
        first, last = seen.offsets[start], seen.offsets[min(start + _BLOCK, len(users))]
        scores[owner[first:last] - start, met[first:last]] = -torch.inf
        best, places = scores.topk(k, dim=1)
        found.append(torch.where(best > -torch.inf, places, -1))
    return torch.cat(found)
