"""Logistic loss: is this pair an interaction?"""

from __future__ import annotations

from typing import Any, ClassVar

from hashrec.learning.bpr import Bpr
from hashrec.learning.loss import Batch, View

__all__ = ["Logistic"]


class Logistic(Bpr):
    """mean of -log sigmoid(s(u, i)) + mean over its negatives of -log sigmoid(-s(u, j)).

    X. He et al., "Neural Collaborative Filtering", WWW 2017, eq. 7, positives and negatives
    weighing alike. Options as of `bpr`.
    """

    name: ClassVar[str] = "logistic"

    def __call__(self, view: View, batch: Batch) -> Any:
        from torch.nn.functional import softplus

        users = view.users(batch.users)
        wanted = view.score(users, view.items(batch.items))
        others = view.score(users[:, None], view.items(batch.negatives))
        return softplus(-wanted).mean() + softplus(others).mean()
