"""A model of clicks as one module: from positions, tokens and numbers to logits."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from hashrec.bucketing import Buckets
from hashrec.ctr.inputs import Inputs, Lookup, rows_of_words
from hashrec.ctr.layers import Noise
from hashrec.ctr.recipe import CtrRecipe
from hashrec.impressions import Schema

__all__ = ["Predictor", "build"]


class Predictor(nn.Module):  # type: ignore[misc]
    """logit = body(looked-up vectors) + bias.

    Attributes:
        inputs: the tables. body: what the architecture makes of their vectors.
        bias: at first the log odds of the labels, so that training begins calibrated.
        noise: of its dropout.
    """

    def __init__(self, inputs: Inputs, body: Any, bias: float, noise: Noise) -> None:
        super().__init__()
        self.inputs, self.body, self.noise = inputs, body, noise
        self.bias = nn.Parameter(torch.tensor([bias]))

    def forward(self, user: Any, item: Any, tokens: Any, numbers: Any) -> Any:
        """(B,) logits; the arguments are those of `Inputs`."""
        return self.body(self.inputs(user, item, tokens, numbers)) + self.bias

    @property
    def id_rows(self) -> int:
        """Rows of the tables of users and items."""
        return sum(table.rows for table in self.inputs.ids)

    @property
    def n_parameters(self) -> int:
        """Numbers that are trained."""
        return sum(one.numel() for one in self.parameters())


def build(
    recipe: CtrRecipe, schema: Schema, made: Buckets | None, positives: float = 0.5
) -> Predictor:
    """A predictor ready to be trained: the same for the same recipe, schema and buckets.

    `positives`: the share of positive labels that training will see.
    """
    noise = Noise(recipe.seed)
    lookup = Lookup(
        recipe.dim, recipe.model.linear, recipe.model.embeds_numbers, recipe.training.scale,
        recipe.training.sparse,
    )  # fmt: skip
    rows = rows_of_words(schema, recipe.fields.max_rows, recipe.seed)
    inputs = Inputs(schema, made, rows, lookup, noise)
    body = recipe.model.body(inputs.shape, noise)
    return Predictor(inputs, body, math.log(positives / (1 - positives)), noise)
