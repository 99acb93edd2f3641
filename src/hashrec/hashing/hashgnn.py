"""`hashgnn`: HashGNN, bits for both sides, guided in training by the numbers they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from hashrec.hashing.learned import LearnedCoder
from hashrec.learning import Task

if TYPE_CHECKING:
    from hashrec.hashing.coded import CodedModule
    from hashrec.training.backbone import Backbone

__all__ = ["HashGnnCodes"]


class HashGnnCodes(LearnedCoder):
    """h = sign(z), z = tanh(W x + b); in training a row is h with a probability that grows from 0
    to 1, and z otherwise.

    Q. Tan et al., "Learning to Hash with Graph Neural Networks for Recommender Systems", WWW 2020:
    a ranking loss on what each row shows, and `reconstruction` times the mean logistic loss of
    edges and of about as many pairs that are none: the users of a batch with its items in an order
    drawn at every step, without the pairs that are edges. Open in the paper and ours: W starts as
    the main directions of the encoder's vectors; every row draws for itself; the ranking loss is
    `loss`, by default a softmax over all items.

    Attributes:
        dim: bits of a code. guidance: epochs out of all, as a share, after which rows are always
            h; before, the probability grows in a line. The last epoch has h alone in any case.
    """

    name: ClassVar[str] = "hashgnn"

    bits: Annotated[int, Field(ge=1, le=1)] = 1
    dim: Annotated[int, Field(ge=1, le=65_536)] = 64
    users: Literal["float", "coded"] = "coded"
    epochs: Annotated[int, Field(ge=1)] = 20
    reconstruction: Annotated[float, Field(ge=0)] = 0.1
    guidance: Annotated[float, Field(ge=0, le=1)] = 0.8

    def build(self, inner: Backbone, task: Task) -> CodedModule:
        from hashrec.hashing.hash_layer import guided_module

        return guided_module(inner, self, task)
