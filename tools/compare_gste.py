"""HQ-GNN's gradient scaling beside the straight-through estimator, over seeds and bits.

    python tools/compare_gste.py DATA [--seeds 5] [--bits 1 2 4 8] [--dim 64] [--scaled 0.1 1]

One LightGCN teacher a seed (default loss and start, 15 epochs on all of train); from each, `hq`
with delta = 0 (straight through), with delta from the Hessian, and with the fixed deltas asked
for. recall@20 on the test part: mean, spread, and in how many seeds it is above delta = 0.
"""

from __future__ import annotations

import argparse
import json
from statistics import mean, pstdev

from hashrec.bench.subject import subject
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bits", type=int, nargs="+", default=[1])
    parser.add_argument("--scaled", type=float, nargs="*", default=[])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    train, test = subject(options.data, quick=False, seed=0)
    deltas: list[float | None] = list(dict.fromkeys([0.0, None, *options.scaled]))  # each once
    found: dict[tuple[int, float | None], list[float]] = {}
    facts: dict[int, list[dict[str, float]]] = {}
    floats: list[float] = []
    for seed in range(options.seeds):
        base = {"seed": seed, "encoder": {"name": "lightgcn", "dim": options.dim},
                "training": {"epochs": 15, "valid": 0}, "users": "stored"}  # fmt: skip
        plain = Recommender(Recipe.from_dict({**base, "codes": "float"}))
        teacher = plain.encode(train)
        plain.code(train, teacher)
        floats.append(plain.evaluate(test, (20,)).metrics["recall@20"])
        print(json.dumps({"seed": seed, "float": round(floats[-1], 4)}), flush=True)
        for bits in options.bits:
            for delta in deltas:
                codes = {"name": "hq", "bits": bits, "delta": delta, "epochs": options.epochs}
                model = Recommender(Recipe.from_dict({**base, "codes": codes}))
                model.code(train, teacher)
                recall = model.evaluate(test, (20,)).metrics["recall@20"]
                found.setdefault((bits, delta), []).append(recall)
                told = {"seed": seed, "bits": bits, "delta": delta, "recall@20": round(recall, 4)}
                print(json.dumps(told), flush=True)
                if delta is None:
                    facts.setdefault(bits, []).append(model.fitted.facts["codes"])
    print(json.dumps({"float": round(mean(floats), 4), "spread": round(pstdev(floats), 4)}))
    for (bits, delta), values in found.items():
        straight = found[bits, 0.0]
        row = {
            "bits": bits,
            "delta": "from the Hessian" if delta is None else delta,
            "recall@20": round(mean(values), 4),
            "spread": round(pstdev(values), 4),
            "above delta 0": sum(a > b for a, b in zip(values, straight, strict=True)),
            "mean gain": round(mean(a - b for a, b in zip(values, straight, strict=True)), 5),
        }
        if delta is None:
            row["item_delta"] = round(mean(one["item_delta"] for one in facts[bits]), 5)
            row["user_delta"] = round(mean(one["user_delta"] for one in facts[bits]), 5)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
