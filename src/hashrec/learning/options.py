"""How a model is trained: the options of the loop."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from hashrec.component import Component
from hashrec.learning.loss import Loss
from hashrec.learning.losses import LOSSES
from hashrec.learning.softmax import Softmax

__all__ = ["Looping", "Training"]


class Looping(Component):
    """What every training loop is told.

    Attributes:
        epochs: at most; the schedule ends there, whether or not training stops before.
        accumulate: steps whose gradients are averaged before the optimiser moves.
        learning_rate: of Adam. schedule: `cosine` falls to 0 at the last epoch. warmup: the share
            of all steps over which the rate rises from 0.
        every: epochs between evaluations. patience: evaluations without a new best, then it stops.
        device: `cpu`, `cuda`, or what torch calls it.
    """

    epochs: Annotated[int, Field(ge=1)] = 40
    accumulate: Annotated[int, Field(ge=1)] = 1
    learning_rate: Annotated[float, Field(gt=0)] = 0.03
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    every: Annotated[int, Field(ge=1)] = 5
    patience: Annotated[int, Field(ge=1)] = 3
    device: str = "cpu"


class Training(Looping):
    """Where the defaults come from: docs/experiments.md.

    Attributes:
        loss: what is made small.
        batch: users (`ccl`, `softmax`) or interactions (other losses) a step; None: 2,048 users,
            8,192 interactions. More than there are: all of them.
        decay: times half the squared length of the batch's own table vectors (before any
            propagation), a mean over the batch, is added to the loss.
        valid: the share of each user's interactions on which recall@20 is watched; 0: on none, and
            all epochs are run.
        refit: after stopping, train anew on everything for as many epochs as were best.
        precision: of the matrix of scores of `ccl` and `softmax`: with `auto`, `bfloat16` where
            the processor multiplies it.
    """

    name: ClassVar[str] = "training"

    loss: Loss = Softmax()
    batch: Annotated[int, Field(ge=1)] | None = None
    decay: Annotated[float, Field(ge=0)] = 0.0
    valid: Annotated[float, Field(ge=0, lt=1)] = 0.1
    refit: bool = True
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @field_validator("loss", mode="before")
    @classmethod
    def _from_registry(cls, value: Any) -> Any:
        if isinstance(value, dict) and "name" not in value:
            value = {"name": Softmax.name, **value}
        return LOSSES.parse(value)
