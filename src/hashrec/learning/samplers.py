"""Samplers: which items stand for all those a user has not met.

Every draw is a function of (seed, step, place in the batch) alone: no generator has a state, so
a run that is taken up again draws what it would have drawn. Kernels are in `draws.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hashrec.component import Component, Registry
from hashrec.csr import Csr
from hashrec.learning.draws import draw_listed, draw_uniform, draw_weighted

__all__ = ["SAMPLERS", "Hard", "InBatch", "Popularity", "Sampler", "Source", "Uniform"]

Positions = npt.NDArray[np.int64]
Log = npt.NDArray[np.float64]


@dataclass(eq=False)
class Source:
    """What draws are made from.

    Attributes:
        seen: (n_users, n_items), the training interactions.
        degrees: (n_items,) int64, how often each item occurs there.
        hardest: (n_users, pool) int32, the items a sampler of hard negatives chooses from, the
            hardest first; -1 where a user has fewer. None while nobody has looked.
    """

    seen: Csr
    degrees: npt.NDArray[np.int64]
    hardest: npt.NDArray[np.int32] | None = None
    _cumulative: dict[float, Log] = field(default_factory=dict)

    def cumulative(self, exponent: float) -> Log:
        """(n_items,) float64: running sum of degree ** exponent, kept for the next time."""
        if exponent not in self._cumulative:
            power = np.where(self.degrees > 0, self.degrees.astype(np.float64) ** exponent, 0.0)
            self._cumulative[exponent] = np.cumsum(power)
        return self._cumulative[exponent]


class Sampler(Component):
    """Options of a sampler.

    Attributes:
        alone: can draw for each positive. together: can draw a sample for a whole batch.
    """

    alone: ClassVar[bool] = True
    together: ClassVar[bool] = True

    @property
    def pool(self) -> int:
        """How many of each user's hardest items it chooses from; 0: it does not look."""
        return 0

    @abstractmethod
    def draw(self, source: Source, users: Positions, k: int, key: int) -> Positions:
        """(len(users), k) int64 items; `key`, below 2^64, tells this step from all others."""

    @abstractmethod
    def sample(self, source: Source, items: Positions, k: int, key: int) -> tuple[Positions, Log]:
        """A sample for a batch whose positives are `items`: (m,) items, and for each the log of
        how often it is expected in a sample."""


class Uniform(Sampler):
    """Every item alike.

    Attributes:
        reject: draw again what is a positive of its user, 32 times at most: whoever has met
            nearly everything keeps what came last.
    """

    name: ClassVar[str] = "uniform"

    reject: bool = False

    def draw(self, source: Source, users: Positions, k: int, key: int) -> Positions:
        out = np.empty((len(users), k), dtype=np.int64)
        draw_uniform(source.seen.offsets, source.seen.indices, users, source.seen.n_columns,
                     self.reject, np.uint64(key), out)  # fmt: skip
        return out

    def sample(self, source: Source, items: Positions, k: int, key: int) -> tuple[Positions, Log]:
        n_items = source.seen.n_columns
        out = np.empty((1, k), dtype=np.int64)
        draw_uniform(source.seen.offsets, source.seen.indices, np.zeros(1, np.int64), n_items,
                     False, np.uint64(key), out)  # fmt: skip
        return out[0], np.full(k, np.log(k / n_items))


class Popularity(Sampler):
    """In proportion to degree ** exponent; items without interactions are never drawn.

    Attributes:
        exponent: 1: as they occur; 0.75 is word2vec's.
        reject: as of `uniform`.
    """

    name: ClassVar[str] = "popularity"

    exponent: Annotated[float, Field(ge=0, le=2)] = 0.75
    reject: bool = False

    def draw(self, source: Source, users: Positions, k: int, key: int) -> Positions:
        return self._drawn(source, users, k, key, self.reject)

    def sample(self, source: Source, items: Positions, k: int, key: int) -> tuple[Positions, Log]:
        drawn = self._drawn(source, np.zeros(1, np.int64), k, key, False)[0]
        total = source.cumulative(self.exponent)[-1]
        return drawn, self.exponent * np.log(source.degrees[drawn]) + np.log(k / total)

    def _drawn(self, source: Source, users: Positions, k: int, key: int, reject: bool) -> Positions:
        out = np.empty((len(users), k), dtype=np.int64)
        draw_weighted(source.seen.offsets, source.seen.indices, users,
                      source.cumulative(self.exponent), reject, np.uint64(key), out)  # fmt: skip
        return out


class InBatch(Sampler):
    """The positives of the batch, for all its users; an item occurs as often as it is popular."""

    name: ClassVar[str] = "in-batch"
    alone: ClassVar[bool] = False

    def draw(self, source: Source, users: Positions, k: int, key: int) -> Positions:
        raise NotImplementedError("the in-batch sampler has no negatives of one positive")

    def sample(self, source: Source, items: Positions, k: int, key: int) -> tuple[Positions, Log]:
        share = len(items) / len(source.seen.indices)
        return items, np.log(source.degrees[items] * share)


class Hard(Sampler):
    """One of the items that the codes of the moment rank highest for a user and they have not met.

    Codes of one bit of all vectors are searched once an epoch.

    Attributes:
        best: how many of the highest to choose from, uniformly. share: of draws made that way;
            the others are uniform, for the highest are often positives nobody has seen yet.
    """

    name: ClassVar[str] = "hard"
    together: ClassVar[bool] = False

    best: Annotated[int, Field(ge=1)] = 200
    share: Annotated[float, Field(gt=0, le=1)] = 0.5

    @property
    def pool(self) -> int:
        return self.best

    def draw(self, source: Source, users: Positions, k: int, key: int) -> Positions:
        out = Uniform().draw(source, users, k, key)
        if source.hardest is not None:
            draw_listed(source.hardest, users, self.share, np.uint64(key), out)
        return out

    def sample(self, source: Source, items: Positions, k: int, key: int) -> tuple[Positions, Log]:
        raise NotImplementedError("hard negatives are of one user, not of a batch")


SAMPLERS: Registry[Sampler] = Registry("sampler", Uniform, Popularity, InBatch, Hard)
