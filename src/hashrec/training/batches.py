"""What each step looks at, as a function of the seed, the epoch and the step alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hashrec.errors import RecipeError
from hashrec.learning import Batch, Loss, Source
from hashrec.learning.draws import stream

__all__ = ["Batches", "check_sampler"]

Positions = npt.NDArray[np.int64]

_USERS, _PAIRS = 2_048, 8_192  # a step, where the options leave it open


@dataclass(frozen=True, eq=False)
class Batches:
    """The steps of an epoch.

    Users without interactions are in none. The last step of an epoch is a smaller one.

    Attributes:
        source: the interactions. loss: what it wants of a batch. seed: of every draw.
        wanted: users or interactions a step, None for the usual number. device: of the tensors.
    """

    source: Source
    loss: Loss
    seed: int
    wanted: int | None = None
    device: str = "cpu"

    @cached_property
    def population(self) -> int:
        """How many users, or interactions, an epoch goes through."""
        return len(self._active) if self.loss.over == "users" else len(self.source.seen.indices)

    @property
    def size(self) -> int:
        usual = _USERS if self.loss.over == "users" else _PAIRS
        return min(self.wanted or usual, self.population)

    def __len__(self) -> int:
        return math.ceil(self.population / self.size)

    def order(self, epoch: int) -> Positions:
        """The users or interactions in the order of this epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        return rng.permutation(self.population)

    def batch(self, order: Positions, epoch: int, step: int) -> Batch:
        """Step `step` of the epoch whose `order` is given."""
        picked = np.sort(order[step * self.size : (step + 1) * self.size])
        if self.loss.over == "users":
            return self._of_users(self._active[picked])
        return self._of_pairs(picked, stream(self.seed, epoch, step))

    @cached_property
    def _active(self) -> Positions:
        return np.flatnonzero(self.source.seen.lengths)

    @cached_property
    def _owners(self) -> Positions:
        """(n_interactions,) the user of each, found once: an epoch asks a million times."""
        return self.source.seen.row_of_entry

    def _of_users(self, users: Positions) -> Batch:
        rows = self.source.seen.take(users)
        items = rows.indices.astype(np.int64)
        return Batch(self._there(users), self._there(items), owner=self._there(rows.row_of_entry))

    def _of_pairs(self, picked: Positions, key: int) -> Batch:
        users = self._owners[picked]
        items = self.source.seen.indices[picked].astype(np.int64)
        if self.loss.drawing is None:
            return Batch(self._there(users), self._there(items))
        sampler, k = self.loss.drawing
        if not self.loss.shared:
            drawn = sampler.draw(self.source, users, k, key)
            return Batch(self._there(users), self._there(items), self._there(drawn))
        drawn, log_chance = sampler.sample(self.source, items, k, key)
        return Batch(
            self._there(users),
            self._there(items),
            self._there(drawn),
            self._there(log_chance.astype(np.float32)),
            self._there(self._clash(users, drawn)),
        )

    def _clash(self, users: Positions, drawn: Positions) -> npt.NDArray[np.bool_]:
        """(B, m) which of the drawn items each user has met."""
        n_items = self.source.seen.n_columns
        place = np.full(n_items, -1)
        distinct, inverse = np.unique(drawn, return_inverse=True)
        place[distinct] = np.arange(len(distinct))
        people, which = np.unique(users, return_inverse=True)
        met = self.source.seen.take(people)
        known = place[met.indices]
        found = np.zeros((len(people), len(distinct)), dtype=bool)
        found[met.row_of_entry[known >= 0], known[known >= 0]] = True
        return found[which][:, inverse]

    def _there(self, array: npt.NDArray[Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def check_sampler(loss: Loss) -> None:
    """Raises RecipeError where the loss's sampler cannot draw what the loss needs, or is asked
    for what it would not heed."""
    if loss.drawing is None:
        return
    sampler, _ = loss.drawing
    if not (sampler.together if loss.shared else sampler.alone):
        wants = "a sample shared by a batch" if loss.shared else "negatives of each positive"
        raise RecipeError(
            f"the {sampler.name} sampler cannot draw {wants}",
            name="training.loss.sampler",
            expected="one that the loss can use",
            got=f"loss {loss.name}",
            fix="take uniform or popularity",
        )
    if loss.shared and getattr(sampler, "reject", False):
        raise RecipeError(
            "a sample that a whole batch shares rejects nothing",
            name="training.loss.sampler.reject",
            expected="false",
            got=f"true with loss {loss.name}",
            fix="leave it out: what a user has met counts nothing in their loss",
        )
