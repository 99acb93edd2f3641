"""What every trained encoder is: two tables, and a view of vectors at each step."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import normalize

from hashrec.learning import Batch
from hashrec.training.everything import contrast_over_all, softmax_over_all
from hashrec.training.table import HashedEmbedding

__all__ = ["Backbone", "Seen", "Vectors"]

Floats = npt.NDArray[np.float32]


class Seen:
    """A model at one step, as losses look at it: vectors of positions, and scores of pairs."""

    precision: Any = torch.float32

    def users(self, positions: Any) -> Any:
        raise NotImplementedError

    def items(self, positions: Any) -> Any:
        raise NotImplementedError

    def all_items(self) -> Any:
        raise NotImplementedError

    def score(self, users: Any, items: Any) -> Any:
        return (users * items).sum(-1)

    def extra(self, batch: Batch) -> Any:
        """What is added to the loss of this step."""
        return 0.0

    def softmax(self, batch: Batch, temperature: float, weight: str) -> Any:
        return softmax_over_all(*self._units(batch), batch, temperature, weight, self.precision)

    def contrast(self, batch: Batch, margin: float, negatives: float) -> Any:
        return contrast_over_all(*self._units(batch), batch, margin, negatives, self.precision)

    def _units(self, batch: Batch) -> tuple[Any, Any]:
        users, items = self.users(batch.users), self.all_items()
        return normalize(users, dim=-1), normalize(items, dim=-1)


class Vectors(Seen):
    """All vectors at hand, as after a propagation."""

    def __init__(self, users: Any, items: Any) -> None:
        self._users, self._items = users, items

    def users(self, positions: Any) -> Any:
        return _chosen(self._users, positions)

    def items(self, positions: Any) -> Any:
        return _chosen(self._items, positions)

    def all_items(self) -> Any:
        return self._items


def _chosen(vectors: Any, positions: Any) -> Any:
    found = vectors.index_select(0, positions.reshape(-1))
    return found.reshape(*positions.shape, vectors.shape[1])


class Backbone(nn.Module):  # type: ignore[misc]
    """A module over a table of users and one of items.

    Attributes:
        propagates: a step computes the vectors of all ids. bilinear: scores are products of the
            very vectors that a step looks at.
    """

    user_table: HashedEmbedding
    item_table: HashedEmbedding
    propagates: bool = False
    bilinear: bool = True

    @abstractmethod
    def forward(self) -> Seen:
        """The view of this step; what a step computes once is computed here."""

    @abstractmethod
    def export(self) -> tuple[Any, Any]:
        """(n_users, d) and (n_items, d) tensors of all vectors, for serving."""

    def rotate(self, matrix: Any) -> bool:
        """Multiplies all vectors by an orthogonal (d, d) matrix, in place, which changes no score;
        False, and nothing done, where vectors are not linear in their tables."""
        return False

    def _rotate_tables(self, matrix: Any) -> bool:
        tables = self._tables()
        if any(table.weight.shape[1] != len(matrix) for table in tables):
            return False  # short rows have fewer dimensions than the vectors
        with torch.no_grad():
            for table in tables:
                table.weight.copy_(table.weight @ matrix)
        return True

    def squares(self, batch: Batch) -> Any:
        """Half the squared length of the batch's own table vectors, a mean over its users."""
        picked = [self.user_table(batch.users), self.item_table(batch.items)]
        if batch.negatives is not None:
            picked.append(self.item_table(batch.negatives))
        return sum(one.square().sum() for one in picked) / (2 * len(batch.users))

    @property
    def width(self) -> int:
        """Dimensions of the vectors that a step works with."""
        return self.item_table.embedding_dim

    @property
    def table_rows(self) -> int:
        return sum(table.rows for table in self._tables())

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables and of the assignments beside them."""
        return sum(table.total_bytes for table in self._tables())

    def _tables(self) -> list[HashedEmbedding]:
        return [part for part in self.modules() if isinstance(part, HashedEmbedding)]
