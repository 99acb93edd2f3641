"""`mf`: matrix factorisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hashrec.bucketing import Buckets
from hashrec.encoders.trained import TrainedEncoder
from hashrec.interactions import Interactions
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.training.backbone import Backbone

__all__ = ["Mf"]


class Mf(TrainedEncoder):
    """A score is the dot product of a user's and an item's vector, and these are the tables.

    Y. Koren, R. Bell, C. Volinsky, "Matrix Factorization Techniques for Recommender Systems",
    Computer 42(8), 2009, without biases.
    """

    name: ClassVar[str] = "mf"

    def build(self, task: Task, log: Interactions, made: Buckets) -> Backbone:
        from hashrec.training.mf import MfModule

        return MfModule(*self.tables(task, log, made))
