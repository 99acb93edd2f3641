"""From positions, tokens and numbers to vectors: all that stands between data and a model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hashrec.bucketing import Buckets
from hashrec.bucketing.hashing import Universal, keys
from hashrec.ctr.architecture import Looked, Shape
from hashrec.ctr.layers import Noise
from hashrec.ctr.tables import IdTable, WordTable
from hashrec.impressions import Schema

__all__ = ["Inputs", "Lookup", "rows_of_words"]


@dataclass(frozen=True)
class Lookup:
    """How inputs are looked up.

    Attributes:
        dim: of vectors. linear, embeds_numbers: as the model asks. scale: of first vectors.
        sparse_from: tables of so many rows or more have sparse gradients; None: none has.
    """

    dim: int
    linear: bool
    embeds_numbers: bool
    scale: float
    sparse_from: int | None = None

    def is_sparse(self, rows: int) -> bool:
        return self.sparse_from is not None and rows >= self.sparse_from


class Inputs(nn.Module):  # type: ignore[misc]
    """Vectors of an impression: user, item, categorical fields, multi-valued fields (the mean of
    their words), numeric fields (x v_f, or u_f where there is no number; but 0, that of a middling
    number, where training never lacked one and u_f was not learned).

    Args:
        made: rows of users and items; None: a log without ids.
        rows_of: the row of each token, see `rows_of_words`.
    """

    def __init__(
        self,
        schema: Schema,
        made: Buckets | None,
        rows_of: npt.NDArray[np.int32],
        lookup: Lookup,
        noise: Noise,
    ) -> None:
        super().__init__()
        self.lookup = lookup
        width = lookup.dim + lookup.linear
        sides = () if made is None else (made.users, made.items)
        self.ids = nn.ModuleList(
            IdTable(side, width, lookup.scale, lookup.is_sparse(side.rows), noise) for side in sides
        )
        rows = int(rows_of.max(initial=0)) + 1
        self.words = WordTable(rows_of, width, lookup.scale, lookup.is_sparse(rows), noise)
        kinds = [one.field.kind for one in schema.vocabularies]
        self._single = kinds.count("categorical")
        self._bags = _bounds(schema.widths[self._single :], self._single)
        self._numeric = len(schema.scales)
        missing = torch.tensor([one.missing for one in schema.scales], dtype=torch.bool)
        self.register_buffer("missing", missing, persistent=False)
        self.slopes = self.absent = None
        if lookup.embeds_numbers and self._numeric:
            drawn = torch.randn(2, self._numeric, width, generator=noise.generator)
            self.slopes, self.absent = (nn.Parameter(one * lookup.scale) for one in drawn)
        if lookup.linear:
            self._start_flat()

    def _start_flat(self) -> None:
        """The first column, the weight of a word, starts at zero: rows that hold only their first
        dimensions have it too."""
        weights = [table.shared.weight for table in self.ids] + [self.words.weight]
        numbers = [one for one in (self.slopes, self.absent) if one is not None]
        with torch.no_grad():
            for weight in (*weights, *numbers):
                weight[:, 0] = 0

    @property
    def shape(self) -> Shape:
        """Of what `forward` gives."""
        embedded = self._numeric if self.lookup.embeds_numbers else 0
        vectors = len(self.ids) + self._single + len(self._bags) + embedded
        return Shape(vectors, self.lookup.dim, 2 * self._numeric)

    def forward(self, user: Any, item: Any, tokens: Any, numbers: Any) -> Looked:
        """Of B impressions.

        Args:
            user, item: (B,) int64 positions, -1 for unknown ids. tokens: (B, places) int64.
            numbers: (B, q) float32, NaN where there is none.
        """
        found = [table(at).unsqueeze(1) for table, at in zip(self.ids, (user, item), strict=False)]
        words = self.words(tokens)
        found.append(words[:, : self._single])
        for first, last in self._bags:
            used = (tokens[:, first:last] > 0).sum(1).clamp(min=1)
            found.append((words[:, first:last].sum(1) / used.unsqueeze(1)).unsqueeze(1))
        absent = torch.isnan(numbers)
        scaled = torch.where(absent, 0.0, numbers)
        absent = absent & self.missing
        if self.slopes is not None:
            found.append(
                torch.where(absent.unsqueeze(2), self.absent, scaled.unsqueeze(2) * self.slopes)
            )
        vectors = torch.cat(found, 1)
        linear = None
        if self.lookup.linear:
            vectors, linear = vectors[:, :, 1:], vectors[:, :, 0].sum(1)
        return Looked(vectors, linear, torch.cat([scaled, absent.to(scaled.dtype)], 1))


def rows_of_words(schema: Schema, max_rows: int | None, seed: int) -> npt.NDArray[np.int32]:
    """(n_tokens,) int32 the row of each token: its own, but words of a field of more than
    `max_rows` tokens share that many, one of which is that of unknown words."""
    parts, first = [np.zeros(1, np.int32)], 1
    for number, one in enumerate(schema.vocabularies):
        n = len(one)
        local = np.arange(n, dtype=np.int32)
        if max_rows is not None and n > max_rows:
            hashed = Universal(seed, f"field {number}").hash(keys(one.words, seed), max_rows - 1)
            local[1 : 1 + len(one.words)] = hashed + 1
            if one.missing:  # the last token is that of rows without a word
                local[-1] = 0
        parts.append(local + np.int32(first))
        first += int(local.max()) + 1
    return np.concatenate(parts)


def _bounds(widths: Sequence[int], first: int) -> list[tuple[int, int]]:
    ends = first + np.cumsum([0, *widths])
    return [(int(a), int(b)) for a, b in itertools.pairwise(ends)]
