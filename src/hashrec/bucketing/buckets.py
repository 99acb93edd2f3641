"""From a log to buckets: the one call, and what it gives back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.balanced import Balanced
from hashrec.bucketing.budget import Budget, Rows, budget
from hashrec.bucketing.double import DoubleHash
from hashrec.bucketing.double_frequency import DoubleFrequency
from hashrec.bucketing.double_graph import DoubleGraphHash
from hashrec.bucketing.frequency import Frequency
from hashrec.bucketing.full import Full
from hashrec.bucketing.graph import GraphHash
from hashrec.bucketing.leiden import LeidenHash
from hashrec.bucketing.low_dim import LowDim
from hashrec.bucketing.lsh import Lsh
from hashrec.bucketing.lsh_structure import LshStructure
from hashrec.bucketing.method import BucketMethod
from hashrec.bucketing.modulo import Modulo
from hashrec.bucketing.pyramid import Pyramid
from hashrec.bucketing.quotient_remainder import QuotientRemainder
from hashrec.bucketing.random import RandomHash
from hashrec.bucketing.sides import sides_of, weights_of
from hashrec.clustering import transposed
from hashrec.component import Registry
from hashrec.csr import Csr
from hashrec.interactions import Interactions
from hashrec.progress import SILENT, Progress

__all__ = ["METHODS", "Buckets", "buckets"]

METHODS: Registry[BucketMethod] = Registry(
    "bucket method",
    Full,
    Modulo,
    RandomHash,
    Frequency,
    DoubleHash,
    DoubleFrequency,
    QuotientRemainder,
    LowDim,
    LshStructure,
    Lsh,
    GraphHash,
    LeidenHash,
    DoubleGraphHash,
    Balanced,
    Pyramid,
)


@dataclass(frozen=True, eq=False)
class Buckets:
    """Who shares a row with whom, on both sides.

    Attributes:
        users, items: the assignments.
        method: the component that found them; seed: of its draws.
        facts: JSON-ready: what the method said about itself (resolution, modularity, runs).
    """

    users: Assignment
    items: Assignment
    method: BucketMethod
    seed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of both tables."""
        return self.users.rows + self.items.rows

    def fingerprint(self) -> str:
        """sha256 (hex) of both assignments."""
        parts = f"{self.users.fingerprint()} {self.items.fingerprint()}"
        return hashlib.sha256(parts.encode()).hexdigest()

    def extend(
        self,
        interactions: Interactions,
        *,
        weights: npt.ArrayLike | None = None,
        half_life: float | None = None,
    ) -> Buckets:
        """With the ids of `interactions` that have no bucket yet; the others do not move.

        A new id is placed by the rule of its method: graph methods look at the ids it has met
        that have buckets, hashes at the id itself. Give `weights` or `half_life` where the
        buckets were found with them: they are part of what a newcomer gains.
        """
        by_user = weights_of(interactions, weights, half_life)
        by_item, item_weights = transposed(interactions.matrix, by_user)
        users, new_users = _newcomers(self.users, interactions.users.array)
        items, new_items = _newcomers(self.items, interactions.items.array)
        return replace(
            self,
            users=self.users.extend(
                interactions.users.take(new_users),
                *_met(interactions.matrix, by_user, new_users, items),
            ),
            items=self.items.extend(
                interactions.items.take(new_items), *_met(by_item, item_weights, new_items, users)
            ),
        )


def buckets(
    interactions: Interactions | Any,
    method: BucketMethod | Mapping[str, Any] | str = "graph",
    rows: Rows | None = None,
    *,
    user_rows: Rows | None = None,
    item_rows: Rows | None = None,
    dim: int | None = None,
    weights: npt.ArrayLike | None = None,
    half_life: float | None = None,
    tied: bool = False,
    user_features: npt.ArrayLike | None = None,
    item_features: npt.ArrayLike | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Buckets:
    """Assigns users and items to the rows of two compressed tables.

    Args:
        interactions: a log, or any scipy sparse matrix (sessions x items, items x items ...)
            whose stored values are weights and whose ids are the row and column numbers.
        method: a name in `METHODS`, its options as a mapping with `name`, or the component.
        rows: a share of the ids (0.25), a number of rows (9000) or bytes ("4MB", with `dim`),
            over both sides. user_rows, item_rows: the same for one side.
        weights: (n_interactions,) positive weights beside `interactions.matrix.indices`.
        half_life: instead of weights: an interaction counts half for every `half_life` (in units
            of the log's times) that it is older than the newest.
        tied: rows and columns are the same ids and get the same buckets.
        user_features, item_features: (n, f) numbers by position, for methods that use them.
        seed: of every draw.

    Raises RecipeError for an unknown method or option, DataError for what cannot be clustered
    (no edges, weights that are not positive), UsageError for a budget that makes no sense.
    """
    chosen = METHODS.parse(method)
    sides = sides_of(
        interactions,
        weights=weights,
        half_life=half_life,
        tied=tied,
        features=(user_features, item_features),
    )
    asked = Budget(sides.n, free=True)
    if chosen.needs_rows or (rows, user_rows, item_rows) != (None, None, None):
        asked = budget(
            rows,
            user_rows,
            item_rows,
            dim=dim,
            n_users=len(sides.users),
            n_items=len(sides.items),
        )
    found = chosen.assign(sides, asked, seed, progress)
    return Buckets(found.users, found.items, chosen, seed, found.facts)


def _newcomers(
    assignment: Assignment, ids: Any
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """For each raw id its position or -1, and where the -1 are."""
    positions = assignment.find(ids)
    return positions, np.flatnonzero(positions < 0)


def _met(
    rows: Csr,
    weights: npt.NDArray[np.float32] | None,
    newcomers: npt.NDArray[np.int64],
    opposite: npt.NDArray[np.int32],
) -> tuple[Csr, npt.NDArray[np.float32] | None]:
    """The newcomers' rows, in positions of the other side's assignment, and their weights;
    strangers are left out."""
    met = rows.take(newcomers)
    columns, row = opposite[met.indices], met.row_of_entry
    known = np.flatnonzero(columns >= 0)
    order = known[np.lexsort((columns[known], row[known]))]
    lengths = np.bincount(row[order], minlength=len(newcomers))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    found = Csr(offsets, columns[order], int(opposite.max(initial=-1)) + 1)
    if weights is None:
        return found, None
    starts = rows.offsets[:-1][newcomers] - met.offsets[:-1]
    return found, weights[np.arange(len(row)) + np.repeat(starts, met.lengths)][order]
