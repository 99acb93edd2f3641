"""What a fit leaves behind: the parts of a model, in memory, and their way to disk and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.artifact import StoredModel, open_model, write_model
from hashrec.codes import Codes, Rotation, arrays_of, bring, code_queries, codes_from, describe
from hashrec.csr import Csr
from hashrec.encoders import FoldIn
from hashrec.interactions import Ids
from hashrec.recipe import Recipe

__all__ = ["Fitted", "Second"]

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Second:
    """Vectors of a second stage: items, and users in the same space."""

    items: Codes
    users: Codes


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model's parts.

    Attributes:
        recipe: how it was made.
        users, items: raw ids. seen: n_users x n_items, the training interactions.
        item_codes: in their own space. user_codes: as `code_queries` leaves them, or None where
            users are computed.
        fold_in: how a history becomes a vector, or None where the encoder has no way.
        second: what ranks the best items by codes anew, where the recipe wants that.
        facts: JSON-ready things worth keeping: counts, metrics and times of the fit.
    """

    recipe: Recipe
    users: Ids
    items: Ids
    seen: Csr
    item_codes: Codes
    user_codes: Codes | None
    fold_in: FoldIn | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    second: Second | None = None

    def __post_init__(self) -> None:
        users = self.seen.n_rows if self.user_codes is None else len(self.user_codes)
        if not len(self.users) == self.seen.n_rows == users:
            raise ValueError(f"{len(self.users)} users, {users} vectors, {self.seen.n_rows} rows")
        if not len(self.items) == self.seen.n_columns == len(self.item_codes):
            raise ValueError(f"{len(self.items)} items, {len(self.item_codes)} vectors")
        if (self.second is None) is (self.recipe.rerank > 0):
            raise ValueError(f"rerank is {self.recipe.rerank}, and the second stage says otherwise")
        if self.second is not None:
            found = len(self.second.users), len(self.second.items)
            if found != (len(self.users), len(self.items)):
                raise ValueError(f"a second stage of {found[0]} users and {found[1]} items")

    @cached_property
    def item_degrees(self) -> npt.NDArray[np.int64]:
        """(n_items,) how many users met each item in training."""
        return self.seen.column_counts()

    def queries(self, users: npt.NDArray[np.integer]) -> Codes:
        """The vectors of known users, stored or computed, as the recipe codes them."""
        if self.user_codes is not None:
            return bring(self.user_codes.take(users), self.item_codes.rotation)
        return self.history_queries(self.seen.take(users))

    def history_queries(self, histories: Csr) -> Codes:
        """The vectors of histories (rows of item positions), by the encoder's formula.

        Only the items that occur are decoded, so one user of a large model is cheap.
        """
        assert self.fold_in is not None  # the facade refuses encoders that have none
        used = np.unique(histories.indices)
        renamed = np.searchsorted(used, histories.indices).astype(np.int32)
        local = Csr(histories.offsets, renamed, max(len(used), 1))
        items = self._vectors(used if len(used) else np.zeros(1, np.int64))
        degrees = self.item_degrees[used] if len(used) else np.zeros(1, np.int64)
        vectors, space = self.fold_in(local, items, degrees), self.item_codes.rotation
        if isinstance(space, Rotation):  # items' vectors, and so their sums, are there already
            return self.recipe.user_codes.quantise(vectors, space)
        return bring(code_queries(self.recipe.user_codes, vectors, space, self.recipe.seed), space)

    def _vectors(self, items: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """What items decode to: rotated as their codes are, else in the encoder's own space."""
        codes = self.item_codes.take(items)
        return codes.decode() if isinstance(codes.rotation, Rotation) else codes.restore()

    def sizes(self) -> dict[str, float | int]:
        """Bytes of what serving needs, counted from the arrays.

        `table_rows` and `table_bytes` are those of trained embedding tables; an encoder that
        trains none has none.
        """
        users = self.user_codes
        learned = self.facts.get("encoder", {})
        return {
            "bytes_per_item": self.item_codes.bytes_per_row,
            "bytes_per_user": 0 if users is None else users.bytes_per_row,
            "shared_bytes": self.item_codes.shared_bytes,
            "item_bytes": self.item_codes.n_bytes,
            "user_bytes": 0 if users is None else users.n_bytes,
            "second_bytes": sum(codes.n_bytes for codes in self._second().values()),
            "seen_bytes": sum(array.nbytes for array in _seen_arrays(self.seen).values()),
            "table_rows": learned.get("table_rows", 0),
            "table_bytes": learned.get("table_bytes", 0),
        }

    def _second(self) -> dict[str, Codes]:
        """Both sides of the second stage, by the names of their arrays; nothing without one."""
        if self.second is None:
            return {}
        return {"second_item": self.second.items, "second_user": self.second.users}

    def save(self, path: str | Path) -> dict[str, int]:
        """Writes the model folder; returns the bytes of each file."""
        header: dict[str, Any] = {
            "recipe": self.recipe.to_dict(),
            "counts": {
                "users": len(self.users),
                "items": len(self.items),
                "interactions": len(self.seen.indices),
            },
            "item_codes": describe(self.item_codes),
            "user_codes": None if self.user_codes is None else describe(self.user_codes),
            "second": {side: describe(codes) for side, codes in self._second().items()},
            "fold_in": None if self.fold_in is None else vars(self.fold_in),
            "sizes": self.sizes(),
            "facts": dict(self.facts),
        }
        arrays = arrays_of("item", self.item_codes)
        if self.user_codes is not None:
            arrays |= arrays_of("user", self.user_codes)
        for side, codes in self._second().items():
            arrays |= arrays_of(side, codes)
        return write_model(
            path, header, arrays, _seen_arrays(self.seen), self.users.array, self.items.array
        )

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False) -> tuple[Fitted, StoredModel]:
        """Opens a model folder; the second value is the folder as stored."""
        stored = open_model(path, verify=verify)
        header = stored.header
        users, items = Ids(stored.users), Ids(stored.items)
        described = header["user_codes"]
        fitted = cls(
            Recipe.from_dict(header["recipe"]),
            users,
            items,
            _seen_from(stored.seen, len(items)),
            codes_from("item", header["item_codes"], stored.arrays),
            None if described is None else codes_from("user", described, stored.arrays),
            None if header["fold_in"] is None else FoldIn(**header["fold_in"]),
            header["facts"],
            _second_from(header.get("second", {}), stored.arrays),  # absent from older folders
        )
        return fitted, stored


def _second_from(described: Mapping[str, Any], arrays: Arrays) -> Second | None:
    if not described:
        return None
    sides = ("second_item", "second_user")
    return Second(*(codes_from(side, described[side], arrays) for side in sides))


def _seen_arrays(seen: Csr) -> dict[str, npt.NDArray[Any]]:
    """Two bytes an entry are enough below 65,536 items, four bytes an offset below 2^32 entries."""
    small_offsets = seen.offsets[-1] < 2**32
    return {
        "offsets": seen.offsets.astype(np.uint32) if small_offsets else seen.offsets,
        "indices": seen.indices.astype(np.uint16) if seen.n_columns <= 2**16 else seen.indices,
    }


def _seen_from(arrays: Arrays, n_items: int) -> Csr:
    return Csr(
        arrays["offsets"].astype(np.int64, copy=False),
        arrays["indices"].astype(np.int32, copy=False),
        n_items,
    )
