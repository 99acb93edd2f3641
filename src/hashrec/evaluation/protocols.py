"""Protocols: by what the papers divide, each under the name of the paper it comes from.

With T a user's test items and K the cut:

    protocol     recall divides by     ideal DCG has        F1 of all users
    lightgcn     |T|                   min(K, |T|) hits     mean of each user's F1
    graphhash    min(K, |T|)           min(K, |T|) hits     mean of each user's F1
    hashlgn      |T|                   K hits               harmonic mean of mean P and mean R

The figures of one column are not comparable with those of another. That HashLGN prints the harmonic
mean of the means is not said there; it is what its printed precision, recall and F1 agree with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hashrec.component import nearest
from hashrec.errors import UsageError

__all__ = ["PROTOCOLS", "Protocol", "protocol_named"]


@dataclass(frozen=True)
class Protocol:
    """The denominators of recall and NDCG, and the mean of F1.

    Attributes:
        name: its key in `PROTOCOLS`.
        recall_capped: recall divides by min(K, |T|), else by |T|.
        ideal_capped: the ideal list has min(K, |T|) hits, else always K.
        f1_of_means: F1 is that of mean precision and mean recall, else the mean of users' F1.
    """

    name: str
    recall_capped: bool
    ideal_capped: bool
    f1_of_means: bool

    def recall_hits(self, sizes: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
        """(n_users,) the number of hits that counts as recall 1, for |T| = `sizes`."""
        return np.minimum(sizes, k) if self.recall_capped else sizes

    def ideal_hits(self, sizes: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
        """(n_users,) the number of hits, all in front, whose DCG counts as NDCG 1."""
        return np.minimum(sizes, k) if self.ideal_capped else np.full_like(sizes, k)


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        one.name: one
        for one in (
            Protocol("lightgcn", recall_capped=False, ideal_capped=True, f1_of_means=False),
            Protocol("graphhash", recall_capped=True, ideal_capped=True, f1_of_means=False),
            Protocol("hashlgn", recall_capped=False, ideal_capped=False, f1_of_means=True),
        )
    }
)


def protocol_named(name: str) -> Protocol:
    """The protocol of that name, or a `UsageError` that lists them all."""
    if name not in PROTOCOLS:
        raise UsageError(
            f"unknown protocol {name!r}",
            expected="one of " + ", ".join(PROTOCOLS),
            fix=nearest(name, PROTOCOLS),
        )
    return PROTOCOLS[name]
