"""Reports: what an evaluation found, ready to be shown, stored and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """The metrics of one ranking under one protocol. Equal where all but `per_user` is equal.

    Attributes:
        metrics: `recall@20` and its like, each a float: means over the evaluated users, save
            coverage, and save F1 under the protocol `hashlgn`.
        protocol: the name of the protocol.
        users_evaluated: how many users have test items and are in the means.
        users_without_test: how many users have none and are left out of them.
        per_user: the same keys without coverage, each (n_users,) float64 in the order of the
            ranking; NaN for users without test items.
    """

    metrics: dict[str, float]
    protocol: str
    users_evaluated: int
    users_without_test: int
    per_user: dict[str, npt.NDArray[np.float64]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def to_dict(self) -> dict[str, Any]:
        """One flat object ready for JSON: the metrics under their keys, then the counts."""
        return {
            **self.metrics,
            "protocol": self.protocol,
            "users_evaluated": self.users_evaluated,
            "users_without_test": self.users_without_test,
        }
