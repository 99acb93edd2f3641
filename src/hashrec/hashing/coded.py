"""A trained encoder with codes in its loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hashrec.codes import Codes, Decoder, Rotation
from hashrec.hashing.quantisers import Plain, Range, Side, Uniform
from hashrec.learning import Batch
from hashrec.training.backbone import Backbone, Seen
from hashrec.training.batches import Batches

__all__ = ["CodedModule", "CodedSeen", "Factors", "drawing", "sides_of", "turn"]

Floats = npt.NDArray[np.float32]
# Vectors of all users and all items -> what their rows are multiplied by.
Factors = Callable[[Floats, Floats], tuple[Floats, Floats]]


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

    def served(self, factors: Factors) -> tuple[Floats | Codes, Codes]:
        """Both sides as searches want them; `factors` tell what a loss multiplies their rows by.

        Where all rows of a side have one scale it is not kept a row, and goes to the users, so that
        scores keep the unit of the loss.
        """
        vectors = [side.cpu().numpy() for side in self.export()]
        by_user, by_item = factors(vectors[0], vectors[1])
        users, items = self.codes()
        assert items is not None
        items, unit = _scaled(items, by_item)
        if users is None:
            return vectors[0] * (by_user * np.float32(unit))[:, None], items
        users, own = _scaled(users, by_user)
        return _times(users, own * unit), items

    def numbers(self) -> tuple[Any, Any]:
        """(n_users, e) and (n_items, e) what the codes were made of, not rounded."""
        users, items = self.inner.export()
        return users, items

    def ranked(self, factors: Factors) -> tuple[Floats, Floats]:
        """`numbers` as they rank."""
        users, items = (side.detach().cpu().numpy() for side in self.numbers())
        by_user, by_item = factors(users, items)
        return users * by_user[:, None], items * by_item[:, None]

    def squares(self, batch: Batch) -> Any:
        return self.inner.squares(batch)

    @property
    def width(self) -> int:
        return self.inner.width

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


def drawing(generator: Any, seed: int, epoch: int, number: int) -> Any:
    """The generator, where draw `number` (0 or 1) of an epoch begins; seeds go up to 2^63, and
    torch takes none much larger."""
    return generator.manual_seed(((seed * 100_003 + epoch) * 2 + number) % 2**63)


def turn(inner: Backbone, seed: int) -> bool:
    """A random rotation of all vectors, the one that `Rotation` draws from this seed."""
    dim = inner.item_table.embedding_dim
    matrix = torch.from_numpy(
        Rotation("orthogonal", dim, seed).apply(np.eye(dim, dtype=np.float32))
    )
    return inner.rotate(matrix.to(inner.item_table.weight.device))


def _scaled(codes: Codes, factors: Floats) -> tuple[Codes, float]:
    """Rows times factors, and 1; or without scales where they are all the same, and that."""
    scales = factors if codes.scales is None else factors * codes.scales
    if np.ptp(scales) <= 1e-5 * np.abs(scales).max(initial=0.0):
        return replace(codes, scales=None), float(scales[0])
    return replace(codes, scales=scales.astype(np.float32)), 1.0


def _times(codes: Codes, factor: float) -> Codes:
    """All rows times one number, which is kept once: in the decoder."""
    if factor == 1.0:
        return codes
    ones, wide = np.ones(codes.dim, np.float32), np.float32(factor)
    decoder = Decoder(ones, np.zeros_like(ones)) if codes.decoder is None else codes.decoder
    return replace(codes, decoder=Decoder(decoder.gain * wide, decoder.offset * wide))
