"""Softmax over all items without the matrix of all scores: a block of users at a time.

For user u with positives P_u and unit vectors, s_uj = u.j / T and Z_u = sum over all j of exp s_uj:

    loss = sum_u w_u (n_u log Z_u - sum over i in P_u of s_ui) / norm
    d loss / d u = w_u (n_u E_j[j] - sum over i in P_u of i) / (T norm),   E_j under exp(s_uj) / Z_u

so a block costs three matrix products: scores, their weights times items (a column of ones beside
them gives Z), and transposed times users. They are done in the forward pass, while the block is
there; the backward pass only scales what they gave.
"""

from __future__ import annotations

from typing import Any

import torch

from hashrec.learning import Batch

__all__ = ["Precision", "block_bytes", "precision_of", "softmax_over_all"]

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
    norm = float((each * counts).sum())
    return _OverAll.apply(users, items, batch, each / norm, counts, temperature, precision)


class _OverAll(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any, users: Any, items: Any, batch: Batch, each: Any, counts: Any, temperature: float,
        precision: Precision,
    ) -> Any:  # fmt: skip
        # Not on CPU: a gather and scatter of the positives alone.
        scaled = users / temperature
        wanted, chosen = each[batch.owner, None], items.index_select(0, batch.items)
        owners = scaled.index_select(0, batch.owner)
        loss = -(wanted[:, 0] * (owners * chosen).sum(1)).sum()
        to_users = torch.zeros_like(users).index_add_(0, batch.owner, chosen * -wanted)
        to_items = torch.zeros_like(items).index_add_(0, batch.items, owners * -wanted)
        spread = _Spread(items, precision, len(users))
        for start in range(0, len(users), _BLOCK):
            block = slice(start, start + _BLOCK)
            logs, share, back = spread(scaled[block], 2 / temperature, each[block] * counts[block])
            loss = loss + logs
            to_users[block] += share
            to_items += back
        ctx.save_for_backward(to_users / temperature, to_items)
        return loss

    @staticmethod
    def backward(ctx: Any, scale: Any) -> Any:
        to_users, to_items = ctx.saved_tensors
        return scale * to_users, scale * to_items, None, None, None, None, None


class _Spread:
    """The softmax part of one block after another, in one buffer."""

    def __init__(self, items: Any, precision: Precision, n_users: int) -> None:
        ones = torch.ones(len(items), 1, dtype=items.dtype, device=items.device)
        self._dim = items.shape[1]
        self._items = items.to(precision)
        self._counted = torch.cat([items, ones], 1).to(precision)
        self._room = self._items.new_empty(min(_BLOCK, n_users), len(items))

    def __call__(self, users: Any, spread: float, weight: Any) -> tuple[Any, Any, Any]:
        """(sum of weight * log Z, gradient of the scaled users, gradient of all items)."""
        narrow = users.to(self._items.dtype)
        scores = self._room[: len(users)]
        torch.mm(narrow, self._items.T, out=scores)
        if spread <= _STEEP:  # no score is above spread / 2
            top = users.new_full((len(users), 1), spread / 2)
        else:
            top = scores.amax(1, keepdim=True).to(users.dtype)
        scores.sub_(top.to(scores.dtype)).exp_()
        weighted = (scores @ self._counted).to(users.dtype)
        z = weighted[:, self._dim]
        factor = (weight / z)[:, None]
        logs = (weight * (z.log() + top[:, 0])).sum()
        back = (scores.T @ (users * factor).to(scores.dtype)).to(users.dtype)
        return logs, weighted[:, : self._dim] * factor, back
