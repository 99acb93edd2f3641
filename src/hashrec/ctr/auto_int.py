"""`auto-int`: fields that attend to one another."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from hashrec.ctr.architecture import Architecture, Looked, Shape, Share, Width
from hashrec.ctr.layers import Noise, linear, mlp
from hashrec.errors import RecipeError

__all__ = ["AutoInt"]


class AutoInt(Architecture):
    """AutoInt+: layers of e_m <- ReLU(concat_h sum_k a_mk^h W_V^h e_k + W_R e_m), a_mk^h being
    the softmax over k of (W_Q^h e_m) . (W_K^h e_k); logit = linear of all e_m + MLP([v_1; ...]).

    W. Song et al., "AutoInt", CIKM 2019, eqs. 5 to 10.

    Attributes:
        layers: of attention. heads: each; width: of all heads together.
        hidden, dropout: of the MLP; none without widths.
    """

    name: ClassVar[str] = "auto-int"

    layers: Annotated[int, Field(ge=1)] = 2
    heads: Annotated[int, Field(ge=1)] = 2
    width: Width = 32
    hidden: tuple[Width, ...] = (128, 128)
    dropout: Share = 0.2

    @model_validator(mode="after")
    def _heads_are_of_one_width(self) -> AutoInt:
        if self.width % self.heads:
            raise RecipeError(
                "the width is no multiple of the heads", name="model.width",
                expected=f"a multiple of {self.heads}", got=str(self.width),
            )  # fmt: skip
        return self

    def body(self, shape: Shape, noise: Noise) -> Any:
        return _Body(self, shape, noise)


class _Attention(nn.Module):  # type: ignore[misc]
    def __init__(self, inputs: int, width: int, heads: int, noise: Noise) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.past = (
            linear(inputs, width, noise, bias=False) for _ in range(4)
        )

    def forward(self, fields: Any) -> Any:
        query, key, value = (
            one(fields).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for one in (self.query, self.key, self.value)
        )
        met = scaled_dot_product_attention(query, key, value, scale=1.0)
        return (met.transpose(1, 2).flatten(2) + self.past(fields)).relu()


class _Body(nn.Module):  # type: ignore[misc]
    def __init__(self, options: AutoInt, shape: Shape, noise: Noise) -> None:
        super().__init__()
        widths = [shape.dim] + [options.width] * options.layers
        self.attention = nn.Sequential(
            *(_Attention(a, b, options.heads, noise) for a, b in itertools.pairwise(widths))
        )
        self.head = linear(shape.vectors * options.width, 1, noise, bias=False)
        self.deep = None
        if options.hidden:
            hidden = mlp(shape.flat, options.hidden, options.dropout, noise)
            self.deep = nn.Sequential(hidden, linear(options.hidden[-1], 1, noise, bias=False))

    def forward(self, looked: Looked) -> Any:
        logit = self.head(self.attention(looked.vectors).flatten(1))
        if self.deep is not None:
            logit = logit + self.deep(looked.vectors.flatten(1))
        return logit.squeeze(1)
