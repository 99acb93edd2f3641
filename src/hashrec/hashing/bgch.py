"""`bgch`: BGCH, a linear hash layer whose sign passes a Fourier series' derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from hashrec.hashing.learned import LearnedCoder
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["BgchCodes"]


class BgchCodes(LearnedCoder):
    """Codes are sign(W x) mean|W x|, x after a part of the strongest common direction was removed.

    Y. Chen et al., "Bipartite Graph Convolutional Hashing for Effective and Efficient Top-N Search
    in Hamming Space", WWW 2023. Feature dispersion: X - eta X v v^T, v the first right singular
    vector of X. Layers side by side, each with bits of its own, are `encoder.concatenate`. Open in
    the paper and ours: v is found anew before each epoch; the loss is `loss`, by default a
    softmax over all items, and no second loss is put on the numbers before the hash layer.

    Attributes:
        dim: bits of a code; None: as many as the vectors have dimensions. dispersion: eta.
    """

    name: ClassVar[str] = "bgch"

    bits: Annotated[int, Field(ge=1, le=1)] = 1
    dim: Annotated[int, Field(ge=1, le=65_536)] | None = None
    users: Literal["float", "coded"] = "coded"
    dispersion: Annotated[float, Field(ge=0, le=1)] = 0.1

    def build(self, inner: Backbone, task: Task) -> CodedModule:
        from hashrec.hashing.hash_layer import dispersed_module

        return dispersed_module(inner, self, task.seed)
