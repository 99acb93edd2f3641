"""Splits: which interactions are held out. A split only marks entries; the log cuts itself.

Entries stand in the order of users and, inside a user, of items; every choice is made in that
order, so the same seed gives the same split whatever the order of rows in the file.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hashrec.component import Component, Registry
from hashrec.csr import Csr
from hashrec.errors import DataError
from hashrec.interactions.entries import Mask, Times

__all__ = ["SPLITS", "LastOut", "RandomSplit", "Split", "TimeSplit", "UserSplit"]

Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0)]


class Split(Component):
    """A way of choosing the test entries of a log."""

    @abstractmethod
    def test_entries(self, matrix: Csr, times: Times | None) -> Mask:
        """(n_entries,) bool, true for what goes to the test part. DataError if times are needed."""


class RandomSplit(Split):
    """The fraction `test` of all interactions, uniformly; users may lose all they have."""

    name: ClassVar[str] = "random"
    test: Fraction = 0.2
    seed: Seed = 0

    def test_entries(self, matrix: Csr, times: Times | None) -> Mask:
        n = len(matrix.indices)
        chosen = np.random.default_rng(self.seed).permutation(n)[: _share(n, self.test)]
        return _mask(n, chosen)


class UserSplit(Split):
    """The fraction `test` of each user's interactions, uniformly.

    A user with n interactions gives floor(n * test + 1/2), and at most n - 1: everyone keeps
    something to be known by.
    """

    name: ClassVar[str] = "user"
    test: Fraction = 0.2
    seed: Seed = 0

    def test_entries(self, matrix: Csr, times: Times | None) -> Mask:
        draw = np.random.default_rng(self.seed).random(len(matrix.indices))
        return _first_of_each_row(matrix, draw, _shares(matrix.lengths, self.test))


class LastOut(Split):
    """The last `n` interactions of each user by time; of equal times the last items by position.

    Users with `n` interactions or fewer keep all of them in train.
    """

    name: ClassVar[str] = "last_out"
    n: Annotated[int, Field(ge=1)] = 1

    def test_entries(self, matrix: Csr, times: Times | None) -> Mask:
        known = _required(times, self.name)
        counts = np.where(matrix.lengths > self.n, self.n, 0)
        latest_first = np.empty(len(known), dtype=np.int64)
        latest_first[np.argsort(known, kind="stable")] = -np.arange(len(known))
        return _first_of_each_row(matrix, latest_first, counts)


class TimeSplit(Split):
    """The latest fraction `test` of all interactions: floor(n * test + 1/2), and at most n - 1.

    Of equal times at the cut, those of the last users and items by position go to test.
    """

    name: ClassVar[str] = "time"
    test: Fraction = 0.2

    def test_entries(self, matrix: Csr, times: Times | None) -> Mask:
        known = _required(times, self.name)
        order = np.argsort(known, kind="stable")
        return _mask(len(known), order[len(known) - _share(len(known), self.test) :])


SPLITS: Registry[Split] = Registry("split", RandomSplit, UserSplit, LastOut, TimeSplit)


def _share(n: int, fraction: float) -> int:
    return int(_shares(np.array([n]), fraction)[0])


def _shares(counts: npt.NDArray[np.int64], fraction: float) -> npt.NDArray[np.int64]:
    """floor(n * fraction + 1/2) of each n, but never all of it."""
    rounded = np.floor(counts * fraction + 0.5).astype(np.int64)
    return np.asarray(np.minimum(rounded, np.maximum(counts - 1, 0)))


def _mask(n: int, chosen: npt.NDArray[np.int64]) -> Mask:
    mask = np.zeros(n, dtype=bool)
    mask[chosen] = True
    return mask


def _first_of_each_row(
    matrix: Csr, key: npt.NDArray[np.generic], counts: npt.NDArray[np.int64]
) -> Mask:
    """The `counts[row]` entries of each row whose keys are least."""
    order = np.lexsort((key, matrix.row_of_entry))
    rank = np.arange(len(order)) - np.repeat(matrix.offsets[:-1], matrix.lengths)
    return _mask(len(order), order[rank < np.repeat(counts, matrix.lengths)])


def _required(times: Times | None, name: str) -> Times:
    if times is None:
        raise DataError(
            f"the split {name!r} needs times and this log has none",
            fix="name the column with time= (--time) when reading, or choose the split "
            "'random' or 'user'",
        )
    return times
