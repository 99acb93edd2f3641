"""`bigear`: BiGeaR, signs of every layer, taught by the lists of the vectors they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from hashrec.hashing.learned import LearnedCoder
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["BigearCodes"]


class BigearCodes(LearnedCoder):
    """sign(x) mean|x|, the sign passing a bell, and `distillation` times the mean over a user's
    teacher list of exp(-0.1 rank) softplus(-10 cos).

    The teacher is the encoder as it came: its lists are the unseen items of the largest cosine with
    the user, items around their mean where `centre` is set. cos is of what the codes decode to, and
    10 stretches it to the range of a trained dot product.

    H. Chen et al., "Learning Binarized Graph Representations with Multi-faceted Quantization
    Reinforcement for Top-K Recommendation", KDD 2022. Its layers side by side, deeper ones
    weighing more, are `encoder.concatenate` and `encoder.layer_weights`. Open here and ours: a row
    has one scale, not one a layer; one list a user, from the whole vectors, not one a layer.

    Attributes:
        distillation: weight of the lists. listed: items in each.
    """

    name: ClassVar[str] = "bigear"

    bits: Annotated[int, Field(ge=1, le=1)] = 1
    users: Literal["float", "coded"] = "coded"
    distillation: Annotated[float, Field(ge=0)] = 0.1
    listed: Annotated[int, Field(ge=1)] = 100

    def build(self, inner: Backbone, task: Task) -> CodedModule:
        from hashrec.hashing.coded import sides_of
        from hashrec.hashing.distilled import Distilled

        sides = sides_of(inner, 1, "row", "dirac", coded_users=self.users == "coded")
        return Distilled(inner, *sides, task, self.distillation, self.listed)
