"""What every encoder gives back, and how a history becomes a vector."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.component import Component
from hashrec.csr import Csr
from hashrec.graph import propagate
from hashrec.graph.operator import degree_power
from hashrec.learning import Task

__all__ = ["Encoder", "Encoding", "FoldIn"]

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FoldIn:
    """A user as a function of their items: u = |H|^-a sum over i in H of d_i^-w item_i.

    `item_i` may be the float vector or what its code decodes to: the formula is linear, so a
    model that keeps only item codes can still give a vector to every user, old or new.

    Attributes:
        user_exponent: a. It scales a user's scores and never reorders them.
        item_exponent: w, applied to the item's degree d_i in the training interactions.
    """

    user_exponent: float
    item_exponent: float

    def __call__(self, histories: Csr, items: Vectors, degrees: npt.NDArray[np.int64]) -> Vectors:
        """(n_histories, d) float32 from `histories` over `items` (n_items, d) float32.

        An empty history gives the zero vector.
        """
        return propagate(
            histories,
            items,
            degree_power(histories.lengths, -self.user_exponent),
            degree_power(degrees, -self.item_exponent),
        )


@dataclass(frozen=True, eq=False)
class Encoding:
    """Float vectors whose dot product is the score.

    Attributes:
        users: (n_users, d) float32. items: (n_items, d) float32.
        fold_in: the function from items to users, where the encoder has one.
        facts: what the training found out about itself, for the manifest (JSON-ready).
        model: what was trained, for codes that go on training it; never kept.
    """

    users: Vectors
    items: Vectors
    fold_in: FoldIn | None
    facts: dict[str, Any] = field(default_factory=dict)
    model: Any = None


class Encoder(Component):
    """Options of one encoder; `fit` does the work.

    Attributes:
        takes_features: of users and items; others would ignore them.
    """

    takes_features: ClassVar[bool] = False

    @abstractmethod
    def fit(self, task: Task) -> Encoding:
        """Vectors of every user and item of the task's interactions."""
