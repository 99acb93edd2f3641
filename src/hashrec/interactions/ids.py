"""Raw ids and positions: the one place where either becomes the other.

Positions follow the sorted order of the raw ids, never the order of rows in a file, so the same
log shuffled gives the same model.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.component import nearest
from hashrec.errors import UnknownIdError
from hashrec.interactions.exact import as_arrow, coerced
from hashrec.interactions.factor import Column, factorise, ranked

__all__ = ["Ids"]

_SUGGEST_UP_TO = 200_000  # the search for a near name reads every id; beyond this it is felt
_FEW = 64  # below this, halving in the sorted ids beats building a hash table of them


@dataclass(frozen=True, eq=False)
class Ids:
    """The distinct raw ids of one side, ascending; the position of an id is its index here.

    Attributes:
        array: (n,) pa.Array of int64, uint64 or string; integers ascend by value, strings by
            code point.
    """

    array: Any

    def __post_init__(self) -> None:
        if self.array.type not in (pa.int64(), pa.uint64(), pa.string()):
            raise TypeError(f"ids must be int64, uint64 or string, not {self.array.type}")
        if self.array.null_count or not _ascends(self.array):
            raise ValueError("ids must ascend without repeats or nulls")

    @classmethod
    def from_array(cls, values: Any) -> tuple[Ids, npt.NDArray[np.int32]]:
        """The ids in `values` (list, NumPy or Arrow array, repeats allowed), and their positions.

        Returns the ids and (n_rows,) int32. Raises DataError for missing values, for floats that
        are not whole, and for types that cannot be ids.
        """
        array, positions = ranked([factorise(Column("ids", "", as_arrow(values)))])
        return cls(array), positions[0]

    def __len__(self) -> int:
        return len(self.array)

    def take(self, positions: npt.ArrayLike) -> Any:
        """(n,) pa.Array of the raw ids at `positions`. Raises IndexError beyond the last one."""
        chosen = np.asarray(positions, dtype=np.int64)
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise IndexError(f"positions must lie in [0, {len(self)})")
        return self.array.take(pa.array(chosen))

    def positions(self, raw: Any) -> npt.NDArray[np.int32]:
        """(n,) int32 positions of `raw` (list, NumPy or Arrow array), -1 where unknown.

        Integers may be given as text in their usual writing ("7", not "007"), and text ids that
        look like integers may be given as integers: a shell knows no types.
        """
        wanted = as_arrow(raw)
        if isinstance(wanted, pa.ChunkedArray):
            wanted = wanted.combine_chunks()
        wanted = coerced(wanted, self.array.type)
        if self.array.type == pa.string():
            return self._find_text(wanted)
        return self._find_numbers(wanted)

    def require(self, raw: Any, kind: str) -> npt.NDArray[np.int32]:
        """The positions of `raw`; raises UnknownIdError naming the unknown ones.

        `kind` is the word for one of them in the message: "user" or "item".
        """
        found = self.positions(raw)
        unknown = np.flatnonzero(found < 0)
        if len(unknown):
            raise self._unknown(
                [as_arrow(raw)[int(at)].as_py() for at in unknown[:5]], len(unknown), kind
            )
        return found

    def _find_numbers(self, wanted: Any) -> npt.NDArray[np.int32]:
        known = self.array.to_numpy()
        values = pc.fill_null(wanted, 0).to_numpy(zero_copy_only=False)
        slot = np.searchsorted(known, values)
        hit = np.zeros(len(values), dtype=bool)
        inside = slot < len(known)
        hit[inside] = known[slot[inside]] == values[inside]
        hit &= wanted.is_valid().to_numpy(zero_copy_only=False)
        return np.where(hit, slot, -1).astype(np.int32)

    def _find_text(self, wanted: Any) -> npt.NDArray[np.int32]:
        if len(wanted) <= _FEW:
            return np.array([self._halve(text) for text in wanted.to_pylist()], dtype=np.int32)
        found = pc.index_in(wanted, value_set=self.array, skip_nulls=True)
        return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int32)

    def _halve(self, text: str | None) -> int:
        if text is None:
            return -1
        at = bisect_left(range(len(self)), text, key=lambda slot: self.array[slot].as_py())
        return at if at < len(self) and self.array[at].as_py() == text else -1

    def _unknown(self, first: Sequence[Any], count: int, kind: str) -> UnknownIdError:
        shown = ", ".join(repr(raw) for raw in first) + (", ..." if count > len(first) else "")
        hint = ""
        if self.array.type == pa.string() and len(self) <= _SUGGEST_UP_TO:
            hint = nearest(str(first[0]), self.array.to_pylist())
        return UnknownIdError(
            f"{count} unknown {kind}{'s' if count > 1 else ''}: {shown}",
            expected=f"one of the {len(self)} {kind}s the model was made from",
            fix=hint,
        )


def _ascends(array: Any) -> bool:
    return bool(pc.all(pc.less(array[:-1], array[1:]), min_count=0).as_py())
