"""Softmax over all items."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hashrec.learning.loss import Batch, Loss, View

__all__ = ["Softmax"]


class Softmax(Loss):
    """mean over users, then over their positives i, of -log softmax over all items of s_u / T.

    s are cosines. No negatives are drawn: every item is one, at every step. A step takes whole
    users, so an item's score is computed once for all positives of a user, and the matrix of
    scores exists a block at a time.

    Attributes:
        temperature: T. Smaller: closer to the hardest negatives.
        weight: what a user counts for: `interactions`: as many as they have; `equal`: one.
        popularity: items are ranked by cos * degree ** popularity.
    """

    name: ClassVar[str] = "softmax"
    over: ClassVar[Literal["pairs", "users"]] = "users"
    cosine: ClassVar[bool] = True
    bilinear: ClassVar[bool] = True

    temperature: Annotated[float, Field(gt=0)] = 0.1
    weight: Literal["interactions", "equal"] = "interactions"
    popularity: Annotated[float, Field(ge=0, le=1)] = 0.05

    @property
    def tilt(self) -> float:
        return self.popularity

    def __call__(self, view: View, batch: Batch) -> Any:
        return view.softmax(batch, self.temperature, self.weight)
