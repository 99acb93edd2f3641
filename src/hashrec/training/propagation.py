"""Propagation inside autograd: on the CPU the kernel of `graph`, elsewhere torch's sparse product.

The propagated sum y = sum_k a_k N^k x, N = [0 R; R^T 0] normalised on both sides alike, is linear
and N is symmetric, so the gradient of x is the same sum over the gradient of y.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch

from hashrec.graph import BipartiteOperator

__all__ = ["Propagation"]

Pair = tuple[Any, Any]  # of tensors: users, items


class Propagation:
    """Weighted sums, or rows side by side, of the layers of a graph.

    Attributes:
        operator: N; its two directions are each other's transposes.
        weights: (layers + 1,) a_k of layer k, the tables themselves being layer 0.
        concatenate: the layers stand side by side, each times its weight, instead of summed.
    """

    def __init__(
        self, operator: BipartiteOperator, weights: Sequence[float], *, concatenate: bool = False
    ) -> None:
        self.operator = operator
        self.weights = tuple(weights)
        self.concatenate = concatenate
        self._sparse: dict[Any, Pair] = {}

    def __call__(self, users: Any, items: Any) -> Pair:
        """(n_users, d) and (n_items, d) float32 -> the same, or (len(weights) * d) wide."""
        if len(self.weights) == 1 and not self.concatenate:
            return users * self.weights[0], items * self.weights[0]
        found: Pair = _Layers.apply(self, users, items)
        return found

    def product(self, users: Any, items: Any) -> Pair:
        """(N items, N^T users), without gradients."""
        if users.device.type == "cpu":
            operator = self.operator
            return (
                torch.from_numpy(operator.to_users(items.contiguous().numpy())),
                torch.from_numpy(operator.to_items(users.contiguous().numpy())),
            )
        by_user, by_item = self._on(users.device)
        return torch.sparse.mm(by_user, items), torch.sparse.mm(by_item, users)

    def forward(self, users: Any, items: Any) -> Pair:
        if not self.concatenate:
            return self._horner([(weight, users, items) for weight in self.weights])
        layers = [(users, items)]
        while len(layers) < len(self.weights):
            layers.append(self.product(*layers[-1]))
        sides = zip(*layers, strict=True)
        both = [
            torch.cat([a * x for a, x in zip(self.weights, side, strict=True)], 1) for side in sides
        ]
        return both[0], both[1]

    def backward(self, users: Any, items: Any) -> Pair:
        if not self.concatenate:
            return self.forward(users, items)
        n = len(self.weights)
        parts = zip(self.weights, users.chunk(n, 1), items.chunk(n, 1), strict=True)
        return self._horner(list(parts))

    def _horner(self, terms: list[tuple[float, Any, Any]]) -> Pair:
        """sum_k a_k N^k x_k as a_0 x_0 + N (a_1 x_1 + N (...)), in as few passes."""
        weight, users, items = terms[-1]
        total = weight * users, weight * items
        for weight, users, items in reversed(terms[:-1]):
            above = self.product(*total)
            total = above[0].add_(users, alpha=weight), above[1].add_(items, alpha=weight)
        return total

    def _on(self, device: Any) -> Pair:
        """Both directions as torch sparse matrices there."""
        if device not in self._sparse:
            operator = self.operator
            scales = operator.user_scale, operator.item_scale
            self._sparse[device] = (
                _sparse(operator.by_user, *scales, device),
                _sparse(operator.by_item, *scales[::-1], device),
            )
        return self._sparse[device]


def _sparse(rows: Any, left: Any, right: Any, device: Any) -> Any:
    values = left[rows.row_of_entry] * right[rows.indices]
    with warnings.catch_warnings():  # nobody who trains can do anything about torch's beta
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(rows.offsets.copy()), torch.from_numpy(rows.indices.astype("int64")),
            torch.from_numpy(values), (rows.n_rows, rows.n_columns), device=device,
            check_invariants=False,  # a Csr has been checked
        )  # fmt: skip


class _Layers(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, propagation: Propagation, users: Any, items: Any) -> Pair:
        ctx.propagation = propagation
        return propagation.forward(users.detach(), items.detach())

    @staticmethod
    def backward(ctx: Any, users: Any, items: Any) -> Any:
        return None, *ctx.propagation.backward(users, items)
