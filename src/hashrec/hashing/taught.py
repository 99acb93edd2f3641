"""What a teacher's scores say about all items, as a loss."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["taught"]

_BLOCK_NUMBERS = 1 << 24  # scores of one block: 64 MB a matrix


def taught(
    users: Any, items: Any, teacher_users: Any, teacher_items: Any, temperature: float
) -> Any:
    """The mean over users of the cross entropy from p to q over all items, p the softmax of the
    teacher's products over `temperature`, q that of users . items.

    G. Hinton et al., "Distilling the Knowledge in a Neural Network", 2015. The matrix of scores
    exists a block of users at a time, gradients included: d / d score = (q - p) / temperature.

    Args:
        users, teacher_users: (B, d) and (B, e). items, teacher_items: (n, d) and (n, e).
    """
    loss: Any = _Taught.apply(users, items, teacher_users, teacher_items, temperature)
    return loss


class _Taught(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any, users: Any, items: Any, teacher_users: Any, teacher_items: Any, t: float
    ) -> Any:
        block = max(1, _BLOCK_NUMBERS // max(len(items), 1))
        by_user, by_item = torch.empty_like(users), torch.zeros_like(items)
        total, share = users.new_zeros(()), 1 / (t * max(len(users), 1))
        for start in range(0, len(users), block):
            rows = slice(start, start + block)
            p = torch.softmax(teacher_users[rows] @ teacher_items.T / t, dim=1)
            log_q = torch.log_softmax(users[rows] @ items.T / t, dim=1)
            total = total - (p * log_q).sum()
            error = (log_q.exp() - p) * share
            by_user[rows] = error @ items
            by_item += error.T @ users[rows]
        ctx.save_for_backward(by_user, by_item)
        return total / max(len(users), 1)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        by_user, by_item = ctx.saved_tensors
        return g * by_user, g * by_item, None, None, None
