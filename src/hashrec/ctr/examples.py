"""Impressions as arrays, and the batches that training makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hashrec.bucketing import Buckets
from hashrec.impressions import Impressions, Schema
from hashrec.learning.draws import stream

__all__ = ["Batch", "Examples", "Lots", "examples_of"]

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Examples:
    """n impressions as a model takes them.

    Attributes:
        user, item: (n,) int32 positions in the tables, -1 for ids without a bucket.
        tokens, numbers: see `Described`. label: (n,) float32, or None.
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, rows: Places | slice, device: str) -> Batch:
        """These rows as tensors."""

        def there(array: npt.NDArray[Any]) -> Any:
            return torch.from_numpy(array[rows]).to(device)

        label = None if self.label is None else there(self.label)
        return Batch(
            there(self.user).long(), there(self.item).long(), there(self.tokens).long(),
            there(self.numbers), label,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Batch:
    """Tensors of B impressions: (B,), (B,), (B, places) int64, (B, q) and (B,) float32.

    `key`: of the draws of this step.
    """

    user: Any
    item: Any
    tokens: Any
    numbers: Any
    label: Any = None
    key: int = 0

    @property
    def inputs(self) -> tuple[Any, Any, Any, Any]:
        return self.user, self.item, self.tokens, self.numbers


def examples_of(log: Impressions, schema: Schema, made: Buckets | None) -> Examples:
    """The rows of a log for a model of this schema and these tables."""
    described = schema.described(log)
    nobody = np.full(len(log), -1, dtype=np.int32)
    user = item = nobody
    if made is not None and log.users is not None and log.user is not None:
        user = made.users.find(log.users.array)[log.user]
    if made is not None and log.items is not None and log.item is not None:
        item = made.items.find(log.items.array)[log.item]
    return Examples(user, item, described.tokens, described.numbers, log.label)


@dataclass(frozen=True, eq=False)
class Lots:
    """The steps of an epoch, as functions of the seed, the epoch and the step.

    Attributes:
        examples: with labels. size: impressions a step; the last one of an epoch has fewer.
        seed: of every draw. negatives: the share of those labelled 0 that an epoch looks at, other
            ones each time. unknown: the chance that an id or a word is taken for one never met.
        bases: the unknown token of each field, and after them the number of tokens.
    """

    examples: Examples
    size: int
    seed: int
    negatives: float = 1.0
    unknown: float = 0.0
    bases: tuple[int, ...] = ()
    device: str = "cpu"

    def __len__(self) -> int:
        return math.ceil(self.population / self.size)

    @cached_property
    def population(self) -> int:
        """Impressions of an epoch."""
        positives, negatives = self._by_label
        return len(positives) + self._drawn(len(negatives))

    @cached_property
    def _by_label(self) -> tuple[Places, Places]:
        label = self.examples.label
        assert label is not None
        return np.flatnonzero(label > 0), np.flatnonzero(label == 0)

    def _drawn(self, negatives: int) -> int:
        return max(1, round(self.negatives * negatives))

    @cached_property
    def negatives_kept(self) -> float:
        """The share of the negatives that an epoch really looks at."""
        every = len(self._by_label[1])
        return self._drawn(every) / every

    def order(self, epoch: int) -> Places:
        """The impressions in the order of this epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        if self.negatives >= 1:
            return rng.permutation(len(self.examples))
        positives, negatives = self._by_label
        chosen = rng.choice(negatives, self._drawn(len(negatives)), replace=False)
        return rng.permutation(np.concatenate([positives, chosen]))

    def batch(self, order: Places, epoch: int, step: int) -> Batch:
        """Step `step` of the epoch whose `order` is given."""
        rows = order[step * self.size : (step + 1) * self.size]
        key = stream(self.seed, epoch, step)
        found = self.examples.batch(rows, self.device)
        if self.unknown:
            found = self._forgetful(found, key)
        return replace(found, key=key)

    def _forgetful(self, batch: Batch, key: int) -> Batch:
        """Some ids and words as if they had never been met: so the unknown is learned."""
        rng = np.random.default_rng(key)

        def chosen(shape: tuple[int, ...]) -> Any:
            drawn = rng.random(shape, dtype=np.float32) < self.unknown
            return torch.from_numpy(drawn).to(self.device)

        user, item = (
            torch.where(chosen(tuple(one.shape)), -1, one) for one in (batch.user, batch.item)
        )
        tokens = batch.tokens
        if tokens.shape[1]:
            lost = chosen(tuple(tokens.shape)) & (tokens > 0)
            base = self._base_of[tokens]
            tokens = torch.where(lost, base, tokens)
        return replace(batch, user=user, item=item, tokens=tokens)

    @cached_property
    def _base_of(self) -> Any:
        """(n_tokens,) int64 the unknown token of the field of each token."""
        bounds = np.array(self.bases)
        base = np.repeat(bounds[:-1], np.diff(bounds))
        return torch.from_numpy(np.concatenate([[0], base])).to(self.device)
