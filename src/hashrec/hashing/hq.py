"""`hq`: HQ-GNN, b bits on both sides and gradients scaled by what the Hessian says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hashrec.errors import RecipeError
from hashrec.hashing.learned import LearnedCoder
from hashrec.learning import Task
from hashrec.learning.directau import DirectAU

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["HqCodes"]


class HqCodes(LearnedCoder):
    """A uniform quantiser of `bits` bits on users and items, its rounding passed by g (1 + delta
    sign(g) (x - x_q)), delta from the trace of the Hessian.

    "Hessian-aware Quantized Node Embeddings for Recommendation", RecSys 2023, with the quantiser
    and the rule of EWGS (CVPR 2021) where the paper leaves them open. Ours: ranges are symmetric,
    so that a product of two codes is one of small integers, and delta is refreshed from batches of
    the loss that is trained.

    Attributes:
        bits: a dimension. range: see `ste`.
        delta: fixed; None: max(0, mean of (tr H / N) / (3 std g)) over `batches` batches of
            `probed` users or interactions, found anew every `refresh` epochs; 0 is the
            straight-through estimator.
        rotate: turn all vectors by a random rotation first, where the encoder is linear.
    """

    name: ClassVar[str] = "hq"

    bits: Annotated[int, Field(ge=1, le=8)] = 1
    range: Literal["row", "dimension", "table"] = "table"
    users: Literal["float", "coded"] = "coded"
    delta: Annotated[float, Field(ge=0)] | None = None
    refresh: Annotated[int, Field(ge=1)] = 5
    batches: Annotated[int, Field(ge=1)] = 3
    probed: Annotated[int, Field(ge=1)] = 16
    rotate: bool = True

    @model_validator(mode="after")
    def _twice(self) -> HqCodes:
        if self.delta is None and isinstance(self.loss, DirectAU):
            raise RecipeError(
                "the Hessian of this loss cannot be had: torch differentiates its distances once",
                name="codes.loss", expected="another loss, or a fixed codes.delta",
                got=self.loss.name, fix="take softmax, or set codes.delta to 0",
            )  # fmt: skip
        return self

    def build(self, inner: Backbone, task: Task) -> CodedModule:
        from hashrec.hashing.hessian_aware import HessianAware

        return HessianAware(inner, self, task.seed)
