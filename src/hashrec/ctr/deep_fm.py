"""`deep-fm`: dot products of all pairs of fields, beside a network."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from hashrec.ctr.architecture import Architecture, Looked, Shape, Share, Width
from hashrec.ctr.layers import Noise, linear, mlp

__all__ = ["DeepFm"]


class DeepFm(Architecture):
    """logit = sum_j w_j + sum_{i<j} v_i . v_j + MLP([v_1; ...; v_F]).

    H. Guo et al., "DeepFM", IJCAI 2017, eqs. 1 to 4; the pairs as half of |sum v|^2 - sum |v|^2
    (S. Rendle, "Factorization Machines", ICDM 2010, lemma 3.1).

    Attributes:
        hidden, dropout: of the MLP.
    """

    name: ClassVar[str] = "deep-fm"
    linear: ClassVar[bool] = True

    hidden: tuple[Width, ...] = (128, 128, 128)
    dropout: Share = 0.2

    def body(self, shape: Shape, noise: Noise) -> Any:
        return _Body(self, shape.flat, noise)


class _Body(nn.Module):  # type: ignore[misc]
    def __init__(self, options: DeepFm, width: int, noise: Noise) -> None:
        super().__init__()
        self.deep = mlp(width, options.hidden, options.dropout, noise)
        self.head = linear((options.hidden or (width,))[-1], 1, noise, bias=False)

    def forward(self, looked: Looked) -> Any:
        vectors = looked.vectors
        pairs = (vectors.sum(1).square() - vectors.square().sum(1)).sum(1) / 2
        return looked.linear + pairs + self.head(self.deep(vectors.flatten(1))).squeeze(1)
