"""What a loss is: options, and one number from the vectors of a batch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from hashrec.component import Component
from hashrec.learning.samplers import Sampler

__all__ = ["Batch", "Loss", "View"]


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step looks at, as torch int64 tensors of positions.

    Attributes:
        users: (B,). With a loss over `users` each occurs once.
        items: (B,) a positive of each user; with a loss over `users` all positives of all of
            them, (P,), and `owner` (P,) says whose: an index into `users`.
        negatives: (B, k), each row's own, or (k,), shared by all; None where none are drawn.
        log_chance: the log of the expected number of draws of each negative, shaped as they are,
            or None for equal chances.
        clash: (B, k) bool, which shared negatives are positives of the row; None where unknown.
        owner: see `items`.
    """

    users: Any
    items: Any
    negatives: Any = None
    log_chance: Any = None
    clash: Any = None
    owner: Any = None


class View(Protocol):
    """The vectors of a model at one step; gradients flow through all of them."""

    def users(self, positions: Any) -> Any:
        """(..., d) of positions of any shape."""

    def items(self, positions: Any) -> Any:
        """(..., d) of positions of any shape."""

    def score(self, users: Any, items: Any) -> Any:
        """(...) from (..., d) and (..., d), by broadcasting."""

    def softmax(self, batch: Batch, temperature: float, weight: str) -> Any:
        """The mean over positives i of -log softmax over all items of cos(u, .) / temperature, a
        user weighing as `weight` says (`softmax.py`)."""

    def contrast(self, batch: Batch, margin: float, negatives: float) -> Any:
        """The mean over positives i of 1 - cos(u, i) + negatives * mean over all items j of
        max(0, cos(u, j) - margin)."""


class Loss(Component):
    """Options of a loss; calling it gives the loss of a batch, a torch scalar.

    Attributes:
        over: `pairs`: a step is a number of interactions; `users`: a number of users with all
            their interactions.
        cosine: vectors are scored by their directions alone, in the loss and in the ranking.
        shared: negatives are shared by the whole batch.
        bilinear: needs scores that are dot products.
    """

    over: ClassVar[Literal["pairs", "users"]] = "pairs"
    cosine: ClassVar[bool] = False
    shared: ClassVar[bool] = False
    bilinear: ClassVar[bool] = False

    @property
    def drawing(self) -> tuple[Sampler, int] | None:
        """The sampler and how many negatives a positive, or a batch where they are shared."""
        return None

    @property
    def tilt(self) -> float:
        """For ranking, item vectors are multiplied by degree ** tilt."""
        return 0.0

    @abstractmethod
    def __call__(self, view: View, batch: Batch) -> Any:
        """The mean loss of a batch."""
