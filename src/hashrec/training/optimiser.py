"""Adam, of whole tensors and of rows: what moves the weights of a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["Optimiser", "beside"]

_STATE = ("exp_avg", "exp_avg_sq", "step")


class Optimiser:
    """Adam over all weights of a module, fused; where a table says that its gradients are sparse,
    lazy Adam: only rows that a step has touched move, and only their moments fade.

    A dense step reads and writes a table four times over, however few rows a batch has.
    """

    def __init__(self, named: Mapping[str, Any], module: Any, rate: float) -> None:
        """`named`: the parameters of `module` by name."""
        self._named = dict(named)
        rows = {id(part.weight) for part in module.modules() if getattr(part, "sparse", False)}
        sparse = [one for one in named.values() if id(one) in rows]
        dense = [one for one in named.values() if id(one) not in rows]
        self._parts: list[Any] = []
        if dense:
            self._parts.append(torch.optim.Adam(dense, lr=rate, fused=True))
        if sparse:
            self._parts.append(torch.optim.SparseAdam(sparse, lr=rate))
        self._owner = {id(one): part for part in self._parts
                       for group in part.param_groups for one in group["params"]}  # fmt: skip

    def forget(self) -> None:
        """Drops all gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def step(self, rate: float) -> None:
        """Moves all weights."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()

    def kept(self, name: str) -> dict[str, Any]:
        """The state of one weight, as tensors for a checkpoint; empty before its first step."""
        one = self._named[name]
        state = self._owner[id(one)].state[one]
        return {f"adam.{name}.{key}": torch.as_tensor(state[key]) for key in _STATE if key in state}

    def collected(self, name: str) -> dict[str, Any]:
        """The gradient of one weight, as tensors for a checkpoint; empty without one."""
        gradient = self._named[name].grad
        if gradient is None:
            return {}
        if not gradient.is_sparse:
            return {f"grad.{name}": gradient}
        # As it stands: rows that come twice are summed once, when the weight moves.
        parts = {"rows": gradient._indices(), "values": gradient._values()}
        return {f"grad.{name}.{part}": tensor for part, tensor in parts.items()}

    def take_up(self, name: str, tensors: Mapping[str, Any]) -> None:
        """Puts back what `kept` and `collected` gave, where it is among `tensors`."""
        one = self._named[name]
        if f"grad.{name}" in tensors:
            one.grad = beside(one, tensors[f"grad.{name}"])
        elif f"grad.{name}.rows" in tensors:
            parts = (tensors[f"grad.{name}.{part}"].to(one.device) for part in ("rows", "values"))
            one.grad = torch.sparse_coo_tensor(*parts, one.shape, check_invariants=True)
        if f"adam.{name}.step" not in tensors:
            return
        part = self._owner[id(one)]
        state = {key: beside(one, tensors[f"adam.{name}.{key}"]) for key in _STATE}
        if isinstance(part, torch.optim.SparseAdam):
            state["step"] = int(state["step"])  # it counts in plain numbers
        part.state[one] = state


def beside(one: Any, kept: Any) -> Any:
    """A kept tensor on the parameter's device, and laid out in memory as the parameter is.

    Checkpoints keep rows; fused Adam walks memory in its own order, whatever the strides are.
    """
    if kept.shape != one.shape:  # Adam's count of steps
        return kept.to(one.device, copy=True)
    return torch.empty_like(one, dtype=kept.dtype, requires_grad=False).copy_(kept)
