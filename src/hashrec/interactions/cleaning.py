"""Cleaning: which interactions of a log are worth keeping, decided once, while reading."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from hashrec.component import Component
from hashrec.csr import Csr
from hashrec.interactions.entries import Mask

__all__ = ["Cleaning", "core_entries"]


class Cleaning(Component):
    """What is dropped while a log is read.

    Attributes:
        min_rating: drop ratings below this; the value itself stays. None keeps all.
        user_core: every user left has at least this many items left.
        item_core: every item left has at least this many users left.
    """

    name: ClassVar[str] = "cleaning"
    min_rating: Annotated[float, Field(allow_inf_nan=False)] | None = None
    user_core: Annotated[int, Field(ge=1)] = 1
    item_core: Annotated[int, Field(ge=1)] = 1

    @property
    def has_core(self) -> bool:
        return max(self.user_core, self.item_core) > 1


def core_entries(matrix: Csr, user_core: int, item_core: int) -> Mask:
    """(n_entries,) bool: the entries of the largest core.

    Dropping a user may leave an item too rare and the other way round, so it is repeated until
    nothing falls; the result does not depend on the order of dropping.
    """
    alive = np.arange(len(matrix.indices))
    users, items = matrix.row_of_entry, matrix.indices
    while True:
        enough = np.bincount(users, minlength=matrix.n_rows)[users] >= user_core
        enough &= np.bincount(items, minlength=matrix.n_columns)[items] >= item_core
        if enough.all():
            break
        alive, users, items = alive[enough], users[enough], items[enough]
    mask = np.zeros(len(matrix.indices), dtype=bool)
    mask[alive] = True
    return mask
