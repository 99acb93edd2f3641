"""`wide-deep`: a weight for every word beside a network."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from hashrec.ctr.architecture import Architecture, Looked, Shape, Share, Width
from hashrec.ctr.layers import Noise, linear, mlp

__all__ = ["WideDeep", "WideDeepBody"]


class WideDeep(Architecture):
    """logit = sum_j w_j + MLP([v_1; ...; v_F]), w_j and v_j of the same (shared) rows.

    H.-T. Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016, eq. 3, without
    crosses made by hand.

    Attributes:
        hidden, dropout: of the MLP.
    """

    name: ClassVar[str] = "wide-deep"
    linear: ClassVar[bool] = True

    hidden: tuple[Width, ...] = (128, 128, 128)
    dropout: Share = 0.2

    def body(self, shape: Shape, noise: Noise) -> Any:
        return WideDeepBody(self, shape.flat, noise)


class WideDeepBody(nn.Module):  # type: ignore[misc]
    """From vectors and weights to the logit above, but for its bias."""

    def __init__(self, options: WideDeep, width: int, noise: Noise) -> None:
        super().__init__()
        self.deep = mlp(width, options.hidden, options.dropout, noise)
        self.head = linear((options.hidden or (width,))[-1], 1, noise, bias=False)

    def forward(self, looked: Looked) -> Any:
        return looked.linear + self.head(self.deep(looked.vectors.flatten(1))).squeeze(1)
