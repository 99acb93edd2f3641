"""`dcn`: crosses of all dimensions, layer by layer, beside a network."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import nn

from hashrec.ctr.architecture import Architecture, Looked, Shape, Share, Width
from hashrec.ctr.layers import Noise, linear, mlp

__all__ = ["Dcn"]


class Dcn(Architecture):
    """DCNv2, parallel: x_{l+1} = x_0 * (W_l x_l + b_l) + x_l beside an MLP of x_0, then linear.

    R. Wang et al., "DCN V2", WWW 2021, eqs. 1 and 2; with a `rank`, W_l = U_l V_l^T.

    Attributes:
        crosses: layers. rank: of their matrices; None: full.
        hidden, dropout: of the MLP.
    """

    name: ClassVar[str] = "dcn"

    crosses: Annotated[int, Field(ge=1)] = 2
    rank: Width | None = None
    hidden: tuple[Width, ...] = (128, 128)
    dropout: Share = 0.2

    def body(self, shape: Shape, noise: Noise) -> Any:
        return _Body(self, shape.flat, noise)


class _Body(nn.Module):  # type: ignore[misc]
    def __init__(self, options: Dcn, width: int, noise: Noise) -> None:
        super().__init__()
        self.crosses = nn.ModuleList(
            _cross(width, options.rank, noise) for _ in range(options.crosses)
        )
        self.deep = mlp(width, options.hidden, options.dropout, noise)
        self.head = linear(width + (options.hidden or (width,))[-1], 1, noise, bias=False)

    def forward(self, looked: Looked) -> Any:
        first = looked.vectors.flatten(1)
        crossed = first
        for cross in self.crosses:
            crossed = torch.addcmul(crossed, first, cross(crossed))
        return self.head(torch.cat([crossed, self.deep(first)], 1)).squeeze(1)


def _cross(width: int, rank: int | None, noise: Noise) -> Any:
    if rank is None:
        return linear(width, width, noise)
    return nn.Sequential(linear(width, rank, noise, bias=False), linear(rank, width, noise))
