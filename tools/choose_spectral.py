"""How the defaults of the spectral encoder were chosen: on a validation part, never on a test part.

    python tools/choose_spectral.py DATA --dim 512 --out choices.jsonl

A tenth of every training user's items is held out. Each setting is encoded once and measured three
ways: float vectors, 1-bit items with the encoder's own float users, and 1-bit items with users
computed from them. A line is written as each setting ends; settings that have one are skipped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hashrec import Recipe, Recommender, Spectral, UserSplit, read_parts

# user, item, degree and spectrum exponents, iterations.
SETTINGS = (
    (0.5, 0.5, 0.5, 0.0, 3),
    (0.5, 0.5, 0.5, 1.0, 3),
    (0.5, 0.5, 0.4, 0.5, 3),
    (0.3, 0.4, 0.2, 0.5, 3),
    (0.3, 0.4, 0.3, 0.25, 3),
    (0.35, 0.4, 0.25, 0.0, 3),
    (0.35, 0.4, 0.25, 0.25, 2),
    (0.35, 0.4, 0.25, 0.25, 3),
    (0.35, 0.4, 0.25, 0.5, 2),
    (0.35, 0.4, 0.25, 0.5, 3),
    (0.35, 0.4, 0.25, 0.5, 6),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    done = options.out.read_text().splitlines() if options.out.exists() else []
    keys = {json.dumps(json.loads(line)["setting"]) for line in done}
    whole = read_parts(options.data).train
    train, valid = whole.split(UserSplit(test=0.1, seed=options.seed))
    for setting in SETTINGS:
        key = [options.data, options.dim, options.seed, *setting]
        if json.dumps(key) in keys:
            continue
        spec = Spectral(
            dim=options.dim,
            user_exponent=setting[0],
            item_exponent=setting[1],
            degree_exponent=setting[2],
            spectrum_exponent=setting[3],
            max_iterations=setting[4],
        )
        recipe = Recipe(encoder=spec, seed=options.seed)
        encoding = Recommender(recipe).encode(train)
        ways = {
            "float": recipe.full_precision(),
            "stored": recipe.model_copy(update={"users": "stored"}),
            "computed": recipe,
        }
        recalls = {
            way: round(
                Recommender(variant).code(train, encoding).evaluate(valid).metrics["recall@20"], 4
            )
            for way, variant in ways.items()
        }
        with options.out.open("a") as file:
            file.write(json.dumps({"setting": key, **recalls}) + "\n")
        print(*setting, recalls, flush=True)


if __name__ == "__main__":
    main()
