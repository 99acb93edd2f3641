"""The rule that places an id where its neighbours are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.arrivals import Arrivals, Buckets1, Rule
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.reserved import Reserved

__all__ = ["Neighbours"]

_FALLBACKS: Mapping[str, type[Hashed] | type[Reserved]] = {
    rule.kind: rule for rule in (Hashed, Reserved)
}


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The row whose community gains most by the newcomer, of those its neighbours live in.

    The gain of x in t is w(x, t) - rate s_x L_t, w being the weight of x's edges to the other
    side's members of t and L_t their strength: what a move of the clustering itself would gain.
    The best is taken even where no gain is positive. Equal gains go to the smallest row.

    Attributes:
        rate: resolution over the total weight of the clustered graph.
        homes: (n_opposite,) int32, the row of this side that belongs to the community of each id
            of the other side, -1 where that community has none. Ids beyond it are strangers.
        load: (rows,) float64, L_t.
        exponent, scale: the strength of x is scale * (weight of its edges) ** exponent.
        fallback: for those without a neighbour that has a home.
    """

    kind: ClassVar[str] = "neighbours"

    rate: float
    homes: npt.NDArray[np.int32]
    load: npt.NDArray[np.float64]
    exponent: float
    scale: float
    fallback: Hashed | Reserved

    def place(self, arrivals: Arrivals) -> Buckets1:
        found = self.fallback.place(arrivals)
        if arrivals.neighbours is None or not len(self.homes):
            return found
        met = arrivals.neighbours
        known = met.indices < len(self.homes)
        home = np.where(known, self.homes[np.minimum(met.indices, len(self.homes) - 1)], -1)
        here = home >= 0
        weights = np.ones(len(home)) if arrivals.weights is None else arrivals.weights
        degree = np.bincount(met.row_of_entry, weights, minlength=len(arrivals))
        pairs, slot = np.unique(
            met.row_of_entry[here] * len(self.load) + home[here], return_inverse=True
        )
        newcomer, row = np.divmod(pairs, len(self.load))
        tie = np.bincount(slot, weights[here], minlength=len(pairs))
        strength = self.scale * degree[newcomer] ** self.exponent
        gain = tie - self.rate * strength * self.load[row]
        order = np.lexsort((row, -gain, newcomer))
        first = order[np.r_[True, np.diff(newcomer[order]) > 0][: len(order)]]
        found[newcomer[first]] = row[first]
        return found

    def scalars(self) -> dict[str, Any]:
        return {
            "rate": self.rate,
            "exponent": self.exponent,
            "scale": self.scale,
            "fallback": {"kind": self.fallback.kind, **self.fallback.scalars()},
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"homes": self.homes, "load": self.load}

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Rule:
        rest = {key: value for key, value in scalars.items() if key != "fallback"}
        fallback = dict(scalars["fallback"])
        kind = _FALLBACKS[fallback.pop("kind")]
        return cls(homes=arrays["homes"], load=arrays["load"], fallback=kind(**fallback), **rest)
