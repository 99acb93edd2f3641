"""`deep-fm`: dot products of all pairs of fields, beside weights and a network."""

from __future__ import annotations

from typing import Any, ClassVar

from hashrec.ctr.architecture import Looked, Shape
from hashrec.ctr.layers import Noise
from hashrec.ctr.wide_deep import WideDeep, WideDeepBody

__all__ = ["DeepFm"]


class DeepFm(WideDeep):
    """logit = sum_j w_j + sum_{i<j} v_i . v_j + MLP([v_1; ...; v_F]).

    H. Guo et al., "DeepFM", IJCAI 2017, eqs. 1 to 4; the pairs as half of |sum v|^2 - sum |v|^2
    (S. Rendle, "Factorization Machines", ICDM 2010, lemma 3.1).
    """

    name: ClassVar[str] = "deep-fm"

    def body(self, shape: Shape, noise: Noise) -> Any:
        return _Body(self, shape.flat, noise)


class _Body(WideDeepBody):
    def forward(self, looked: Looked) -> Any:
        vectors = looked.vectors
        pairs = (vectors.sum(1).square() - vectors.square().sum(1)).sum(1) / 2
        return super().forward(looked) + pairs
