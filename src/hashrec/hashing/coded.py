"""A trained encoder with codes in its loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hashrec.codes import Codes, Rotation
from hashrec.hashing.quantisers import Plain, Range, Side, Uniform
from hashrec.learning import Batch
from hashrec.training.backbone import Backbone, Seen
from hashrec.training.batches import Batches

__all__ = ["CodedModule", "CodedSeen", "sides_of", "turn"]


class CodedModule(Backbone):
    """Another module's vectors through a side each.

    Attributes:
        inner: what gives vectors. user_side, item_side: what becomes of them.
    """

    def __init__(self, inner: Backbone, users: Side, items: Side) -> None:
        super().__init__()
        self.inner, self.user_side, self.item_side = inner, users, items
        self.user_table, self.item_table = inner.user_table, inner.item_table
        self.propagates = inner.propagates

    def forward(self) -> Seen:
        return CodedSeen(self, self.inner())

    def export(self) -> tuple[Any, Any]:
        """What the codes decode to; float sides as they are."""
        with torch.no_grad():
            sides = zip(self._sides(), self.inner.export(), strict=True)
            found = []
            for side, vectors in sides:
                codes = side.codes(vectors)
                found.append(side(vectors) if codes is None else torch.from_numpy(codes.decode()))
        return found[0], found[1]

    def codes(self) -> tuple[Codes | None, Codes | None]:
        """Codes of all users and all items; None for a side that stays float."""
        users, items = self.inner.export()
        return self.user_side.codes(users), self.item_side.codes(items)

    def squares(self, batch: Batch) -> Any:
        return self.inner.squares(batch)

    def refresh(self, epoch: int, epochs: int, batches: Batches) -> None:
        """Called before each of `epochs`, from 0; `batches` gives what it will look at.

        Quantisers that anneal go from soft to nearly hard, a hundred times as sharp.
        """
        for part in self.modules():
            if isinstance(part, Uniform):
                part.sharpness = 100.0 ** (epoch / max(epochs - 1, 1))

    def facts(self) -> dict[str, Any]:
        """JSON-ready; what it came to."""
        return {}

    def _sides(self) -> tuple[Side, Side]:
        return self.user_side, self.item_side


class CodedSeen(Seen):
    """What a view shows, through the sides."""

    def __init__(self, module: CodedModule, view: Seen) -> None:
        self.module, self.view = module, view

    def users(self, positions: Any) -> Any:
        return self.module.user_side(self.view.users(positions))

    def items(self, positions: Any) -> Any:
        return self.module.item_side(self.view.items(positions))

    def all_items(self) -> Any:
        return self.module.item_side(self.view.all_items())


def sides_of(
    inner: Backbone, bits: int, range: Range, estimator: str, *, coded_users: bool
) -> tuple[Side, Side]:
    """A uniform quantiser for the items and, if `coded_users`, another for the users."""
    users, items = inner.export()
    quantised = Uniform(bits, range, estimator, users) if coded_users else Plain()
    return quantised, Uniform(bits, range, estimator, items)


def turn(inner: Backbone, seed: int) -> bool:
    """A random rotation of all vectors, the one that `Rotation` draws from this seed."""
    dim = inner.item_table.embedding_dim
    matrix = torch.from_numpy(
        Rotation("orthogonal", dim, seed).apply(np.eye(dim, dtype=np.float32))
    )
    return inner.rotate(matrix.to(inner.item_table.weight.device))
