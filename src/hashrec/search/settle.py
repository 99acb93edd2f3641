"""What a bound lets by: scored exactly, and considered."""

from __future__ import annotations

import numpy as np

from hashrec.kernels import inner_kernel
from hashrec.search.popcount import lowest
from hashrec.search.selection import consider
from hashrec.search.weights import scored, sum_bits

__all__ = ["settle"]


@inner_kernel
def settle(  # type: ignore[no-untyped-def]
    mask, first, end, rows, names, allowed, data, item_scales, weights, bases, query_scales, query,
    split, bar, floors, steady, seen_offsets, seen, keys, counts, ties, totals,
):  # fmt: skip
    """Scores the items whose bits are set in `mask`; returns the new bar.

    Args:
        first, end: bit i is place first + i of the scan, if that is below `end`.
        rows: the row of `data` at each place; none: the place itself.
        names: what each row is called in results; none: its number. allowed: (n_items,) bool, of
            names; none: all.
    """
    while mask:
        place = first + lowest(mask)
        mask &= mask - 1
        if place >= end:
            break
        row = np.int64(rows[place]) if len(rows) else place
        name = np.int64(names[row]) if len(names) else row
        if len(allowed) and not allowed[name]:
            continue
        total = sum_bits(data, row, weights, query, bases)
        score = scored(total, query_scales[query], item_scales, row)
        if score >= bar:
            bar = consider(
                query, split, name, score, floors, steady, seen_offsets, seen, keys, counts, ties,
                totals,
            )  # fmt: skip
    return bar
