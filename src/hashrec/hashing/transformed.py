"""Transform codes in the loop of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import normalize

from hashrec.codes import Codes, TransformCodes, code_items, code_queries
from hashrec.codes.transform import allocate, principal, total_bits
from hashrec.hashing.coded import CodedModule, CodedSeen, Factors, Floats
from hashrec.hashing.estimators import sloped
from hashrec.hashing.quantisers import Plain, Side
from hashrec.hashing.taught import taught
from hashrec.learning import Batch, Task
from hashrec.training.backbone import Backbone, Seen
from hashrec.training.batches import Batches

if TYPE_CHECKING:
    from hashrec.hashing.tuned import TunedCodes

__all__ = ["Transformed", "TransformedSide", "spread"]


class TransformedSide(Side):
    """What transform codes of x decode to, the gradient of every direction with bits passing
    straight through. `look` says which directions, bits and levels these are at present.

    Args:
        d: of the vectors. total: bits of all directions.
    """

    def __init__(self, d: int, total: int) -> None:
        super().__init__()
        self.total = total
        shapes = {"turn": (d, d), "back": (d, d), "middle": (d,), "reach": (d,), "top": (d,)}
        for name, shape in shapes.items():
            # No gradient; parameters, so that checkpoints keep them.
            setattr(self, name, nn.Parameter(torch.zeros(shape), requires_grad=False))

    def forward(self, x: Any) -> Any:
        z = (x - self.middle) @ self.turn
        gain = self.reach / self.top.clamp(min=1)
        code = torch.floor(((z / gain.clamp(min=1e-30)) + self.top + 1) / 2)
        level = 2 * torch.minimum(code.clamp(min=0), self.top) - self.top
        hard = (level * gain).detach()
        told = sloped(z, hard, (self.top > 0).to(z.dtype).expand_as(z))
        return told @ self.back + self.middle

    def look(self, x: Any, queries: Any) -> None:
        """Fits all that is not learned to (n, d) vectors and those they will meet."""
        vectors = x.double().cpu().numpy()
        middle = vectors.mean(0)
        forward, back = principal(vectors - middle, queries.double().cpu().numpy())
        bits, reach = allocate((vectors - middle) @ forward, self.total)
        for name, value in (("turn", forward), ("back", back), ("middle", middle),
                            ("reach", reach), ("top", 2.0**bits - 1)):  # fmt: skip
            getattr(self, name).copy_(torch.from_numpy(value))


class Transformed(CodedModule):
    """Item codes, and user codes where asked, fitted anew before each epoch and at the end, under
    a teacher: the encoder as it came.

    Attributes:
        options: of the code. cosine, weights: what the encoder ranks by: whether vectors are
            brought to length one, and (n_items, 1) what items are then multiplied by.
        teacher_users, teacher_items: the encoder's vectors as they rank. usual: their `spread`.
    """

    def __init__(self, inner: Backbone, options: TunedCodes, task: Task) -> None:
        loss = task.training.loss
        users, items = inner.export()
        total = total_bits(options.bits, options.size, items.shape[1])
        coded = options.users == "coded"
        super().__init__(
            inner,
            TransformedSide(items.shape[1], total) if coded else Plain(),
            TransformedSide(items.shape[1], total),
        )
        self.options, self.seed, self.cosine = options, task.seed, loss.cosine
        degrees = torch.from_numpy(task.log.matrix.column_counts()).clamp(min=1).float()
        self.register_buffer("weights", (degrees**loss.tilt)[:, None], persistent=False)
        ranked = self._ranked(users, 1.0), self._ranked(items, self.weights)
        self.usual = spread(*ranked) or 1.0
        for name, vectors in zip(("teacher_users", "teacher_items"), ranked, strict=True):
            self.register_buffer(name, vectors.detach().clone(), persistent=False)

    def forward(self) -> Seen:
        return _TaughtSeen(self, self.inner())

    def refresh(self, epoch: int, epochs: int, batches: Batches) -> None:
        users, items = (side.detach() for side in self.numbers())
        with torch.no_grad():
            for side, own, met in ((self.item_side, items, normalize(users, dim=-1)),
                                   (self.user_side, users, items - items.mean(0))):  # fmt: skip
                if isinstance(side, TransformedSide):
                    side.look(own, met)

    def numbers(self) -> tuple[Any, Any]:
        users, items = self.inner.export()
        return self._ranked(users, 1.0), self._ranked(items, self.weights)

    def export(self) -> tuple[Any, Any]:
        with torch.no_grad():
            users, items = self.numbers()
            return self.user_side(users), self.item_side(items)

    def ranked(self, factors: Factors) -> tuple[Floats, Floats]:
        users, items = (side.detach().cpu().numpy() for side in self.numbers())
        return users, items

    def served(self, factors: Factors) -> tuple[Floats | Codes, Codes]:
        users, items = self.ranked(factors)
        coder = TransformCodes(bits=self.options.bits, size=self.options.size)
        codes = code_items(coder, items, self.seed, users)
        if self.options.users == "float":
            return users, codes
        return code_queries(coder, users, codes.rotation, self.seed, items), codes

    def _ranked(self, vectors: Any, weights: Any) -> Any:
        return (normalize(vectors, dim=-1) if self.cosine else vectors) * weights


def spread(users: Any, items: Any) -> float:
    """The standard deviation of a user's scores of all items, a mean over users."""
    around = items - items.mean(0)
    covariance = around.T @ around / max(len(items), 1)
    return float(((users @ covariance) * users).sum(1).clamp(min=0).sqrt().mean())


class _TaughtSeen(CodedSeen):
    module: Transformed

    def softmax(self, batch: Batch, temperature: float, weight: str) -> Any:
        """Targets are what the teacher says of all items, not the interactions: fitting those again
        would lose more than codes do."""
        module = self.module
        users = module.user_side(module._ranked(self.view.users(batch.users), 1.0))
        items = module.item_side(module._ranked(self.view.all_items(), module.weights))
        told = module.teacher_users[batch.users], module.teacher_items
        return taught(users, items, *told, temperature * module.usual)
