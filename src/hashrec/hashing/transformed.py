"""Transform codes in the loop of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import normalize

from hashrec.codes import Codes, TransformCodes, code_items, code_queries
from hashrec.codes.transform import allocate, principal, total_bits
from hashrec.hashing.coded import CodedModule, Factors, Floats
from hashrec.hashing.estimators import sloped
from hashrec.hashing.quantisers import Plain, Side
from hashrec.training.backbone import Backbone
from hashrec.training.batches import Batches

if TYPE_CHECKING:
    from hashrec.hashing.tuned import TunedCodes

__all__ = ["Transformed", "TransformedSide"]


class TransformedSide(Side):
    """What transform codes of x decode to, the gradient of every direction with bits passing
    straight through. `look` says which directions, bits and levels these are at present.

    Args:
        d: of the vectors. total: bits of all directions.
    """

    def __init__(self, d: int, total: int, *, unit: bool) -> None:
        super().__init__()
        self.total, self.unit = total, unit
        shapes = {"turn": (d, d), "back": (d, d), "middle": (d,), "reach": (d,), "top": (d,)}
        for name, shape in shapes.items():
            # No gradient; parameters, so that checkpoints keep them.
            setattr(self, name, nn.Parameter(torch.zeros(shape), requires_grad=False))

    def forward(self, x: Any) -> Any:
        x = normalize(x, dim=-1) if self.unit else x
        z = (x - self.middle) @ self.turn
        gain = self.reach / self.top.clamp(min=1)
        code = torch.floor(((z / gain.clamp(min=1e-30)) + self.top + 1) / 2)
        level = 2 * torch.minimum(code.clamp(min=0), self.top) - self.top
        hard = (level * gain).detach()
        told = sloped(z, hard, (self.top > 0).to(z.dtype).expand_as(z))
        return told @ self.back + self.middle

    def look(self, x: Any, queries: Any) -> None:
        """Fits all that is not learned to (n, d) vectors and those they will meet."""
        x = normalize(x, dim=-1) if self.unit else x
        vectors = x.double().cpu().numpy()
        middle = vectors.mean(0)
        forward, back = principal(vectors - middle, queries.double().cpu().numpy())
        bits, reach = allocate((vectors - middle) @ forward, self.total)
        for name, value in (("turn", forward), ("back", back), ("middle", middle),
                            ("reach", reach), ("top", 2.0**bits - 1)):  # fmt: skip
            getattr(self, name).copy_(torch.from_numpy(value))


class Transformed(CodedModule):
    """Item codes, and user codes where asked, fitted anew before each epoch and at the end.

    Attributes:
        options: of the code. unit: the loss looks at vectors at length one.
    """

    def __init__(self, inner: Backbone, options: TunedCodes, seed: int) -> None:
        d, unit = inner.export()[1].shape[1], options.loss.cosine
        total = total_bits(options.bits, options.size, d)
        users = TransformedSide(d, total, unit=unit) if options.users == "coded" else Plain()
        super().__init__(inner, users, TransformedSide(d, total, unit=unit))
        self.options, self.seed = options, seed

    def refresh(self, epoch: int, epochs: int, batches: Batches) -> None:
        users, items = self.inner.export()
        with torch.no_grad():
            for side, own, met in ((self.item_side, items, normalize(users, dim=-1)),
                                   (self.user_side, users, items - items.mean(0))):  # fmt: skip
                if isinstance(side, TransformedSide):
                    side.look(own, met)

    def export(self) -> tuple[Any, Any]:
        with torch.no_grad():
            users, items = self.inner.export()
            return self.user_side(users), self.item_side(items)

    def served(self, factors: Factors) -> tuple[Floats | Codes, Codes]:
        users, items = (side.cpu().numpy() for side in self.numbers())
        by_user, by_item = factors(users, items)
        users, items = users * by_user[:, None], items * by_item[:, None]
        coder = TransformCodes(bits=self.options.bits, size=self.options.size)
        codes = code_items(coder, items, self.seed, users)
        if self.options.users == "float":
            return users, codes
        return code_queries(coder, users, codes.rotation, self.seed, items), codes
