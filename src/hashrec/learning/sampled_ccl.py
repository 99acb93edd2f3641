"""Cosine contrastive loss over sampled negatives."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from hashrec.learning.bpr import Bpr
from hashrec.learning.loss import Batch, View

__all__ = ["SampledCcl"]


class SampledCcl(Bpr):
    """mean of (1 - cos(u, i)) + weight * mean over negatives j of max(0, cos(u, j) - margin).

    K. Mao et al., "SimpleX: A Simple and Strong Baseline for Collaborative Filtering", CIKM 2021,
    eq. 1.

    Attributes:
        margin: cosines of negatives below it are left in peace. weight: of the negatives' part.
    """

    name: ClassVar[str] = "sampled-ccl"
    cosine: ClassVar[bool] = True
    bilinear: ClassVar[bool] = True

    negatives: Annotated[int, Field(ge=1)] = 64
    margin: Annotated[float, Field(ge=-1, lt=1)] = 0.4
    weight: Annotated[float, Field(gt=0)] = 64.0

    def __call__(self, view: View, batch: Batch) -> Any:
        from torch.nn.functional import normalize, relu

        users = normalize(view.users(batch.users), dim=-1)
        wanted = (users * normalize(view.items(batch.items), dim=-1)).sum(-1)
        drawn = normalize(view.items(batch.negatives), dim=-1)
        others = relu((drawn @ users[:, :, None]).squeeze(-1) - self.margin)
        return (1 - wanted).mean() + self.weight * others.mean()
