"""What a model knows of fields: vocabularies, scales, and what it keeps of users and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field as Limits
from pydantic import field_validator

from hashrec.component import Component
from hashrec.errors import DataError
from hashrec.impressions.field import Field
from hashrec.impressions.log import Impressions
from hashrec.impressions.scale import Scale
from hashrec.impressions.transforms import TRANSFORMS, Quantile, Transform
from hashrec.impressions.values import Values
from hashrec.impressions.vocabulary import NOTHING, Vocabulary
from hashrec.interactions import Ids

__all__ = ["Described", "Fields", "Known", "Schema"]

Tokens = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
_Matrix = npt.NDArray[Any]


class Fields(Component):
    """How fields are read into a model.

    Attributes:
        min_count: words in fewer rows are unknown, of which one token is learned.
        widest: words of a multi-valued field beyond so many in a row are left out.
        numeric: the transform of numeric fields.
        max_rows: rows of the table of one field at most: more words share them, by their hash.
    """

    name: ClassVar[str] = "fields"

    min_count: Annotated[int, Limits(ge=1)] = 2
    widest: Annotated[int, Limits(ge=1)] = 20
    numeric: Transform = Quantile()
    max_rows: Annotated[int, Limits(ge=2)] | None = None

    @field_validator("numeric", mode="before")
    @classmethod
    def _from_registry(cls, value: Any) -> Any:
        return TRANSFORMS.parse(value)


@dataclass(frozen=True, eq=False)
class Described:
    """Impressions as a model takes them.

    Attributes:
        tokens: (n, places) int32, numbered over all fields: 0 for an empty place. Categorical
            fields come first, a place each; then the places of multi-valued ones.
        numbers: (n, numeric fields) float32, NaN where there is none.
    """

    tokens: Tokens
    numbers: Floats


@dataclass(frozen=True, eq=False)
class Known:
    """What is kept of users, or of items.

    `columns`: of each of their fields, tokens (n + 1, width) int32 or numbers (n + 1, 1) float32:
    row r is of `ids[r]`, the last of an id of which nothing is known.
    """

    ids: Ids
    columns: Mapping[str, _Matrix]


@dataclass(frozen=True, eq=False)
class Schema:
    """The fields of a model.

    Attributes:
        vocabularies: of categorical fields, then of multi-valued ones. scales: of numeric ones.
        known: for `user` and `item`, what is kept, where they have fields.
        separators: between the words of each multi-valued field that came as text.
    """

    vocabularies: tuple[Vocabulary, ...]
    scales: tuple[Scale, ...]
    known: Mapping[str, Known]
    separators: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, log: Impressions, options: Fields) -> Schema:
        """Learned from a log: from the values of its rows, and of those of its users and items
        that occur in it.

        Raises DataError for a field that says nothing.
        """
        seen = {one.name: _occurring(log, one) for one in log.fields}
        vocabularies = [
            Vocabulary.of(one, seen[one.name], min_count=options.min_count, widest=options.widest)
            for kind in ("categorical", "multi")
            for one in log.fields
            if one.kind == kind
        ]
        scales = [
            Scale.of(one, seen[one.name], options.numeric)
            for one in log.fields
            if one.kind == "numeric"
        ]
        bare = cls(tuple(vocabularies), tuple(scales), {})
        known: dict[str, Known] = {
            owner: Known(side.ids, {
                one.name: bare._coded(bare._learned[one.name], side.values[one.name])
                for one in log.fields if one.owner == owner
            })
            for owner, side in log.sides.items()
        }  # fmt: skip
        return cls(bare.vocabularies, bare.scales, known, dict(log.separators))

    def check(self) -> None:
        """Raises ValueError where its parts, read from somewhere, do not fit one another."""
        for one in self.vocabularies:
            if one.field.kind == "numeric" or (one.field.kind == "categorical" and one.width != 1):
                raise ValueError(f"words, {one.width} a row, of the field {one.field}")
        for scale in self.scales:
            if scale.field.kind != "numeric":
                raise ValueError(f"numbers of the field {scale.field}")
        if len(self._learned) != len(self.vocabularies) + len(self.scales):
            raise ValueError("two fields of one name")
        for field_ in self.fields:
            if field_.owner == "row":
                continue
            known, learned = self.known[field_.owner], self._learned[field_.name]
            width = learned.width if isinstance(learned, Vocabulary) else 1
            shape = known.columns[field_.name].shape
            if shape != (len(known.ids) + 1, width):
                raise ValueError(f"{field_.name} of shape {shape}, for {len(known.ids)} ids")

    @property
    def fields(self) -> tuple[Field, ...]:
        """All of them: those of users, of items, of rows."""
        order = ("user", "item", "row")
        every = [one.field for one in self._learned.values()]
        return tuple(sorted(every, key=lambda one: order.index(one.owner)))

    @property
    def n_tokens(self) -> int:
        """Tokens of all fields, and 0 for an empty place."""
        return 1 + sum(map(len, self.vocabularies))

    @property
    def bases(self) -> list[int]:
        """For each vocabulary the number of its first token, which is its unknown one."""
        return [int(at) for at in np.cumsum([1, *map(len, self.vocabularies)])[:-1]]

    @property
    def widths(self) -> list[int]:
        """For each vocabulary its places."""
        return [one.width for one in self.vocabularies]

    @cached_property
    def _learned(self) -> dict[str, Vocabulary | Scale]:
        every: list[Vocabulary | Scale] = [*self.vocabularies, *self.scales]
        return {one.field.name: one for one in every}

    def described(self, log: Impressions) -> Described:
        """The rows of a log. What it does not say of a user or an item is looked up in `known`;
        ids of which nothing is known have the tokens of rows without a word."""
        tokens = np.zeros((len(log), sum(self.widths)), dtype=np.int32)
        first = 0
        for base, one in zip(self.bases, self.vocabularies, strict=True):
            found = self._column(log, one.field)
            np.add(found, base, out=tokens[:, first : first + one.width], where=found != NOTHING)
            first += one.width
        numbers = [self._column(log, one.field) for one in self.scales]
        return Described(
            tokens,
            np.concatenate(numbers, axis=1) if numbers else np.zeros((len(log), 0), np.float32),
        )

    def _column(self, log: Impressions, one: Field) -> _Matrix:
        """(n, width) of one field: what the row says, or else what is known of its user or item."""
        own = log.rows.get(one.name)
        known = self._looked_up(log, one)
        if own is None:
            if known is None:
                raise DataError("a field that the model looks at is missing", name=one.name,
                                expected=f"a {one.kind} field", fix="add the column")  # fmt: skip
            return known
        said = self._coded(self._learned[one.name], own)[:-1]
        return said if known is None else np.where(own.present[:, None], said, known)

    def _looked_up(self, log: Impressions, one: Field) -> _Matrix | None:
        """(n, width): what the log's own sides, or else this model, know of each row's user or
        item; None where the field is of no such owner."""
        if one.owner not in self.known:
            return None
        ids, places = (log.users, log.user) if one.owner == "user" else (log.items, log.item)
        if ids is None or places is None:
            return None
        known = self.known[one.owner]
        found: _Matrix = known.columns[one.name][known.ids.positions(ids.array)]  # -1: the last
        side = log.sides.get(one.owner)
        if side is not None and one.name in side.values:
            at, values = side.of(ids), side.values[one.name]
            said = self._coded(self._learned[one.name], values)[at]
            there = np.append(values.present, False)[at]
            found = np.where(there[:, None], said, found)
        return found[places]

    def _coded(self, learned: Vocabulary | Scale, values: Values) -> _Matrix:
        """(n + 1, width), the last row being that of nothing known."""
        if values.kind != learned.field.kind:
            raise DataError("a field of another kind than in training", name=learned.field.name,
                            expected=learned.field.kind, got=values.kind,
                            fix="read it with the kinds of the log")  # fmt: skip
        if isinstance(learned, Scale):
            return np.append(learned.scaled(values), np.float32(np.nan))[:, None]
        return np.concatenate([learned.tokens(values), learned.nothing_known[None]])


def _occurring(log: Impressions, field: Field) -> Values:
    """The values of a field: of all rows, or of the users or items that occur in any."""
    if field.owner == "row":
        return log.rows[field.name]
    ids, places = (log.users, log.user) if field.owner == "user" else (log.items, log.item)
    assert ids is not None and places is not None
    side = log.sides[field.owner]
    used = np.unique(places)
    return side.values[field.name].take(side.of(ids)[used])
