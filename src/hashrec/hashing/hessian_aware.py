"""A coded module whose gradient scaling follows the Hessian of the loss at the codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy, relu

from hashrec.hashing.coded import CodedModule, drawing, sides_of, turn
from hashrec.hashing.hessian import delta_of
from hashrec.hashing.quantisers import Uniform
from hashrec.learning import Batch
from hashrec.training.backbone import Backbone, Vectors
from hashrec.training.batches import Batches

if TYPE_CHECKING:
    from hashrec.hashing.hq import HqCodes

__all__ = ["HessianAware", "Twice"]


class HessianAware(CodedModule):
    """Uniform quantisers with scaled gradients.

    Attributes:
        options: of the code.
    """

    def __init__(self, inner: Backbone, options: HqCodes, seed: int) -> None:
        if options.rotate:
            turn(inner, seed)
        sides = sides_of(
            inner, options.bits, options.range, "scaled", coded_users=options.users == "coded"
        )
        super().__init__(inner, *sides)
        self.options, self.seed = options, seed
        for side in self._quantisers().values():
            side.delta.fill_(options.delta or 0.0)

    def refresh(self, epoch: int, epochs: int, batches: Batches) -> None:
        if self.options.delta is not None or epoch % self.options.refresh:
            return
        found = self.inner.export()
        vectors = dict(zip(("user", "item"), found, strict=True))
        for name, side in self._quantisers().items():
            generator = drawing(torch.Generator(), self.seed, epoch, name == "user")
            losses = [
                self._loss(name, vectors, self._batch(batches, epoch, number), batches)
                for number in range(self.options.batches)
            ]
            x, bound = vectors[name], side.bound(vectors[name]).detach()
            delta = delta_of(losses, side(x).detach() / bound / 2 + 0.5, generator)
            side.delta.fill_(delta)

    def facts(self) -> dict[str, Any]:
        return {f"{name}_delta": float(side.delta) for name, side in self._quantisers().items()}

    def _quantisers(self) -> dict[str, Uniform]:
        both = {"user": self.user_side, "item": self.item_side}
        return {name: side for name, side in both.items() if isinstance(side, Uniform)}

    def _batch(self, batches: Batches, epoch: int, number: int) -> Batch:
        """A batch of `probed`, of draws that no step of training sees."""
        few = replace(batches, wanted=self.options.probed, seed=batches.seed + 1 + number)
        return few.batch(few.order(epoch), epoch, 0)

    def _loss(
        self, name: str, vectors: dict[str, Any], batch: Batch, batches: Batches
    ) -> Callable[[Any], Any]:
        """The task's loss as a function of x_q in [0, 1], one side's quantised numbers."""
        sides = {"user": self.user_side, "item": self.item_side}
        with torch.no_grad():
            other = {side: sides[side](vectors[side]) for side in sides}
            quantiser = sides[name]
            assert isinstance(quantiser, Uniform)
            bound = quantiser.bound(vectors[name])

        def loss(x_q: Any) -> Any:
            given = {**other, name: (2 * x_q - 1) * bound}
            return batches.loss(Twice(given["user"], given["item"]), batch)

        return loss


class Twice(Vectors):
    """A view whose losses over all items are plain torch, so they can be differentiated twice."""

    def softmax(self, batch: Batch, temperature: float, weight: str) -> Any:
        users, items = self._units(batch)
        each = cross_entropy(
            (users @ items.T / temperature)[batch.owner], batch.items, reduction="none"
        )
        if weight == "interactions":
            return each.mean()
        share = 1 / torch.bincount(batch.owner, minlength=len(users)).to(each.dtype)
        return (each * share[batch.owner]).sum() / len(users)

    def contrast(self, batch: Batch, margin: float, negatives: float) -> Any:
        users, items = self._units(batch)
        scores = users @ items.T
        wanted = scores[batch.owner, batch.items]
        beyond = relu(scores - margin).mean(1)[batch.owner]
        return (1 - wanted + negatives * beyond).mean()
