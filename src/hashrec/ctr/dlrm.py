"""`dlrm`: numbers through a network of their own, then dot products of all pairs."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from hashrec.ctr.architecture import Architecture, Looked, Shape, Share, Width
from hashrec.ctr.layers import Noise, linear, mlp

__all__ = ["Dlrm"]


class Dlrm(Architecture):
    """z = bottom MLP of the numbers; logit = top MLP of [z; v_i . v_j for all i < j, z among them].

    M. Naumov et al., "Deep Learning Recommendation Model for Personalization and Recommendation
    Systems", arXiv 1906.00091, 2019, section 2. Without numbers the vectors' own mean stands for z.

    Attributes:
        bottom, top: widths of hidden layers. dropout: in both.
    """

    name: ClassVar[str] = "dlrm"
    embeds_numbers: ClassVar[bool] = False

    bottom: tuple[Width, ...] = (64,)
    top: tuple[Width, ...] = (128, 128)
    dropout: Share = 0.2

    def body(self, shape: Shape, noise: Noise) -> Any:
        return _Body(self, shape, noise)


class _Body(nn.Module):  # type: ignore[misc]
    def __init__(self, options: Dlrm, shape: Shape, noise: Noise) -> None:
        super().__init__()
        self.bottom = None
        if shape.numbers:
            hidden = mlp(shape.numbers, options.bottom, options.dropout, noise)
            last = (options.bottom or (shape.numbers,))[-1]
            self.bottom = nn.Sequential(hidden, linear(last, shape.dim, noise))
        fields = shape.vectors + (self.bottom is not None)
        first, second = torch.triu_indices(fields, fields, 1)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)
        width = shape.dim + len(first)
        self.top = mlp(width, options.top, options.dropout, noise)
        self.head = linear((options.top or (width,))[-1], 1, noise, bias=False)

    def forward(self, looked: Looked) -> Any:
        vectors = looked.vectors
        if self.bottom is None:
            dense = vectors.mean(1)
        else:
            dense = self.bottom(looked.numbers)
            vectors = torch.cat([dense.unsqueeze(1), vectors], 1)
        dots = (vectors @ vectors.transpose(1, 2))[:, self.first, self.second]
        return self.head(self.top(torch.cat([dense, dots], 1))).squeeze(1)
