"""Ones in a word, counted and found by the processor's own instruction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from hashrec.kernels import inner_kernel

__all__ = ["lowest", "popcount"]


@intrinsic  # type: ignore[untyped-decorator]
def popcount(_context: Any, _word: Any) -> Any:
    """popcount(uint64) -> int64, inside compiled code only."""

    def emit(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), emit


@inner_kernel
def lowest(mask):  # type: ignore[no-untyped-def]
    """The place of the lowest one of an int64 that is not zero."""
    return popcount(np.uint64((mask & -mask) - 1))
