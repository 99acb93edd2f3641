"""What every model of clicks is: options, and a body between looked-up vectors and a logit."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from hashrec.component import Component
from hashrec.ctr.layers import Noise

__all__ = ["Architecture", "Looked", "Shape", "Share", "Width"]

Width = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Shape:
    """What a body gets: `vectors` of `dim` dimensions, and `numbers` as they are."""

    vectors: int
    dim: int
    numbers: int

    @property
    def flat(self) -> int:
        """All vectors side by side."""
        return self.vectors * self.dim


@dataclass(frozen=True, eq=False)
class Looked:
    """A batch of B impressions, looked up.

    Attributes:
        vectors: (B, F, d): of the user, the item, and each field.
        linear: (B,) sum of one weight a word, where the model asks for it.
        numbers: (B, 2 q): scaled numbers, 0 where there are none, and whether there are none, of
            fields of which training lacked any.
    """

    vectors: Any
    linear: Any
    numbers: Any


class Architecture(Component):
    """Options of one model.

    Attributes:
        linear: whether every id and word has a weight of its own beside its vector.
        embeds_numbers: whether numbers become vectors like words; else they come as they are.
    """

    linear: ClassVar[bool] = False
    embeds_numbers: ClassVar[bool] = True

    @abstractmethod
    def body(self, shape: Shape, noise: Noise) -> Any:
        """A module from `Looked` to (B,) logits, to which a bias is added; drawn from `noise`."""
