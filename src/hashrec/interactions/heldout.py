"""A test part seen by a model that may not know all of it: misses are counted, not hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.interactions.entries import assemble
from hashrec.interactions.ids import Ids

__all__ = ["Heldout", "held_out"]


@dataclass(frozen=True, eq=False)
class Heldout:
    """What a model should have recommended.

    Attributes:
        truth: model users x model items, the test items the model knows.
        sizes: (n_model_users,) int64, how many test items each user has, the unknown ones too:
            no model can hit those, and leaving them out would flatter it.
        unknown_users: test users the model does not know.
        unknown_items: test items the model does not know.
    """

    truth: Csr
    sizes: npt.NDArray[np.int64]
    unknown_users: int
    unknown_items: int


def held_out(test_users: Ids, test_items: Ids, matrix: Csr, users: Ids, items: Ids) -> Heldout:
    """`matrix` (test users x test items) carried over to the positions of `users` and `items`.

    Only users and items with at least one interaction here count as unknown.
    """
    user_place, item_place = _places(test_users, users), _places(test_items, items)
    known = user_place >= 0
    sizes = np.zeros(len(users), dtype=np.int64)
    sizes[user_place[known]] = matrix.lengths[known]
    rows, columns = user_place[matrix.row_of_entry], item_place[matrix.indices]
    reachable = (rows >= 0) & (columns >= 0)
    truth, _ = assemble(rows[reachable], columns[reachable], None, shape=(len(users), len(items)))
    return Heldout(
        truth,
        sizes,
        unknown_users=int(np.sum(~known & (matrix.lengths > 0))),
        unknown_items=int(np.sum((item_place < 0) & (matrix.column_counts() > 0))),
    )


def _places(ours: Ids, theirs: Ids) -> npt.NDArray[np.int32]:
    if ours is theirs:
        return np.arange(len(ours), dtype=np.int32)
    return theirs.positions(ours.array)
