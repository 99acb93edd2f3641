"""`tuned`: transform codes, and an encoder that has learned to live with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from hashrec.hashing.learned import LearnedCoder
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["TunedCodes"]


class TunedCodes(LearnedCoder):
    """`transform` codes in the loop: each step sees what they decode to, and gradients pass
    straight through to every direction that has bits.

    This library's own. Directions, bits and levels are no weights: they are fitted to the vectors
    before each epoch, and once more to what training ends with, so a code is always the one that
    `transform` would give. Nothing is centred, since its levels lie around each direction's mean.

    Attributes:
        bits, size: see `transform`; with coded users, theirs too.
    """

    name: ClassVar[str] = "tuned"

    bits: Annotated[int, Field(ge=1, le=8)] = 2
    size: Annotated[int, Field(ge=1)] | None = None
    centre: Literal[False] = False
    epochs: Annotated[int, Field(ge=1)] = 5

    def build(self, inner: Backbone, task: Task) -> CodedModule:
        from hashrec.hashing.transformed import Transformed

        return Transformed(inner, self, task.seed)
