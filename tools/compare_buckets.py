"""Compares bucket methods by what LightGCN recommends when trained on their tables.

    python tools/compare_buckets.py DATA --rows 9000 graph leiden '{"name": "graph", ...}'

A plain full-batch LightGCN (2 layers, mean, BPR with one uniform negative, Adam) on the train part;
steps are chosen on the valid part; the test part is measured once, at that step. One JSON line a
method on stdout. It chose the defaults of the bucket methods; see docs/experiments.md.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch

from hashrec.bucketing import Assignment, buckets
from hashrec.codes import FloatCodes
from hashrec.encoders import Encoding
from hashrec.errors import UsageError
from hashrec.graph import BipartiteOperator
from hashrec.interactions import Interactions, read_parts
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender


class _Propagate(torch.autograd.Function):  # type: ignore[misc]
    """Mean of layers 0..2 of both sides; linear and symmetric, so its gradient is itself."""

    @staticmethod
    def forward(ctx: Any, operator: BipartiteOperator, users: Any, items: Any) -> Any:
        ctx.operator = operator
        return _layers(operator, users, items)

    @staticmethod
    def backward(ctx: Any, users: Any, items: Any) -> Any:
        return None, *_layers(ctx.operator, users.contiguous(), items.contiguous())


def _layers(operator: BipartiteOperator, users: Any, items: Any) -> Any:
    u, i = users.detach().numpy(), items.detach().numpy()
    sums = u.copy(), i.copy()
    for _ in range(2):
        u, i = operator.to_users(i), operator.to_items(u)
        sums[0][:] += u
        sums[1][:] += i
    return torch.from_numpy(sums[0] / 3), torch.from_numpy(sums[1] / 3)


def _vectors(table: Any, assignment: Assignment) -> Any:
    chosen = table[torch.from_numpy(assignment.buckets.astype(np.int64))]
    if assignment.weights is not None:
        chosen = chosen * torch.from_numpy(assignment.weights)[:, :, None]
    total = chosen.sum(1)
    return total / assignment.ways if assignment.combiner == "mean" else total


def train(
    parts: Any, users: Assignment, items: Assignment, options: argparse.Namespace
) -> dict[str, Any]:
    """Trains, and measures where the valid part said to stop."""
    log: Interactions = parts.train
    generator = torch.Generator().manual_seed(options.seed)
    operator = BipartiteOperator.normalised(log.matrix)
    rows = torch.from_numpy(log.matrix.row_of_entry)
    columns = torch.from_numpy(log.matrix.indices.astype(np.int64))
    tables = [
        (torch.randn(side.rows, side.width(64), generator=generator) * 0.1).requires_grad_()
        for side in (users, items)
    ]
    optimiser = torch.optim.Adam(tables, lr=options.lr)
    best: dict[str, Any] = {"valid": -1.0}
    for step in range(1, options.steps + 1):
        u, i = _vectors(tables[0], users), _vectors(tables[1], items)
        if options.layers:
            u, i = _Propagate.apply(operator, u, i)
        picked = torch.randint(len(rows), (min(options.batch, len(rows)),), generator=generator)
        negative = torch.randint(log.n_items, (len(picked),), generator=generator)
        at = u[rows[picked]]
        margin = (at * (i[columns[picked]] - i[negative])).sum(1)
        loss = torch.nn.functional.softplus(-margin).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % options.every == 0:
            vectors = u.detach().numpy(), i.detach().numpy()
            valid = _measure(log, parts.valid, vectors)["recall@20"]
            if valid > best["valid"]:
                best = {"valid": valid, "step": step, "vectors": vectors}
            elif step >= best["step"] + 4 * options.every:
                break
    found = _measure(log, parts.test, best["vectors"])
    return {"valid": best["valid"], "step": best["step"], **found}


def _measure(log: Interactions, part: Interactions, vectors: tuple[Any, Any]) -> dict[str, float]:
    recipe = Recipe(codes=FloatCodes(), users="stored")
    model = Recommender(recipe).code(log, Encoding(vectors[0], vectors[1], None))
    metrics = model.evaluate(part, [10, 20], protocol="graphhash").metrics
    return {key: round(metrics[key], 5) for key in ("recall@10", "recall@20", "ndcg@20")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--rows", default="0.25")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--every", type=int, default=40)
    parser.add_argument("--batch", type=int, default=65_536)
    parser.add_argument("--lr", type=float, default=2e-2)
    parser.add_argument("--layers", type=int, choices=(0, 2), default=2, help="0: plain MF")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    parts = read_parts(options.data)
    if parts.valid is None or parts.test is None:
        raise UsageError("valid and test parts are needed", name=options.data)
    for text in options.methods:
        method = json.loads(text) if text.startswith("{") else text
        found = buckets(parts.train, method, options.rows, seed=options.seed)
        began = time.perf_counter()
        result = train(parts, found.users, found.items, options)
        row = {"method": method, "layers": options.layers, "rows": found.rows, "seed": options.seed,
               **result, "seconds": round(time.perf_counter() - began, 1)}  # fmt: skip
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
