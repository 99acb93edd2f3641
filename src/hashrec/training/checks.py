"""What a table refuses: positions nobody has, tables of another size."""

from __future__ import annotations

from typing import Any

import torch

from hashrec.errors import UsageError

__all__ = ["check_positions", "check_shape", "from_the_start", "shown"]


def check_positions(positions: Any, n: int) -> Any:
    """The (k,) int tensor `positions` as it came.

    Raises UsageError for another dtype than int32 and int64 and, on the CPU, for a position
    outside [0, n). On an accelerator looking would make every lookup wait for the device, so
    there torch itself stops at such a position, as it does for nn.Embedding.
    """
    if positions.dtype not in (torch.int32, torch.int64):
        raise UsageError(
            "positions of a wrong dtype", expected="int32 or int64", got=str(positions.dtype)
        )
    if positions.device.type == "cpu" and len(positions):
        low, high = (int(bound) for bound in torch.aminmax(positions))
        if low < 0 or high >= n:
            raise UsageError(
                f"no id has the position {low if low < 0 else high}",
                expected=f"0 to {n - 1}, the table being of {n} ids" if n else "none, without ids",
            )
    return positions


def check_shape(what: str, tensor: Any, shape: tuple[int, ...]) -> None:
    """Raises UsageError naming both shapes where that of `tensor` is another."""
    if tuple(tensor.shape) != tuple(shape):
        raise UsageError(
            f"{what} does not fit", expected=shown(shape), got=shown(tuple(tensor.shape))
        )


def from_the_start(padding_idx: int | None, n: int) -> int | None:
    """`padding_idx` as a position; a negative one counts from the end.

    Raises UsageError where no id has it.
    """
    if padding_idx is None:
        return None
    if not -n <= padding_idx < n:
        raise UsageError(
            "padding_idx is no position", expected=f"one of {n} ids", got=str(padding_idx)
        )
    return padding_idx % n


def shown(shape: tuple[int, ...]) -> str:
    """`250 x 64`."""
    return " x ".join(str(size) for size in shape)
