"""What becomes of items that come later: hidden with all their edges, then placed by `extend`.

    python tools/new_ids.py DATA [--rows 0.25] [--method graph]

Hides a tenth of the items, clusters the rest, extends, and compares with a clustering of
everything. Agreement is over pairs (hidden item, item in view): those together in both, over those
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
from hashrec.interactions import Ids, Interactions, read_parts


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
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
