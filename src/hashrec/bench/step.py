"""`bench step`: one training step of LightGCN beside the usual one on a torch COO matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hashrec.bench.subject import subject
from hashrec.bench.timing import alternate
from hashrec.bucketing import buckets
from hashrec.errors import UsageError
from hashrec.graph import BipartiteOperator
from hashrec.interactions import Interactions
from hashrec.learning import Source, Training
from hashrec.learning.bpr import Bpr
from hashrec.progress import Progress

__all__ = ["bench_step"]

_DIM, _LAYERS, _BATCH, _DECAY, _RATE = 64, 3, 2048, 1e-4, 1e-3


def bench_step(
    *, data: str | None, quick: bool, repeats: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """BPR on 2,048 positives with a negative each, 3 layers, 64 dimensions, L2 of the batch's own
    rows, Adam: forward, backward and update, drawing the batch included on our side alone.

    The other side is LightGCN as published for PyTorch: the whole (n_users + n_items)^2 adjacency
    as a coalesced COO matrix, one table for both sides, layers stacked and averaged. Both start
    from the same tables, and their losses on the same batch are compared before anything is timed.
    """
    train, _ = subject(data, quick=quick, seed=seed)
    ours, theirs, compare = _ours(train, seed), _theirs(train, seed), _first_losses(train, seed)
    if abs(compare[0] - compare[1]) > 1e-4 * abs(compare[1]):
        raise UsageError("the two sides do not compute the same loss", got=f"{compare}")
    timings = alternate({"hashrec": ours, "torch coo": theirs}, repeats, progress)
    drawing = alternate({"drawing": _drawing(train, seed)}, repeats, progress)["drawing"]
    rows = [
        {"engine": name, "edges": train.n_interactions, "batch": _BATCH, **timing.row()}
        for name, timing in [*timings.items(), ("hashrec, drawing the batch", drawing)]
    ]
    ratio = timings["torch coo"].median / timings["hashrec"].median
    share = drawing.median / timings["hashrec"].median
    return {
        "rows": rows,
        "claims": {"over_lightgcn_pytorch": round(ratio, 3), "drawing_share": round(share, 4)},
    }


def _batches(train: Interactions, seed: int) -> Any:
    from hashrec.training.batches import Batches

    source = Source(train.matrix, train.matrix.column_counts())
    return Batches(source, Bpr(), seed, _BATCH)


def _module(train: Interactions, seed: int) -> Any:
    from hashrec.training.light_gcn import LightGcnModule
    from hashrec.training.propagation import Propagation
    from hashrec.training.start import normal

    weights = (1 / (_LAYERS + 1),) * (_LAYERS + 1)
    propagation = Propagation(BipartiteOperator.normalised(train.matrix), weights)
    return LightGcnModule(*normal(buckets(train, "full"), _DIM, 0.1, seed), propagation)


def _ours(train: Interactions, seed: int) -> Callable[[], None]:
    from hashrec.training.run import Run

    options = Training(
        loss=Bpr(), batch=_BATCH, decay=_DECAY, learning_rate=_RATE, schedule="constant",
        warmup=0.0, valid=0.0, epochs=1_000,
    )  # fmt: skip
    batches = _batches(train, seed)
    run, order = Run(_module(train, seed), batches, options, 1), batches.order(0)
    place = iter(range(10**9))
    return lambda: _ignore(run.step(order, 0, next(place) % len(batches)))


def _drawing(train: Interactions, seed: int) -> Callable[[], None]:
    batches = _batches(train, seed)
    order, place = batches.order(0), iter(range(10**9))
    return lambda: _ignore(batches.batch(order, 0, next(place) % len(batches)))


def _ignore(_: object) -> None:
    pass


class _Published:
    """LightGCN over one table and a COO adjacency, as its PyTorch code has it."""

    def __init__(self, train: Interactions, seed: int) -> None:
        import torch

        module = _module(train, seed)
        tables = module.user_table.weight, module.item_table.weight
        self.sizes = [len(table) for table in tables]
        self.table = torch.nn.Parameter(torch.cat([table.detach() for table in tables]))
        self.adjacency = _adjacency(train)

    def loss(self, batch: Any) -> Any:
        import torch
        from torch.nn.functional import softplus

        layers = [self.table]
        for _ in range(_LAYERS):
            layers.append(torch.sparse.mm(self.adjacency, layers[-1]))
        users, items = torch.stack(layers, 1).mean(1).split(self.sizes)
        own_users, own_items = self.table.split(self.sizes)
        negatives = batch.negatives[:, 0]
        wanted = (users[batch.users] * items[batch.items]).sum(1)
        others = (users[batch.users] * items[negatives]).sum(1)
        picked = own_users[batch.users], own_items[batch.items], own_items[negatives]
        squares = sum(one.square().sum() for one in picked) / (2 * len(batch.users))
        return softplus(others - wanted).mean() + _DECAY * squares


def _adjacency(train: Interactions) -> Any:
    """[0 N; N^T 0] as a coalesced COO tensor of float32."""
    import torch

    operator = BipartiteOperator.normalised(train.matrix)
    rows, columns = train.matrix.row_of_entry, train.matrix.indices.astype(np.int64)
    values = operator.user_scale[rows] * operator.item_scale[columns]
    n_users, n_items = operator.shape
    index = np.stack([np.concatenate([rows, columns + n_users]),
                      np.concatenate([columns + n_users, rows])])  # fmt: skip
    size = n_users + n_items
    return torch.sparse_coo_tensor(
        torch.from_numpy(index), torch.from_numpy(np.concatenate([values, values])), (size, size),
        check_invariants=True,
    ).coalesce()  # fmt: skip


def _theirs(train: Interactions, seed: int) -> Callable[[], None]:
    import torch

    model, batches = _Published(train, seed), _batches(train, seed)
    adam = torch.optim.Adam([model.table], lr=_RATE)
    batch = batches.batch(batches.order(0), 0, 0)

    def step() -> None:
        loss = model.loss(batch)
        adam.zero_grad()
        loss.backward()
        adam.step()

    return step


def _first_losses(train: Interactions, seed: int) -> tuple[float, float]:
    """Both losses of the first batch at the start."""
    module, batches = _module(train, seed), _batches(train, seed)
    batch = batches.batch(batches.order(0), 0, 0)
    ours = Bpr()(module(), batch) + _DECAY * module.squares(batch)
    theirs = _Published(train, seed).loss(batch)
    return float(ours.detach()), float(theirs.detach())
