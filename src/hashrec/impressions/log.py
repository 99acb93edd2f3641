"""Impressions: what was shown to whom, what was known about it, and whether it was taken."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.csr import Csr
from hashrec.errors import DataError
from hashrec.impressions.field import Field, Owner
from hashrec.impressions.values import Values
from hashrec.interactions import SPLITS, Ids, Interactions, Report, Split
from hashrec.interactions.entries import Times, assemble

__all__ = ["Impressions", "Side"]

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Side:
    """What is known of users, or of items, by id.

    Attributes:
        ids: those of which anything is known. values: of each field, by position in `ids`.
    """

    ids: Ids
    values: Mapping[str, Values]

    def of(self, ids: Ids) -> Places:
        """(n,) the position here of each of `ids`, -1 for those of which nothing is known."""
        return self.ids.positions(ids.array).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Impressions:
    """A log of impressions, n rows in the order of its source.

    Attributes:
        users, items: distinct raw ids, or None where the log has no such column.
        user, item: (n,) int32 positions in them, or None.
        label: (n,) float32 of 0 and 1; None for candidates, of which nobody knows yet.
        times: (n,) int64 or float64, or None.
        fields: all of them, those of users first, then of items, then of rows.
        rows: the values of the fields that each row has itself.
        sides: for `user` and `item`, what is known of them, where anything is.
        threshold: the rating from which on the label is 1; None where labels came as they are.
        separators: between the words of each multi-valued field that came as text.
        report: how it was read. A part made by `split` keeps the report of the whole.
        n_valid: how many rows, the last ones, came as a valid part.
    """

    users: Ids | None
    items: Ids | None
    user: npt.NDArray[np.int32] | None
    item: npt.NDArray[np.int32] | None
    label: npt.NDArray[np.float32] | None
    times: Times | None
    fields: tuple[Field, ...]
    rows: Mapping[str, Values]
    sides: Mapping[Owner, Side]
    report: Report
    n: int
    threshold: float | None = None
    separators: Mapping[str, str] = field(default_factory=dict)
    n_valid: int = 0

    def __len__(self) -> int:
        return self.n

    @property
    def positives(self) -> int:
        """How many labels are 1."""
        return 0 if self.label is None else int(self.label.sum())

    def take(self, chosen: npt.ArrayLike) -> Impressions:
        """The named rows, in the order named; ids and sides stay."""
        at = np.asarray(chosen, dtype=np.int64)

        def cut(array: Any) -> Any:
            return None if array is None else array[at]

        return replace(
            self, user=cut(self.user), item=cut(self.item), label=cut(self.label),
            times=cut(self.times), n=len(at), n_valid=0,
            rows={name: values.take(at) for name, values in self.rows.items()},
        )  # fmt: skip

    @property
    def columns(self) -> dict[str, str | None]:
        """What the source called the user, the item and the label; None: there is none."""
        return {
            "user": None if self.users is None else self.report.user,
            "item": None if self.items is None else self.report.item,
            "label": self.report.rating,
        }

    def parts(self) -> tuple[Impressions, Impressions] | None:
        """Train and valid, as they came, with the same ids and sides; None where all is train."""
        if not self.n_valid:
            return None
        rows = np.arange(self.n)
        return self.take(rows[: -self.n_valid]), self.take(rows[-self.n_valid :])

    def split(self, spec: Split | Mapping[str, Any] | str) -> tuple[Impressions, Impressions]:
        """Train and test: disjoint, together all, rows in the order they had.

        `spec`: as for interactions, each impression being one of its user's. Raises DataError
        where it needs times or users and there are none.
        """
        chosen = SPLITS.parse(spec)
        if self.user is None and chosen.name in ("user", "last_out"):
            raise DataError(f"the split {chosen.name!r} needs users and this log has none",
                            fix="take the split random or time")  # fmt: skip
        owner = np.zeros(self.n, np.int32) if self.user is None else self.user
        order = np.argsort(owner, kind="stable")
        # Each impression is a column of its own, so that what comes twice is split like the rest.
        counts = np.bincount(owner)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        entries = Csr(offsets, order.astype(np.int32), max(self.n, 1))
        times = None if self.times is None else self.times[order]
        test = np.zeros(self.n, dtype=bool)
        test[order] = chosen.test_entries(entries, times)
        return self.take(np.flatnonzero(~test)), self.take(np.flatnonzero(test))

    def interactions(
        self, rows: npt.NDArray[np.bool_] | None = None, *, ids: Interactions | None = None
    ) -> Interactions:
        """Who met what, over all impressions or those of a mask.

        Ids are those that occur there; or those of `ids`, a log of no fewer impressions.
        Raises DataError where there are no users or no items.
        """
        if self.users is None or self.items is None or self.user is None or self.item is None:
            what, other = ("user", "item") if self.user is None else ("item", "user")
            raise DataError(
                f"this log has no {what}s, so nobody met anything",
                fix=f"name the column with {what}=... (--{what}); or say {other}='none' "
                f"(--{other} none): then the {other} is a field, categorical where it is so named",
            )  # fmt: skip
        user, item = (side if rows is None else side[rows] for side in (self.user, self.item))
        times = None if self.times is None else self.times if rows is None else self.times[rows]
        if ids is None:
            users, items = (
                Ids(known.take(np.unique(at)))
                for known, at in ((self.users, user), (self.items, item))
            )
        else:
            users, items = ids.users, ids.items
        user = users.positions(self.users.array)[user]
        item = items.positions(self.items.array)[item]
        matrix, latest = assemble(user, item, times, shape=(len(users), len(items)))
        return Interactions(users, items, matrix, latest, self._reported(len(user), matrix))

    def _reported(self, rows: int, matrix: Csr) -> Report:
        return replace(
            self.report, rows=rows, duplicates=rows - len(matrix.indices), users=matrix.n_rows,
            items=matrix.n_columns, interactions=len(matrix.indices),
        )  # fmt: skip

    def fingerprint(self) -> str:
        """sha256 (hex) of ids, labels and the values of all fields, in the order of rows."""
        digest = hashlib.sha256(f"hashrec impressions 1\n{self.n}\n".encode())
        for ids, places in ((self.users, self.user), (self.items, self.item)):
            if ids is not None and places is not None:
                _add(digest, ids.array, places)
        for array in (self.label, self.times):
            _add(digest, array)
        for one in self.fields:
            digest.update(repr(one).encode())
            if one.owner == "row":
                _add(digest, *vars(self.rows[one.name]).values())
            else:
                side = self.sides[one.owner]
                _add(digest, side.ids.array, *vars(side.values[one.name]).values())
        return digest.hexdigest()


def _add(digest: Any, *parts: Any) -> None:
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}\n".encode() + np.ascontiguousarray(part).data)
        else:
            digest.update("\n".join(map(repr, [] if part is None else part.to_pylist())).encode())
