"""`tuned`: transform codes, and an encoder that has learned to live with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hashrec.errors import RecipeError
from hashrec.hashing.learned import LearnedCoder
from hashrec.learning import Loss, Task
from hashrec.learning.softmax import Softmax

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["TunedCodes"]


class TunedCodes(LearnedCoder):
    """`transform` codes in the loop, taught by the encoder as it came.

    This library's own. Each step sees what the codes decode to, and gradients pass straight
    through to every direction that has bits. The loss is the cross entropy from the softmax of the
    encoder's scores of all items to that of the codes' (`hashrec.hashing.taught`), both over
    `temperature` times the usual spread of a user's scores: whatever the encoder was trained for,
    its order is what codes should keep. Directions, bits and levels are no weights: they are fitted
    to the vectors before each epoch, and once more to what training ends with.

    Attributes:
        bits, size: see `transform`; with coded users, theirs too.
        temperature: small: the first places alone count.
    """

    name: ClassVar[str] = "tuned"

    bits: Annotated[int, Field(ge=1, le=8)] = 2
    size: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(gt=0)] = 0.8
    centre: Literal[False] = False

    @model_validator(mode="after")
    def _taught_by_scores(self) -> TunedCodes:
        if self.loss != Softmax():
            raise RecipeError(
                "tuned codes are taught by the encoder's scores, not by a loss of interactions",
                name="codes.loss", got=self.loss.name, fix="leave it out, or set codes.temperature",
            )  # fmt: skip
        return self

    @property
    def small(self) -> Loss:
        return Softmax(temperature=self.temperature)

    def build(self, inner: Backbone, task: Task) -> CodedModule:
        from hashrec.hashing.transformed import Transformed

        return Transformed(inner, self, task)
