"""`ste`: codes in the loop, gradients straight through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hashrec.hashing.learned import LearnedCoder
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["SteCodes"]


class SteCodes(LearnedCoder):
    """A uniform quantiser of `bits` bits behind the encoder, trained under the encoder's own loss.

    With float users it is this library's own: what is trained is what is served, float user
    against coded item, under a loss over all items, after a random rotation that spreads the
    vectors over all dimensions.

    Attributes:
        bits: a dimension. dim: of a code; None: that of the vectors. Another is reached by a map
            of each side, which is learned with the rest.
        range: whose numbers share a scale: a row's (four bytes each), those of a dimension, or all
            of a table's.
        estimator: what gradient passes the rounding; `dirac`, `fourier` and `tanh` at one bit.
        rotate: turn all vectors by a random rotation first, where the encoder is linear. Maps to
            `dim` are turned at the start in any case.
    """

    name: ClassVar[str] = "ste"

    bits: Annotated[int, Field(ge=1, le=8)] = 1
    dim: Annotated[int, Field(ge=1, le=65_536)] | None = None
    range: Literal["row", "dimension", "table"] = "row"
    estimator: Literal["identity", "clipped", "dirac", "fourier", "tanh"] = "clipped"
    rotate: bool = True

    @model_validator(mode="after")
    def _signs_only(self) -> SteCodes:
        if self.bits > 1 and self.estimator in ("dirac", "fourier", "tanh"):
            raise ValueError(f"estimator {self.estimator} is of the sign, so bits must be 1")
        return self

    @model_validator(mode="after")
    def _turned(self) -> SteCodes:
        if self.dim is not None and not self.rotate:
            raise ValueError("the map to dim dimensions is always turned: leave out rotate, or dim")
        return self

    def build(self, inner: Backbone, task: Task) -> CodedModule:
        from hashrec.hashing.coded import CodedModule, sides_of, turn
        from hashrec.hashing.hash_layer import mapped

        if self.dim is not None:
            return mapped(inner, self, task.seed)
        if self.rotate:
            turn(inner, task.seed)
        coded = self.users == "coded"
        return CodedModule(
            inner, *sides_of(inner, self.bits, self.range, self.estimator, coded_users=coded)
        )
