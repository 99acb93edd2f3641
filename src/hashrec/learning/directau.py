"""Alignment and uniformity."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from hashrec.learning.loss import Batch, Loss, View

__all__ = ["DirectAU"]


class DirectAU(Loss):
    """mean |u - i|^2 + gamma / 2 (U(users) + U(items)), U(x) = log mean exp(-2 |x - x'|^2).

    C. Wang et al., "Towards Representation Alignment and Uniformity in Collaborative Filtering",
    KDD 2022. Vectors are taken at length one in the loss and as they are for ranking. U is the
    mean over the pairs of different rows of the batch; of more than `pairs` rows, of so many at
    even distances: a batch is sorted, and its first rows are always the same users.

    Attributes:
        gamma: weight of uniformity. pairs: rows compared with one another, at most.
    """

    name: ClassVar[str] = "directau"
    bilinear: ClassVar[bool] = True

    gamma: Annotated[float, Field(gt=0)] = 1.0
    pairs: Annotated[int, Field(ge=2)] = 2048

    def __call__(self, view: View, batch: Batch) -> Any:
        from torch import arange
        from torch.nn.functional import normalize, pdist

        users = normalize(view.users(batch.users), dim=-1)
        items = normalize(view.items(batch.items), dim=-1)
        loss = (users - items).square().sum(-1).mean()
        if len(users) > 1:  # one row has nobody to keep away from
            some = min(len(users), self.pairs)
            spread = arange(some, device=users.device) * len(users) // some
            for side in (users, items):
                apart = pdist(side[spread]).square()
                loss = loss + self.gamma / 2 * apart.mul(-2).exp().mean().log()
        return loss
