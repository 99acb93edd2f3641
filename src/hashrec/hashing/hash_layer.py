"""One linear layer and the sign: the hash layers of HashGNN and BGCH."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import softplus

from hashrec.codes import Codes
from hashrec.hashing.coded import CodedModule, CodedSeen, drawing
from hashrec.hashing.estimators import fourier, guided, identity, sloped
from hashrec.hashing.quantisers import Plain, Side, Uniform, packed, sign, size_of
from hashrec.learning import Batch, Task
from hashrec.training.backbone import Backbone, Seen
from hashrec.training.batches import Batches

if TYPE_CHECKING:
    from hashrec.hashing.bgch import BgchCodes
    from hashrec.hashing.hashgnn import HashGnnCodes
    from hashrec.hashing.ste import SteCodes

_EDGES = 4_096  # of a batch, for the reconstruction
_BEYOND = 10**9  # no run has so many epochs: draws of their own for the reconstruction

__all__ = ["DispersedLayer", "GuidedLayer", "dispersed_module", "frame", "guided_module", "mapped"]


class GuidedLayer(Side):
    """HashGNN: rows of sign(z) among rows of z = tanh(W x + b), in units of x's usual size.

    Attributes:
        share: the probability of a row to be its code. generator: of these draws.
    """

    def __init__(self, start: Any, usual: float) -> None:
        super().__init__()
        self.map = nn.Parameter(start / usual)
        self.bias = nn.Parameter(torch.zeros(start.shape[1]))
        self.share, self.generator = 1.0, torch.Generator()

    def forward(self, x: Any) -> Any:
        z = self.continuous(x)
        h = sloped(z, sign(z), identity(z))
        if not self.training or self.share >= 1:
            return h
        flat = guided(z.flatten(0, -2), h.flatten(0, -2), self.share, self.generator)
        return flat.view(z.shape)

    def _codes(self, x: Any) -> Codes:
        return packed(self.continuous(x) >= 0, 1)

    def continuous(self, x: Any) -> Any:
        """z."""
        return torch.tanh(x @ self.map + self.bias)


class DispersedLayer(Side):
    """BGCH: sign(y) mean|y|, y = (x - eta (x . v) v) W.

    Attributes:
        v: (d,) unit; kept with the weights, for it is part of the code.
    """

    def __init__(self, start: Any, eta: float) -> None:
        super().__init__()
        self.map, self.eta = nn.Parameter(start.clone()), eta
        self.v = nn.Parameter(torch.zeros(len(start)), requires_grad=False)

    def forward(self, x: Any) -> Any:
        y = self._before(x)
        usual = y.detach() / size_of(y.detach())
        return sloped(y / size_of(y), sign(y), fourier(usual)) * y.abs().mean(-1, keepdim=True)

    def _codes(self, x: Any) -> Codes:
        y = self._before(x)
        return packed(y >= 0, 1, scales=y.abs().mean(-1).cpu().numpy())

    def look(self, x: Any) -> None:
        """Takes v from (n, d) vectors."""
        _, basis = torch.linalg.eigh(x.double().T @ x.double())
        self.v.copy_(basis[:, -1].to(self.v))

    def _before(self, x: Any) -> Any:
        return (x - self.eta * (x @ self.v)[..., None] * self.v) @ self.map


class _Guided(CodedModule):
    """Attributes: met: (n_interactions,) int64, sorted: user * n_items + item of each.
    generator: of the pairs that are none."""

    def __init__(
        self, inner: Backbone, users: Side, items: Side, options: HashGnnCodes, task: Task
    ) -> None:
        super().__init__(inner, users, items)
        self.options, self.seed, self.generator = options, task.seed, torch.Generator()
        seen = task.log.matrix
        self.n_items = seen.n_columns
        met = torch.from_numpy(seen.row_of_entry * seen.n_columns + seen.indices)
        self.register_buffer("met", met, persistent=False)

    def forward(self) -> Seen:
        return _GuidedSeen(self, self.inner())

    def refresh(self, epoch: int, epochs: int, batches: Batches) -> None:
        drawing(self.generator, self.seed, epoch + _BEYOND, 0)
        for number, side in enumerate(self._sides()):
            if isinstance(side, GuidedLayer):
                side.share = share_of_codes(epoch, epochs, self.options.guidance)
                drawing(side.generator, self.seed, epoch, number)

    def numbers(self) -> tuple[Any, Any]:
        """z of both sides, which are trained beside the codes."""
        with torch.no_grad():
            found = [
                side.continuous(x) if isinstance(side, GuidedLayer) else side(x)
                for side, x in zip(self._sides(), self.inner.export(), strict=True)
            ]
        return found[0], found[1]

    def strangers(self, users: Any, items: Any) -> tuple[Any, Any]:
        """Another of `items` for each of (P,) users, drawn as often as they occur; and which of
        these pairs are no interaction."""
        others = items[torch.randperm(len(items), generator=self.generator).to(items.device)]
        wanted = users * self.n_items + others
        places = torch.searchsorted(self.met, wanted).clamp(max=len(self.met) - 1)
        return others, self.met[places] != wanted


def share_of_codes(epoch: int, epochs: int, guidance: float) -> float:
    """The probability of a row to be its code: from 0 in a line to 1 after `guidance * epochs`,
    and 1 in the last epoch whatever `guidance` is."""
    growing = guidance * epochs
    return 1.0 if epoch >= growing or epoch + 1 == epochs else epoch / growing


class _GuidedSeen(CodedSeen):
    module: _Guided

    def extra(self, batch: Batch) -> Any:
        """reconstruction * (mean of softplus(-s) over edges + mean of softplus(s) over pairs that
        are none) / 2: the edges' users with their items in another order, drawn at every step;
        what is an edge by chance is left out."""
        if not self.module.options.reconstruction:
            return 0.0
        positions = batch.users if batch.owner is None else batch.users[batch.owner]
        every = -(-len(positions) // _EDGES)
        positions, chosen = positions[::every], batch.items[::every]
        others, none = self.module.strangers(positions, chosen)
        users = self.users(positions)
        edges = softplus(-_logits(users, self.items(chosen))).mean()
        apart = softplus(_logits(users, self.items(others))) * none
        loss = (edges + apart.sum() / none.sum().clamp(min=1)) / 2
        return self.module.options.reconstruction * loss


def _logits(users: Any, items: Any) -> Any:
    """Products of codes grow with their length; over its root they keep a size."""
    return (users * items).sum(-1) / users.shape[-1] ** 0.5


def guided_module(inner: Backbone, options: HashGnnCodes, task: Task) -> CodedModule:
    """An encoder's module with HashGNN around it."""
    _, items = inner.export()
    start = frame(items, options.dim, torch.Generator().manual_seed(task.seed))
    # One item, around its mean, is nothing, and has no usual size.
    usual = float((items @ start).square().mean().sqrt()) or 1.0
    layer = GuidedLayer(start, usual) if options.users == "coded" else Mapped(start, Plain())
    return _Guided(inner, layer, GuidedLayer(start, usual), options, task)


def dispersed_module(inner: Backbone, options: BgchCodes, seed: int) -> CodedModule:
    """An encoder's module with BGCH around it."""
    _, items = inner.export()
    dim = options.dim or items.shape[1]
    start = frame(items, dim, torch.Generator().manual_seed(seed))
    made = [DispersedLayer(start, options.dispersion) for _ in range(2)]
    users = made[0] if options.users == "coded" else Mapped(start, Plain())
    return _Dispersed(inner, users, made[1])


class _Dispersed(CodedModule):
    def refresh(self, epoch: int, epochs: int, batches: Batches) -> None:
        with torch.no_grad():
            for side, vectors in zip(self._sides(), self.inner.export(), strict=True):
                if isinstance(side, DispersedLayer):
                    side.look(vectors)


class Mapped(Side):
    """Another side, of x W. start: (d, dim), W at first."""

    def __init__(self, start: Any, side: Side) -> None:
        super().__init__()
        self.map, self.side = nn.Parameter(start.clone()), side

    def forward(self, x: Any) -> Any:
        return self.side(x @ self.map)

    def _codes(self, x: Any) -> Codes | None:
        return self.side.codes(x @ self.map)


def mapped(inner: Backbone, options: SteCodes, seed: int) -> CodedModule:
    """Uniform quantisers of `options.dim` dimensions, behind a map of each side."""
    assert options.dim is not None
    users, items = inner.export()
    start = frame(items, options.dim, torch.Generator().manual_seed(seed))
    made: list[Side] = [
        Uniform(options.bits, options.range, options.estimator, side @ start)
        for side in (users, items)
    ]
    if options.users == "float":
        made[0] = Plain()
    return CodedModule(inner, *(Mapped(start, side) for side in made))


def frame(items: Any, dim: int, generator: Any) -> Any:
    """(d, dim) with orthonormal rows or columns: the main directions of the items, as many as
    there are bits, turned at random; with more bits than dimensions, a random frame."""
    d = items.shape[1]
    if dim > d:
        return _rotation(dim, d, generator).T.contiguous().to(items) * (dim / d) ** 0.5
    turned = _rotation(dim, dim, generator).to(items)
    if dim == d:
        return turned
    _, basis = torch.linalg.eigh(items.double().T @ items.double())
    return basis[:, d - dim :].to(items) @ turned


def _rotation(rows: int, columns: int, generator: Any) -> Any:
    """(rows, columns) float32 with orthonormal columns, drawn evenly from all there are.

    Contiguous: parameters are made of it, and checkpoints keep rows.
    """
    drawn = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(drawn)
    return (q * r.diagonal().sign()).float().contiguous()
