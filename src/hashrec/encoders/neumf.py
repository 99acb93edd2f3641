"""`neumf`: a dot product and a network side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from hashrec.bucketing import Buckets
from hashrec.encoders.trained import TrainedEncoder
from hashrec.errors import RecipeError
from hashrec.interactions import Interactions
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.training.backbone import Backbone

__all__ = ["NeuMf"]

Width = Annotated[int, Field(ge=1)]


class NeuMf(TrainedEncoder):
    """NeuMF: h . [p_u * q_i ; MLP([p'_u ; q'_i])], tables of p and p' (`dim` each) side by side.

    X. He et al., "Neural Collaborative Filtering", WWW 2017. Its score is no dot product, so
    what is served are the vectors of the nearest score of `rank` dimensions that is one; finding
    them scores every pair twice, at every evaluation: an encoder for small catalogues. Of the
    losses, `bpr` and `logistic` can judge it.

    Attributes:
        hidden: widths of the layers. rank: of the vectors served.
    """

    name: ClassVar[str] = "neumf"

    hidden: tuple[Width, ...] = (64, 64, 64)
    rank: Annotated[int, Field(ge=1)] = 128

    @property
    def width(self) -> int:
        return 2 * self.dim

    def build(self, task: Task, log: Interactions, made: Buckets) -> Backbone:
        from hashrec.training.neu_mf import NeuMfModule

        if task.training.loss.bilinear:
            raise RecipeError(
                f"loss {task.training.loss.name} needs dot products and neumf has none",
                name="training.loss", expected="bpr or logistic",
            )  # fmt: skip
        tables = self.tables(task, log, made)
        return NeuMfModule(*tables, self.hidden, self.rank, task.seed)
