"""Where tables begin."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hashrec.bucketing import Buckets
from hashrec.training.table import HashedEmbedding

__all__ = ["near", "normal"]

Floats = npt.NDArray[np.float32]


def normal(made: Buckets, dim: int, scale: float, seed: int) -> tuple[Any, Any]:
    """Tables of users and items drawn from N(0, scale^2)."""
    generator = torch.Generator().manual_seed(seed)
    tables = [HashedEmbedding(side, dim, generator=generator) for side in (made.users, made.items)]
    with torch.no_grad():
        for table in tables:
            table.weight.mul_(scale)
    return tables[0], tables[1]


def near(made: Buckets, users: Floats, items: Floats) -> tuple[Any, Any]:
    """Tables whose vectors are the nearest to those given that shared rows allow."""
    return (
        HashedEmbedding.from_full(made.users, torch.from_numpy(users)),
        HashedEmbedding.from_full(made.items, torch.from_numpy(items)),
    )
