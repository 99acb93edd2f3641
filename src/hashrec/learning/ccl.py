"""Cosine contrastive loss over all items."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hashrec.learning.loss import Batch, Loss, View

__all__ = ["Ccl"]


class Ccl(Loss):
    """mean over positives of 1 - cos(u, i) + negatives * mean over all j of max(0, cos(u, j) - m).

    K. Mao et al., "SimpleX: A Simple and Strong Baseline for Collaborative Filtering", CIKM 2021,
    eq. 1, with every item a negative of every step instead of a sample: nothing is drawn, and the
    gradient is what the sampled one is in expectation. Margin and weight are those that the
    authors published for Gowalla.

    Attributes:
        margin: m; cosines below it are left in peace. negatives: weight of the second part.
        popularity: items are ranked by cos * degree ** popularity: the loss pulls cosines together
            near the margin, where little room is left to say how often an item is met.
    """

    name: ClassVar[str] = "ccl"
    over: ClassVar[Literal["pairs", "users"]] = "users"
    cosine: ClassVar[bool] = True
    bilinear: ClassVar[bool] = True

    margin: Annotated[float, Field(ge=-1, lt=1)] = 0.9
    negatives: Annotated[float, Field(gt=0)] = 150.0
    popularity: Annotated[float, Field(ge=0, le=1)] = 0.003

    @property
    def tilt(self) -> float:
        return self.popularity

    def __call__(self, view: View, batch: Batch) -> Any:
        return view.contrast(batch, self.margin, self.negatives)
