"""An assignment: for every id of one side, the rows of a compressed table that it uses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hashrec.bucketing.rules import Arrivals, Rule
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.interactions import Ids
from hashrec.interactions.exact import as_arrow, coerced

__all__ = ["Assignment", "Combiner", "SideName"]

Combiner = Literal["sum", "mean", "weighted"]
SideName = Literal["user", "item"]


@dataclass(frozen=True, eq=False)
class Assignment:
    """Which rows of a table each id uses, and how they become its vector.

    The vector of the id at position p is, over its columns j and the table E:
    sum: sum_j E[b_pj]; mean: their sum over the number of columns; weighted: sum_j w_pj E[b_pj].

    Attributes:
        side: whose ids these are.
        ids: (n,) pa.Array of distinct raw ids; the position of an id is its index here. Ids of a
            log come sorted; ids added by `extend` stand behind them, so no position ever changes.
        buckets: (n, ways) int32 in [0, rows).
        rows: how many rows the table has; some may be used by nobody.
        combiner: as above. With one way all three are that row (`sum` by custom).
        weights: (n, ways) float32, with `weighted` and only then.
        rules: one for each way: how an id that comes later is placed.
        dim_share: the share of a vector's dimensions that a row really holds, the rest being
            zero. 1 everywhere but in `low-dim`.
    """

    side: SideName
    ids: Any
    buckets: npt.NDArray[np.int32]
    rows: int
    rules: tuple[Rule, ...]
    combiner: Combiner = "sum"
    weights: npt.NDArray[np.float32] | None = None
    dim_share: float = 1.0

    def __post_init__(self) -> None:
        if self.buckets.dtype != np.int32 or self.buckets.ndim != 2:
            raise TypeError("buckets must be (n, ways) int32")
        if len(self.buckets) != len(self.ids):
            raise ValueError(f"{len(self.ids)} ids but buckets for {len(self.buckets)}")
        if len(self.rules) != self.ways:
            raise ValueError(f"{self.ways} ways but {len(self.rules)} rules")
        if self.rows < 1 or not 0 < self.dim_share <= 1:
            raise ValueError("rows must be at least 1, dim_share in (0, 1]")
        if len(self) and not 0 <= self.buckets.min() <= self.buckets.max() < self.rows:
            raise ValueError(f"buckets must lie in [0, {self.rows})")
        if (self.weights is not None) != (self.combiner == "weighted"):
            raise ValueError("weights come with the combiner `weighted` and only then")
        if self.weights is not None and (
            self.weights.shape != self.buckets.shape
            or self.weights.dtype != np.float32
            or not np.isfinite(self.weights).all()
        ):
            raise ValueError("weights must be finite float32 of the shape of buckets")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ways(self) -> int:
        """How many rows make one vector."""
        return int(self.buckets.shape[1])

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(rows,) how many ids use each row, in any of their ways."""
        distinct = np.sort(self.buckets, axis=1)
        first = np.ones(distinct.shape, dtype=bool)
        first[:, 1:] = distinct[:, 1:] != distinct[:, :-1]
        return np.bincount(distinct[first], minlength=self.rows).astype(np.int64)

    def width(self, dim: int) -> int:
        """How many of `dim` dimensions a row stores."""
        return max(1, round(dim * self.dim_share))

    def table_bytes(self, dim: int) -> int:
        """Bytes of the float32 table for vectors of `dim` dimensions."""
        return self.rows * self.width(dim) * 4

    @property
    def index_bytes(self) -> int:
        """Bytes of the assignment itself: a row number a way in the narrowest of 1, 2 or 4 bytes,
        and a float32 weight a way where there are weights."""
        narrow = 1 if self.rows <= 2**8 else 2 if self.rows <= 2**16 else 4
        return self.buckets.size * (narrow + (0 if self.weights is None else 4))

    def fingerprint(self) -> str:
        """sha256 (hex) of buckets, weights, rows and combiner: the same wherever it is computed."""
        head = f"hashrec assignment 1\n{self.side} {self.rows} {self.combiner} {self.buckets.shape}"
        digest = hashlib.sha256(f"{head} {self.dim_share!r}\n".encode())
        digest.update(self.buckets.astype("<i4").tobytes())
        if self.weights is not None:
            digest.update(self.weights.astype("<f4").tobytes())
        return digest.hexdigest()

    def positions(self, raw: Any) -> npt.NDArray[np.int32]:
        """(k,) int32 positions of raw ids. Raises UnknownIdError naming those without a bucket."""
        ids, order = self._lookup
        return order[ids.require(raw, self.side)]

    @cached_property
    def _lookup(self) -> tuple[Ids, npt.NDArray[np.int32]]:
        """The ids sorted, and the position of each."""
        ids, slots = Ids.from_array(self.ids)
        order = np.empty(len(slots), dtype=np.int32)
        order[slots] = np.arange(len(slots), dtype=np.int32)
        return ids, order

    def find(self, raw: Any) -> npt.NDArray[np.int32]:
        """(k,) int32 positions of raw ids, -1 for those without a bucket."""
        ids, order = self._lookup
        slots = ids.positions(raw)
        return np.where(slots >= 0, order[slots], np.int32(-1))

    def extend(
        self,
        ids: Any,
        neighbours: Csr | None = None,
        weights: npt.NDArray[np.float32] | None = None,
    ) -> Assignment:
        """With further ids placed behind the old ones, whose buckets do not move.

        Args:
            ids: (k,) distinct raw ids, none of which has a bucket yet.
            neighbours: (k, n_opposite) the positions they have met in the other side's
                assignment; rules that look at the graph use them, hashes do not.
            weights: (n_entries,) float32 beside them, or None.

        Raises UsageError for an id that has a bucket already, that comes twice, or that cannot be
        of the type of the ids here.
        """
        added = self._new(ids)
        if neighbours is not None and neighbours.n_rows != len(added):
            raise ValueError(f"{len(added)} ids but neighbours of {neighbours.n_rows}")
        arrivals = Arrivals(added, len(self), neighbours, weights)
        columns = [rule.place(arrivals) for rule in self.rules]
        new = np.stack(columns, axis=1).astype(np.int32).reshape(len(added), self.ways)
        return replace(
            self,
            ids=pa.concat_arrays([self.ids, added]),
            buckets=np.concatenate([self.buckets, new]),
            weights=None if self.weights is None else self._extended_weights(len(added)),
        )

    def _new(self, raw: Any) -> Any:
        """`raw` as a pa.Array of the type of the ids here: a hash of 7 is not a hash of "7"."""
        given = as_arrow(raw)
        if isinstance(given, pa.ChunkedArray):
            given = given.combine_chunks()
        added = coerced(given, self.ids.type)
        if added.null_count:
            at = added.is_null().to_pylist().index(True)
            raise UsageError(
                f"{given[at].as_py()!r} can be no {self.side}", expected=f"{self.ids.type} ids"
            )
        first = np.zeros(len(added), dtype=bool)
        first[np.unique(added.to_numpy(zero_copy_only=False), return_index=True)[1]] = True
        again = np.flatnonzero((self.find(added) >= 0) | ~first)
        if len(again):
            raise UsageError(
                f"{self.side} {added[int(again[0])].as_py()!r} has a bucket already",
                expected="new ids only, each once",
            )
        return added

    def _extended_weights(self, count: int) -> npt.NDArray[np.float32]:
        """A newcomer's ways count alike."""
        assert self.weights is not None
        equal = np.full((count, self.ways), 1 / self.ways, dtype=np.float32)
        return np.concatenate([self.weights, equal])
