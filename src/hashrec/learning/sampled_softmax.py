"""Softmax over a positive and a sample of negatives, corrected for how they were drawn."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from hashrec.learning.loss import Batch, Loss, View
from hashrec.learning.samplers import SAMPLERS, Sampler, Uniform

__all__ = ["SampledSoftmax"]


class SampledSoftmax(Loss):
    """mean of -log(exp s_ui / (exp s_ui + sum over sampled j of exp(s_uj) / m_j)).

    s are cosines over `temperature`, m_j is how often j is expected in the sample (log-Q
    correction; Y. Bengio and J.-S. Senecal, IEEE Trans. Neural Networks 19, 2008; X. Yi et al.,
    RecSys 2019), so the sum estimates the one over all items. The sample is shared by the batch;
    negatives that are positives of a user are left out of their row.

    Attributes:
        sampler: who draws. negatives: how many for a batch; the in-batch sampler takes the
            positives of the batch, however many.
    """

    name: ClassVar[str] = "sampled-softmax"
    cosine: ClassVar[bool] = True
    shared: ClassVar[bool] = True
    bilinear: ClassVar[bool] = True

    sampler: Sampler = Uniform()
    negatives: Annotated[int, Field(ge=1)] = 1024
    temperature: Annotated[float, Field(gt=0)] = 0.1

    @field_validator("sampler", mode="before")
    @classmethod
    def _from_registry(cls, value: Any) -> Any:
        return SAMPLERS.parse(value)

    @property
    def drawing(self) -> tuple[Sampler, int]:
        return self.sampler, self.negatives

    def __call__(self, view: View, batch: Batch) -> Any:
        import torch
        from torch.nn.functional import normalize

        users = normalize(view.users(batch.users), dim=-1) / self.temperature
        wanted = (users * normalize(view.items(batch.items), dim=-1)).sum(-1)
        others = users @ normalize(view.items(batch.negatives), dim=-1).T - batch.log_chance
        others = others.masked_fill(batch.clash, -torch.inf)
        both = torch.cat([wanted[:, None], others], dim=1)
        return (both.logsumexp(1) - wanted).mean()
