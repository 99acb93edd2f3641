"""`two-tower`: ids and features through a network on each side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from hashrec.bucketing import Buckets
from hashrec.encoders.trained import TrainedEncoder
from hashrec.errors import DataError
from hashrec.interactions import Interactions
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.training.backbone import Backbone

__all__ = ["TwoTower"]

Width = Annotated[int, Field(ge=1)]


class TwoTower(TrainedEncoder):
    """A vector is x + MLP([x ; features]), x being that of the id's table.

    Features of users, of items, of both or of neither come with the task (`hashrec fit
    --user-features --item-features`).

    Attributes:
        hidden: widths of the layers between.
    """

    name: ClassVar[str] = "two-tower"
    takes_features: ClassVar[bool] = True

    hidden: tuple[Width, ...] = (128,)

    def build(self, task: Task, log: Interactions, made: Buckets) -> Backbone:
        import torch

        from hashrec.training.two_tower import TwoTowerModule

        sides = [
            torch.from_numpy(_features(task, side, n))
            for side, n in (("user", log.n_users), ("item", log.n_items))
        ]
        tables = self.tables(task, log, made)
        return TwoTowerModule(*tables, sides[0], sides[1], self.hidden, task.seed)


def _features(task: Task, side: str, n: int) -> Any:
    """(n, f) float32, with f = 0 where there are none."""
    given = task.features.get(side)
    if given is None:
        return np.zeros((n, 0), np.float32)
    given = np.asarray(given, dtype=np.float32)
    if given.ndim != 2 or len(given) != n:
        raise DataError(
            f"{side} features of another number of {side}s", expected=f"{n} rows",
            got=f"{given.shape}",
        )  # fmt: skip
    if not np.isfinite(given).all():
        raise DataError(
            f"{side} features that are no numbers",
            got=f"{int((~np.isfinite(given)).sum())} missing or infinite",
            fix="fill them in, or read them with hashrec.read_features, which does",
        )
    return given
