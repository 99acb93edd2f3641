"""The rule that places an id where its neighbours are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.arrivals import Arrivals, Buckets1, Rule
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.reserved import Reserved

__all__ = ["Neighbours", "best_of_each"]

Gains = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]

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
        rank: 0 for the best row, 1 for the second best, the best again where there is no other.
    """

    kind: ClassVar[str] = "neighbours"

    rate: float
    homes: npt.NDArray[np.int32]
    load: npt.NDArray[np.float64]
    exponent: float
    scale: float
    fallback: Hashed | Reserved
    rank: int = 0

    def place(self, arrivals: Arrivals) -> Buckets1:
        found = self.fallback.place(arrivals)
        newcomer, row, gain = self.gains(arrivals)
        first = best_of_each(newcomer, row, gain, self.rank)
        found[newcomer[first]] = row[first]
        return found

    def gains(self, arrivals: Arrivals) -> Gains:
        """Each (arrival, row) that has an edge between them, and what the arrival gains there.

        Three arrays of one length: int64, int64, float64; sorted by arrival, then row.
        """
        met = arrivals.neighbours
        if met is None or not len(self.homes):
            none = np.zeros(0, dtype=np.int64)
            return none, none, np.zeros(0)
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
        return newcomer, row, tie - self.rate * strength * self.load[row]

    def shifted(self, rows: int) -> Neighbours:
        """The same rule in a table where `rows` rows of others stand before its own."""
        return replace(
            self,
            homes=np.where(self.homes >= 0, self.homes + np.int32(rows), np.int32(-1)),
            load=np.concatenate([np.zeros(rows), self.load]),
            fallback=self.fallback.shifted(rows),
        )

    def scalars(self) -> dict[str, Any]:
        return {
            "rate": self.rate,
            "exponent": self.exponent,
            "scale": self.scale,
            "rank": self.rank,
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


def best_of_each(
    newcomer: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    gain: npt.NDArray[np.float64],
    rank: int = 0,
) -> npt.NDArray[np.int64]:
    """Where each newcomer's largest gain stands (rank 0), or the next largest (rank 1), or as
    near to it as there are rows; of equal gains the smallest row comes first."""
    order = np.lexsort((row, -gain, newcomer))
    first = np.ones(len(order), dtype=bool)
    first[1:] = newcomer[order][1:] != newcomer[order][:-1]
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(order))
    chosen: npt.NDArray[np.int64] = order[np.minimum(starts + rank, ends - 1)]
    return chosen
