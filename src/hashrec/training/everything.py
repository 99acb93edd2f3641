"""Losses over all items without the matrix of all scores: a block of users at a time.

For user u with positives P_u, n_u of them, and unit vectors, s_uj = u.j / T and

    loss = sum_u w_u (n_u F_u - sum over i in P_u of s_ui)

softmax:  F_u = log Z_u, Z_u = sum over all j of exp s_uj;  d F_u / d s_uj = exp(s_uj) / Z_u
contrast: F_u = c sum over all j of max(0, s_uj - m);       d F_u / d s_uj = c where s_uj > m

so a block costs three matrix products: scores; what becomes of them (E) times items, a column of
ones beside them giving its row sums; and E transposed times users. They are done in the forward
pass, while the block is there; the backward pass only scales what they gave.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from hashrec.learning import Batch

__all__ = ["Precision", "block_bytes", "contrast_over_all", "precision_of", "softmax_over_all"]

Precision = Any  # torch.dtype

_BLOCK = 512  # users; with 41,000 items their scores take 42 MB in bfloat16
_STEEP = 60.0  # exp(-60) is still far from the smallest number of either type


def precision_of(wanted: str, device: str) -> Precision:
    """The dtype of the matrix of scores: `auto` is bfloat16 where it is multiplied natively."""
    if wanted == "auto":
        native = device != "cpu" or _multiplies_bfloat16()
        return torch.bfloat16 if native else torch.float32
    return getattr(torch, wanted)


def block_bytes(n_items: int) -> int:
    """Bytes of the scores of one block of users, at most."""
    return 4 * _BLOCK * n_items


def _multiplies_bfloat16() -> bool:
    told = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(told is not None and told())


def softmax_over_all(
    users: Any, items: Any, batch: Batch, temperature: float, weight: str, precision: Precision
) -> Any:
    """The loss, a scalar through which gradients flow to both.

    Args:
        users: (B, d) unit vectors of batch.users. items: (n_items, d) unit vectors of all.
        batch: all positives of its users.
        weight: `interactions`: w_u = 1 and norm the positives; `equal`: w_u = 1 / n_u, norm B.
    """
    counts = torch.bincount(batch.owner, minlength=len(users)).to(users.dtype)
    each = torch.ones_like(counts) if weight == "interactions" else 1 / counts
    each = each / (each * counts).sum()
    spread = _Softmax(items, precision, len(users), 2 / temperature)
    return _OverAll.apply(users, items, batch, each, counts, temperature, spread)


def contrast_over_all(
    users: Any, items: Any, batch: Batch, margin: float, negatives: float, precision: Precision
) -> Any:
    """mean over positives of 1 - s_ui + negatives * mean over all j of max(0, s_uj - margin).

    Args: as of `softmax_over_all`.
    """
    counts = torch.bincount(batch.owner, minlength=len(users)).to(users.dtype)
    each = torch.full_like(counts, 1 / len(batch.owner))
    spread = _Contrast(items, precision, len(users), margin, negatives / len(items))
    return 1 + _OverAll.apply(users, items, batch, each, counts, 1.0, spread)


class _OverAll(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any, users: Any, items: Any, batch: Batch, each: Any, counts: Any, temperature: float,
        spread: _Spread,
    ) -> Any:  # fmt: skip
        scaled = users / temperature
        wanted, chosen = each[batch.owner, None], items.index_select(0, batch.items)
        owners = scaled.index_select(0, batch.owner)
        loss = -(wanted[:, 0] * (owners * chosen).sum(1)).sum()
        to_users = torch.zeros_like(users).index_add_(0, batch.owner, chosen * -wanted)
        to_items = torch.zeros_like(items).index_add_(0, batch.items, owners * -wanted)
        for start in range(0, len(users), _BLOCK):
            block = slice(start, start + _BLOCK)
            value, share, back = spread(scaled[block], each[block] * counts[block])
            loss = loss + value
            to_users[block] += share
            to_items += back
        ctx.save_for_backward(to_users / temperature, to_items)
        return loss

    @staticmethod
    def backward(ctx: Any, scale: Any) -> Any:
        to_users, to_items = ctx.saved_tensors
        return scale * to_users, scale * to_items, None, None, None, None, None


class _Spread(ABC):
    """sum_u weight_u F_u of one block of users after another, in one buffer."""

    def __init__(self, items: Any, precision: Precision, n_users: int) -> None:
        ones = torch.ones(len(items), 1, dtype=items.dtype, device=items.device)
        self._dim = items.shape[1]
        self._items = items.detach().to(precision)
        self._counted = torch.cat([items.detach(), ones], 1).to(precision)
        self._room = self._items.new_empty(min(_BLOCK, n_users), len(items))

    @abstractmethod
    def __call__(self, users: Any, weight: Any) -> tuple[Any, Any, Any]:
        """The sum, its gradient to the (scaled) users, and that to all items."""

    def _scores(self, users: Any) -> Any:
        scores = self._room[: len(users)]
        return torch.mm(users.to(scores.dtype), self._items.T, out=scores)

    def _summed(self, moved: Any, users: Any) -> tuple[Any, Any]:
        """(B, d) E times items, and (B, 1) the row sums of E."""
        both = (moved @ self._counted).to(users.dtype)
        return both[:, : self._dim], both[:, self._dim :]

    def _back(self, moved: Any, weighted_users: Any) -> Any:
        return (moved.T @ weighted_users.to(moved.dtype)).to(weighted_users.dtype)


class _Softmax(_Spread):
    def __init__(self, items: Any, precision: Precision, n_users: int, span: float) -> None:
        """`span`: between the least and the largest score there can be."""
        super().__init__(items, precision, n_users)
        self._span = span

    def __call__(self, users: Any, weight: Any) -> tuple[Any, Any, Any]:
        scores = self._scores(users)
        if self._span <= _STEEP:  # no score is above half the span
            top = scores.new_full((len(users), 1), self._span / 2)
        else:
            top = scores.amax(1, keepdim=True)
        scores.sub_(top).exp_()  # what is taken off is added below as it was rounded here
        pull, z = self._summed(scores, users)
        factor = weight[:, None] / z
        value = (weight[:, None] * (z.log() + top.to(users.dtype))).sum()
        return value, pull * factor, self._back(scores, users * factor)


class _Contrast(_Spread):
    def __init__(
        self, items: Any, precision: Precision, n_users: int, margin: float, share: float
    ) -> None:
        super().__init__(items, precision, n_users)
        self._margin, self._share = margin, share

    def __call__(self, users: Any, weight: Any) -> tuple[Any, Any, Any]:
        beyond = self._scores(users).gt_(self._margin)
        pull, count = self._summed(beyond, users)
        factor = weight[:, None] * self._share
        # sum over j beyond the margin of u.j - m = u.(sum of these j) - m * how many.
        value = (factor * ((users * pull).sum(1, keepdim=True) - self._margin * count)).sum()
        return value, pull * factor, self._back(beyond, users * factor)
