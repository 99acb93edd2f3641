"""Work on the entries of a `Csr`: making one from a log, keeping some entries, dropping ids.

Times travel beside the entries, so every function here takes and gives both.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.kernels import kernel

__all__ = ["Mask", "Times", "assemble", "kept", "shrunk"]

Mask: TypeAlias = npt.NDArray[np.bool_]
Times: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]


@kernel
def _counting_order(
    keys: npt.NDArray[np.int32], order: npt.NDArray[np.signedinteger], n_keys: int
) -> npt.NDArray[np.signedinteger]:
    """`order` sorted by `keys[order]`, equal keys as they stood."""
    cursor = np.zeros(n_keys + 1, dtype=np.int64)
    for key in keys:
        cursor[key + 1] += 1
    for key in range(n_keys):
        cursor[key + 1] += cursor[key]
    result = np.empty_like(order)
    for entry in order:
        key = keys[entry]
        result[cursor[key]] = entry
        cursor[key] += 1
    return result


def assemble(
    users: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    times: Times | None,
    *,
    shape: tuple[int, int],
) -> tuple[Csr, Times | None]:
    """The users x items matrix of a log in any order; a repeated pair becomes one, at its latest.

    Two counting sorts, by item and then by user: linear, and a few bytes a row, where sorting
    64-bit keys would take twice the memory. `users`, `items` (n_rows,) int32, `times` (n_rows,).
    """
    n_users, n_items = shape
    rows: npt.NDArray[np.signedinteger] = np.arange(
        len(users), dtype=np.int32 if len(users) < 2**31 else np.int64
    )
    order = _counting_order(users, _counting_order(items, rows, n_items), n_users)
    users, items = users[order], items[order]
    first = np.ones(len(users), dtype=bool)
    first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    latest = None if times is None else times[order]
    if not first.all():
        users, items = users[first], items[first]
        latest = None if latest is None else np.maximum.reduceat(latest, np.flatnonzero(first))
    # Not bincount: it would copy the users to eight bytes each.
    offsets = np.searchsorted(users, np.arange(n_users + 1, dtype=np.int32))
    return Csr(offsets.astype(np.int64), items, n_items), latest


def kept(matrix: Csr, times: Times | None, mask: Mask) -> tuple[Csr, Times | None]:
    """Only the entries chosen by `mask` (n_entries,); rows and columns stay as many."""
    running = np.concatenate([[0], np.cumsum(mask)]).astype(np.int64)
    chosen = Csr(running[matrix.offsets], matrix.indices[mask], matrix.n_columns)
    return chosen, None if times is None else times[mask]


def shrunk(matrix: Csr, users: Mask, items: Mask) -> Csr:
    """Without the rows outside `users` and the columns outside `items`, which must be empty."""
    place = np.cumsum(items, dtype=np.int32) - np.int32(1)
    offsets = np.concatenate([[0], np.cumsum(matrix.lengths[users])]).astype(np.int64)
    return Csr(offsets, place[matrix.indices], int(items.sum()))
