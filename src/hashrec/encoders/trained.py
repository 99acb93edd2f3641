"""What trained encoders have in common: dimensions, a start, and the way through the loop."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hashrec.bucketing import Buckets
from hashrec.encoders.base import Encoder, Encoding, FoldIn
from hashrec.encoders.spectral import Spectral
from hashrec.interactions import Interactions
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.training.backbone import Backbone
    from hashrec.training.table import HashedEmbedding

__all__ = ["TrainedEncoder"]

Floats = npt.NDArray[np.float32]


class TrainedEncoder(Encoder):
    """Options of all trained encoders. Needs the extra `train`.

    Attributes:
        dim: of the tables' vectors.
        start: `spectral`: directions of the spectral encoder, from which training is several
            times shorter; `normal`: N(0, scale^2). Vectors of shared rows start at their nearest.
        scale: root mean square of a number of a table at the start.
    """

    dim: Annotated[int, Field(ge=1, le=65_536)] = 64
    start: Literal["spectral", "normal"] = "spectral"
    scale: Annotated[float, Field(gt=0)] = 0.1

    @abstractmethod
    def build(self, task: Task, log: Interactions, made: Buckets) -> Backbone:
        """The module over its tables, ready to be trained."""

    def fit(self, task: Task) -> Encoding:
        from hashrec.training.fit import train

        trained = train(
            task, self.width, lambda log, made: self.build(task, log, made), self.to_dict()
        )
        return Encoding(trained.users, trained.items, self.fold_in(), trained.facts, trained)

    def fold_in(self) -> FoldIn | None:
        """How a history becomes a vector: the mean of its items, popular ones counting less."""
        return FoldIn(user_exponent=0.5, item_exponent=0.5)

    @property
    def width(self) -> int:
        """Dimensions of a table's vector."""
        return self.dim

    def tables(
        self, task: Task, log: Interactions, made: Buckets
    ) -> tuple[HashedEmbedding, HashedEmbedding]:
        """Both tables at their start: the same for the same log, buckets and seed."""
        from hashrec.training.start import near, normal

        if self.start == "normal":
            return normal(made, self.width, self.scale, task.seed)
        return near(made, *self._directions(log, self.width, task.seed))

    def _directions(self, log: Interactions, dim: int, seed: int) -> tuple[Floats, Floats]:
        """Spectral vectors at length scale * sqrt(dim). What the data do not give is noise of the
        same size: dimensions beyond theirs or beyond their rank (zero on both sides, they would
        stay zero), and ids without edges (the cosine of a zero vector has a slope of 1e12, after
        which Adam moves nothing that it shares)."""
        found = Spectral(dim=dim).encode(log.matrix, np.random.default_rng(seed))
        rng = np.random.default_rng([seed, 1])
        sides = []
        for vectors in (found.users, found.items):
            wide = rng.normal(size=(len(vectors), dim)).astype(np.float32) * np.float32(self.scale)
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            known, live = np.flatnonzero(lengths), np.flatnonzero(vectors.any(axis=0))
            size = np.float32(self.scale * np.sqrt(len(live)))
            wide[np.ix_(known, live)] = vectors[np.ix_(known, live)] / lengths[known] * size
            sides.append(wide)
        return sides[0], sides[1]
