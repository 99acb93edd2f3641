"""HashLGN's three maps: a hash network for items, a decoder for their bits, one for users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import leaky_relu, softplus
from torch.nn.utils import skip_init

from hashrec.codes import Codes, Decoder
from hashrec.hashing.coded import CodedModule
from hashrec.hashing.estimators import SLOPES, sloped
from hashrec.hashing.hash_layer import Mapped, frame
from hashrec.hashing.quantisers import Plain, Side, packed, sign, size_of
from hashrec.training.backbone import Backbone

if TYPE_CHECKING:
    from hashrec.hashing.hashlgn import HashLgnCodes

__all__ = ["HashMlp", "hash_lgn"]


class HashMlp(Side):
    """g(sign(h(x))): see `HashLgnCodes`.

    Args:
        start: (d, dim) matrix that h is at first. hidden: width of its hidden layers.
    """

    def __init__(self, start: Any, hidden: int, estimator: str, generator: Any) -> None:
        super().__init__()
        d, dim = start.shape
        self.estimator = estimator
        # skip_init: what torch would draw first would come from everybody's generator.
        self.first, self.second = (
            skip_init(nn.Linear, d, hidden),
            skip_init(nn.Linear, hidden, hidden),
        )
        self.third, self.past = (
            skip_init(nn.Linear, hidden, dim),
            skip_init(nn.Linear, d, dim, bias=False),
        )
        with torch.no_grad():
            for layer in (self.first, self.second):
                layer.weight.normal_(std=layer.in_features**-0.5, generator=generator)
                layer.bias.zero_()
            for nothing in (self.third.weight, self.third.bias):
                nothing.zero_()
            self.past.weight.copy_(start.T)
        # alpha = softplus(raw alpha) > 0, and beta alike; 1 at the start.
        one = torch.full((dim,), 1.0).expm1().log()
        self.raw_alpha, self.raw_beta = nn.Parameter(one.clone()), nn.Parameter(one.clone())

    def forward(self, x: Any) -> Any:
        before = self._before(x)
        usual = before.detach() / size_of(before.detach())
        code = sloped(before, sign(before), SLOPES[self.estimator](usual))
        gain, offset = self._decoder()
        return code * gain + offset

    def _codes(self, x: Any) -> Codes:
        bits = self._before(x) >= 0
        gain, offset = (one.cpu().numpy() for one in self._decoder())
        return packed(bits, 1, decoder=Decoder(gain, offset))

    def _before(self, x: Any) -> Any:
        hidden = leaky_relu(self.second(leaky_relu(self.first(x))))
        return self.third(hidden) + self.past(x)

    def _decoder(self) -> tuple[Any, Any]:
        """alpha for +1 and -beta for -1, as level * gain + offset."""
        alpha, beta = softplus(self.raw_alpha), softplus(self.raw_beta)
        return (alpha + beta) / 2, (alpha - beta) / 2


def hash_lgn(inner: Backbone, options: HashLgnCodes, seed: int) -> CodedModule:
    """An encoder's module with HashLGN around it."""
    generator = torch.Generator().manual_seed(seed)
    _, items = inner.export()
    start = frame(items, options.dim, generator)
    hidden = options.hidden or items.shape[1]
    mlp = HashMlp(start, hidden, options.estimator, generator)
    return CodedModule(inner, Mapped(start, Plain()), mlp)
