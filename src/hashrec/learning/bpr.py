"""Bayesian personalised ranking."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from hashrec.learning.loss import Batch, Loss, View
from hashrec.learning.samplers import SAMPLERS, Sampler, Uniform

__all__ = ["Bpr"]


class Bpr(Loss):
    """mean of -log sigmoid(s(u, i) - s(u, j)) over positives i and their negatives j.

    S. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.

    Attributes:
        sampler: who draws the negatives. negatives: how many for each positive.
    """

    name: ClassVar[str] = "bpr"

    sampler: Sampler = Uniform()
    negatives: Annotated[int, Field(ge=1)] = 1

    @field_validator("sampler", mode="before")
    @classmethod
    def _from_registry(cls, value: Any) -> Any:
        return SAMPLERS.parse(value)

    @property
    def drawing(self) -> tuple[Sampler, int]:
        return self.sampler, self.negatives

    def __call__(self, view: View, batch: Batch) -> Any:
        from torch.nn.functional import softplus

        users = view.users(batch.users)
        wanted = view.score(users, view.items(batch.items))
        others = view.score(users[:, None], view.items(batch.negatives))
        return softplus(others - wanted[:, None]).mean()
