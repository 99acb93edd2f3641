"""Inverted lists from k-means beside lists from the graph's own buckets: recall by share scanned.

    python tools/compare_lists.py DATA --lists 1024

One-bit codes of the spectral encoder, float users (2,000 of them, drawn once), their 20 best items
unseen or not. A row a way and number of probes: the share of items in the probed lists, on average,
and the share of the exact 20 best that is among them.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

import hashrec as hr
from hashrec.search import TopK

_USERS, _K, _DIM = 2_000, 20, 512
_PROBES = (1, 2, 4, 8, 16, 32, 64, 128)


def graph_labels(train: hr.Interactions, lists: int, seed: int) -> npt.NDArray[np.int32]:
    """(n_items,) the bucket of each item, where items have about so many rows."""
    share = train.n_items / (train.n_items + train.n_users)
    made = hr.buckets(train, method="graph", rows=round(lists / share), seed=seed)
    labels: npt.NDArray[np.int32] = made.items.buckets[:, 0]
    return labels


def curve(index: hr.IvfIndex, queries: hr.Codes, exact: TopK) -> list[tuple[int, float, float]]:
    """(probes, share scanned, recall)."""
    lengths = np.diff(index.lists.offsets)
    ranked = index.ranked(queries)
    scanned = np.cumsum(lengths[ranked], axis=1).mean(axis=0) / len(index.codes)
    recall = index.recall(queries, exact)
    return [(p, float(scanned[p - 1]), float(recall[p - 1])) for p in _PROBES if p <= len(lengths)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--lists", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train = hr.read_parts(options.data).train
    recipe = hr.Recipe(encoder=hr.Spectral(dim=_DIM), users="stored", seed=options.seed)
    fitted = hr.Recommender(recipe).fit(train).fitted
    rng = np.random.default_rng(options.seed)
    rows = np.sort(rng.choice(len(fitted.users), min(_USERS, len(fitted.users)), replace=False))
    queries, codes = fitted.queries(rows), fitted.item_codes
    exact = hr.open_index(codes).search(queries, _K)
    ways = {
        "k-means": hr.IvfIndex(codes, options.lists, seed=options.seed),
        "graph": hr.IvfIndex(codes, graph_labels(train, options.lists, options.seed)),
    }
    print("lists from  number  probes  scanned  recall")
    for name, index in ways.items():
        for probes, scanned, recall in curve(index, queries, exact):
            count = len(index.lists.centres)
            print(f"{name:10s}  {count:6d}  {probes:6d}  {scanned:6.2%}  {recall:.3f}")


if __name__ == "__main__":
    main()
