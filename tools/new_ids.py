"""What becomes of items that come later: hidden with all their edges, then placed by `extend`.

    python tools/new_ids.py DATA [--rows 0.25] [--method graph]

Hides a tenth of the items, clusters the rest, extends, and compares with a clustering of
everything. Where DATA has a test part, matrix factorisation is trained on the items in view, a
hidden item gets its bucket's vector, and recall@20 is of the test interactions of hidden items,
ranked among all items: beside a bucket drawn at random and a model that was trained on everything.

Agreement is over pairs (hidden item, item in view): those together in both, over those
together in either. The same for items in view tells how much two clusterings differ anyway, and a
random placement what chance gives.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import numpy.typing as npt

from hashrec.bucketing import buckets
from hashrec.csr import Csr
from hashrec.encoders import Encoding
from hashrec.interactions import Ids, Interactions, read_parts
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender


def without(log: Interactions, hidden: npt.NDArray[np.bool_]) -> Interactions:
    """The log without some items: their ids are gone, users stay."""
    kept = ~hidden[log.matrix.indices]
    number = np.cumsum(~hidden) - 1
    matrix = Csr.from_pairs(
        log.matrix.row_of_entry[kept],
        number[log.matrix.indices[kept]],
        n_rows=log.n_users,
        n_columns=int((~hidden).sum()),
    )
    ids = Ids(log.items.take(np.flatnonzero(~hidden)))
    return Interactions(log.users, ids, matrix, None, log.report)


def agreement(
    one: npt.NDArray[np.int32],
    other: npt.NDArray[np.int32],
    subject: npt.NDArray[np.bool_],
    view: npt.NDArray[np.bool_],
) -> float:
    """Jaccard index of the pairs (subject, view) that share a bucket."""

    def together(first: npt.NDArray[np.int64]) -> float:
        counts = np.bincount(first[view], minlength=int(first.max()) + 1)
        own = subject & view  # nobody is compared with themselves
        return float(counts[first[subject]].sum() - own.sum())

    _, both = np.unique(one.astype(np.int64) * (int(other.max()) + 1) + other, return_inverse=True)
    shared = together(both)
    return shared / (together(one.astype(np.int64)) + together(other.astype(np.int64)) - shared)


Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]


def recalls(
    log: Interactions,
    test: Interactions,
    hidden: npt.NDArray[np.bool_],
    placed: dict[str, Numbers],
    options: argparse.Namespace,
) -> dict[str, float]:
    """recall@20 of the hidden items' test interactions, by where `placed` puts those items."""
    recipe = Recipe.from_dict(
        {"encoder": {"name": "mf"}, "codes": "float", "users": "stored", "seed": options.seed,
         "table": {"method": options.method, "rows": options.rows}}
    )  # fmt: skip
    model = Recommender(recipe)
    seen = np.flatnonzero(hidden[test.matrix.indices])
    shape = {"n_rows": test.n_users, "n_columns": test.n_items}
    wanted = test.with_matrix(
        Csr.from_pairs(test.matrix.row_of_entry[seen], test.matrix.indices[seen], **shape)
    )

    def recall(users: Floats, items: Floats) -> float:
        model.code(log, Encoding(users, items, None, {}))
        return float(model.evaluate(wanted, (20,)).metrics["recall@20"])

    whole = model.encode(log)
    found = {"recall, trained": recall(whole.users, whole.items)}
    partial = model.encode(without(log, hidden))
    degrees = np.maximum(log.matrix.column_counts(), 1)[:, None].astype(np.float32)
    for name, bucket in placed.items():
        items = np.zeros((log.n_items, partial.items.shape[1]), np.float32)
        items[~hidden] = partial.items
        rows = np.zeros((int(bucket.max()) + 1, items.shape[1]), np.float32)
        np.add.at(rows, bucket[~hidden], items[~hidden])
        own = rows[bucket[hidden]]
        own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
        items[hidden] = own * degrees[hidden] ** recipe.training.loss.tilt
        found[f"recall, {name}"] = recall(partial.users, items)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rows", default="0.25")
    parser.add_argument("--method", default="graph")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    parts = read_parts(options.data)
    log = parts.train
    met = log.matrix.column_counts() > 0
    rng = np.random.default_rng(options.seed)
    hidden = met & (rng.random(log.n_items) < 0.1)
    view = met & ~hidden
    whole = buckets(log, options.method, options.rows)
    partial = buckets(without(log, hidden), options.method, options.rows).extend(log)
    order = partial.items.positions(log.items.array)
    fresh, extended = whole.items.buckets[:, -1], partial.items.buckets[order, -1]
    chance = np.where(hidden, rng.permutation(extended), extended).astype(np.int32)
    result = {
        "data": options.data,
        "rows": options.rows,
        "method": options.method,
        "hidden": int(hidden.sum()),
        "hidden, extended": agreement(fresh, extended, hidden, view),
        "in view": agreement(fresh, extended, view, view),
        "hidden, at random": agreement(fresh, chance, hidden, view),
    }
    if parts.test is not None:
        placed = {"extended": extended, "at random": chance}
        result |= recalls(log, parts.test, hidden, placed, options)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
