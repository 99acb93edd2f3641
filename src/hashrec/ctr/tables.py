"""Tables of ids and of words, on shared rows, with a row for what nobody has met."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import embedding

from hashrec.bucketing import Assignment
from hashrec.ctr.layers import Noise
from hashrec.training import HashedEmbedding

__all__ = ["IdTable", "WordTable"]


class IdTable(nn.Module):  # type: ignore[misc]
    """Vectors of one side's ids on shared rows, and one of all ids that nobody has met."""

    def __init__(
        self, assignment: Assignment, dim: int, scale: float, sparse: bool, noise: Noise
    ) -> None:
        super().__init__()
        self.shared = HashedEmbedding(assignment, dim, sparse=sparse, generator=noise.generator)
        self.unknown = nn.Parameter(torch.zeros(dim))
        with torch.no_grad():
            self.shared.weight.mul_(scale)

    @property
    def rows(self) -> int:
        """Rows of the table, that of the unknown among them."""
        return self.shared.rows + 1

    def forward(self, positions: Any) -> Any:
        """(B, dim) of (B,) int64 positions, -1 being unknown."""
        # Row by row, not by a bag: an exported graph has no bags.
        known = positions.clamp(min=0)
        found = embedding(self.shared.rows_of(known), self.shared.weight, sparse=self.shared.sparse)
        shares = self.shared.shares_of(known)
        if shares is not None:
            found = found * shares.unsqueeze(2)
        summed = found.mean(1) if self.shared.combiner == "mean" else found.sum(1)
        return torch.where((positions >= 0).unsqueeze(1), self.shared.widened(summed), self.unknown)


class WordTable(nn.Module):  # type: ignore[misc]
    """Vectors of the tokens of all fields; token 0, an empty place, is zero and stays so.

    Args:
        rows_of: (n_tokens,) the row of each token, row 0 being that of token 0.
    """

    def __init__(
        self, rows_of: npt.NDArray[np.int32], dim: int, scale: float, sparse: bool, noise: Noise
    ) -> None:
        super().__init__()
        rows = int(rows_of.max(initial=0)) + 1
        self.sparse = sparse
        self.weight = nn.Parameter(torch.empty(rows, dim))
        own = np.array_equal(rows_of, np.arange(rows))
        self.register_buffer("rows_of", None if own else torch.from_numpy(rows_of.copy()))
        with torch.no_grad():
            self.weight.normal_(generator=noise.generator).mul_(scale)
            self.weight[0] = 0

    def forward(self, tokens: Any) -> Any:
        """(B, S, dim) of (B, S) int64 tokens."""
        rows = tokens if self.rows_of is None else self.rows_of[tokens].long()
        return embedding(rows, self.weight, padding_idx=0, sparse=self.sparse)
