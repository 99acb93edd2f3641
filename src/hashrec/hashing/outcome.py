"""What coding an encoding leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes

__all__ = ["Learned"]

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Learned:
    """Both sides, and what their codes were made of.

    Attributes:
        users: (n_users, d) float32, or `Codes`. items: `Codes`.
        numbers: (n_users, e) and (n_items, e) float32, what the codes were made of.
        facts: JSON-ready.
    """

    users: Vectors | Codes
    items: Codes
    numbers: tuple[Vectors, Vectors]
    facts: dict[str, Any]
