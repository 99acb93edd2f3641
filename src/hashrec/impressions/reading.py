"""Reading impressions: a log, and what else is known of its users and items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hashrec.component import nearest
from hashrec.errors import DataError
from hashrec.impressions.field import Field, Kind, Owner
from hashrec.impressions.kinds import Kinds, kind_of
from hashrec.impressions.labels import label_column, labels, may_tell
from hashrec.impressions.log import Impressions, Side
from hashrec.impressions.values import Values, is_text, values_of
from hashrec.interactions import Ids, Report
from hashrec.interactions.columns import column_for, is_role
from hashrec.interactions.factor import Coded, factorise, ranked
from hashrec.interactions.files import open_source
from hashrec.interactions.formats import Source, stacked
from hashrec.interactions.values import times

__all__ = ["read_candidates", "read_impressions"]


def read_impressions(
    source: Any,
    *,
    valid: Any = None,
    label: str | None = None,
    threshold: float | None = None,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    user_columns: Sequence[str] = (),
    item_columns: Sequence[str] = (),
    user_features: Any = None,
    item_features: Any = None,
    kinds: Kinds | None = None,
    format: str | None = None,
) -> Impressions:
    """A log of impressions with labels, one a row; nothing is merged or dropped.

    All columns that are not the user, the item, the label or the time become fields; their kinds
    are those said in `kinds`, in the file's own header (RecBole, Criteo), or seen in the values.

    Args:
        source: a file or data frame, as for `hashrec.read`.
        valid: a valid part, with the same columns: its rows are the last ones, `n_valid` of them.
        label: the column of labels, 0 or 1; or of ratings, with `threshold`: 1 is what is at
            least that. A threshold alone is of the rating column.
        user, item, time: columns, where their names do not tell; "none": there is no such column.
        user_columns, item_columns: columns of the log that belong to its users or items and are
            the same in all of their rows: kept once an id.
        user_features, item_features: files or frames of a row an id, the id first; all their other
            columns are fields.
        kinds: what the caller says of columns, in any of the sources.
        format: of the log, where its name does not tell.

    Raises DataError for whatever cannot be read so.
    """
    said = kinds or Kinds()
    parts = [open_source(one, format) for one in (source, valid) if one is not None]
    log = stacked(parts)
    roles = _roles(log, user, item, time)
    labelled = _labelled(log, label, threshold)
    opened = _opened(user_features, item_features)
    elsewhere = [name for source in opened.values() for name in source.columns]
    said.check([*log.columns, *elsewhere])
    _refuse_roles({*said.named, *said.ignore}.difference(elsewhere), {**roles, "label": labelled})
    inline = _inline(log, {labelled, *roles.values()}, user_columns, item_columns)
    found = _Reading(log, roles, said, opened, inline).impressions(labelled, threshold)
    if valid is None:
        return found
    n_valid = len(parts[1].load(labelled))
    if not n_valid:
        raise DataError("the valid part is empty", name=parts[1].name, expected="rows of data")
    return replace(found, n_valid=n_valid)


def read_candidates(
    source: Any,
    fields: Sequence[Field],
    *,
    user: str | None,
    item: str | None,
    label: str | None = None,
    threshold: float | None = None,
    user_features: Any = None,
    item_features: Any = None,
    separator: str | None = None,
    separators: Mapping[str, str] | None = None,
    format: str | None = None,
) -> Impressions:
    """Rows to be scored by a model that looks at `fields`.

    Args:
        source, format: as for `read_impressions`. fields: those of the model's schema.
        user, item: columns; None: the model has no such ids.
        label, threshold: to measure the model; None: rows without labels.
        user_features, item_features: as for `read_impressions`; what the rows say themselves of a
            field goes before them.
        separators: of each field in training; `separator`: another one for all.

    Columns of users' and items' fields may be there or not: those that are not are looked up in
    the model. Other columns are not looked at. Raises DataError where a field of rows is missing,
    naming all that are.
    """
    log = open_source(source, format)
    roles = {
        role: None if name is None else column_for(role, name, log.columns, log.name, False)
        for role, name in (("user", user), ("item", item))
    }
    roles["time"] = None
    opened = _opened(user_features, item_features)
    missing = [one.name for one in fields if one.owner == "row" and one.name not in log.columns]
    if missing:
        raise DataError(
            "fields that the model looks at are missing", name=log.name,
            expected="the columns " + ", ".join(map(repr, missing)),
            got="the columns " + ", ".join(map(repr, log.columns)),
            fix=nearest(missing[0], log.columns),
        )  # fmt: skip
    known: dict[str, Kind] = {one.name: one.kind for one in fields}
    given = {} if separator is not None else dict(separators or {})
    reading = _Reading(log, roles, Kinds(separator=separator), opened, {}, known, given)
    named = None if label is None else label_column(log.columns, label, log.name)
    if named in known:
        raise DataError(f"the column {named!r} is a field of the model, and cannot be the label",
                        name=log.name, fix="name another label")  # fmt: skip
    return reading.impressions(named, threshold)


def _roles(
    log: Source, user: str | None, item: str | None, time: str | None
) -> dict[str, str | None]:
    named = {"user": user, "item": item, "time": time}
    if log.format == "criteo":  # its columns could be anybody's: none is an id until it is named
        named |= {role: "none" for role in ("user", "item") if named[role] is None}
    found = {role: column_for(role, named[role], log.columns, log.name, True) for role in named}
    if found["user"] is not None and found["user"] == found["item"]:
        raise DataError("user and item are the same column", name=log.name,
                        got=repr(found["user"]), expected="two columns")  # fmt: skip
    return found


def _labelled(log: Source, label: str | None, threshold: float | None) -> str:
    if label is None and threshold is not None:
        rating = column_for("rating", None, log.columns, log.name, False)
        if rating is not None:
            return rating
    return label_column(log.columns, label, log.name)


def _opened(users: Any, items: Any) -> dict[Owner, Source]:
    """The sources of what is known of users and items."""
    tables: dict[Owner, Any] = {"user": users, "item": items}
    opened = {owner: open_source(one) for owner, one in tables.items() if one is not None}
    for owner, source in opened.items():
        if len(source.columns) < 2:
            raise DataError(
                f"there is nothing about {owner}s", name=source.name,
                expected="ids, and at least one other column",
                got="the columns " + (", ".join(map(repr, source.columns)) or "none"),
            )  # fmt: skip
    return opened


def _inline(
    log: Source, apart: set[str | None], users: Sequence[str], items: Sequence[str]
) -> dict[str, Owner]:
    """Whose each column of the log is that belongs to users or items."""
    found: dict[str, Owner] = {}
    named: tuple[tuple[Owner, Sequence[str]], ...] = (("user", users), ("item", items))
    for owner, names in named:
        for name in (names,) if isinstance(names, str) else names:
            if name not in log.columns:
                raise DataError(
                    f"there is no column {name!r} of the {owner}", name=log.name,
                    expected=", ".join(log.columns), fix=nearest(name, log.columns),
                )  # fmt: skip
            if name in apart or name in found:
                what = "a field" if name in apart else "both of the user and of the item"
                raise DataError(f"the column {name!r} cannot be {what}", name=log.name,
                                fix="leave it out")  # fmt: skip
            found[name] = owner
    return found


@dataclass(frozen=True)
class _Reading:
    """One log and the sources beside it.

    Attributes:
        roles: the columns of user, item and time. inline: whose a column of the log is, where it
            is not the row's. known: the kinds of the only columns wanted; None: all are.
        separators: known before, and those found on the way.
    """

    log: Source
    roles: Mapping[str, str | None]
    said: Kinds
    opened: Mapping[Owner, Source]
    inline: Mapping[str, Owner]
    known: Mapping[str, Kind] | None = None
    separators: dict[str, str] = field(default_factory=dict)

    def impressions(self, label: str | None, threshold: float | None) -> Impressions:
        ids, places = self._ids()
        n = self._length(label, places)
        time = self.roles["time"]
        moments = None if time is None else times(self.log.column(time))
        apart = {label, *self.roles.values(), *self._nameless()}
        apart |= self._telling(label) | self._unwanted_times()
        rows, fields = self._fields(self.log, "row", apart)
        sides = self._inline_sides(rows, fields, ids, places)
        for owner, source in self.opened.items():
            told = self._described(owner, source, ids[owner], fields)
            sides[owner] = _joined(sides[owner], told) if owner in sides else told
        if self.known is None:
            _refuse_twice(fields)
        order = ("user", "item", "row")
        return Impressions(
            ids["user"], ids["item"], places["user"], places["item"],
            None if label is None else labels(self.log.column(label), threshold), moments,
            tuple(sorted(fields, key=lambda one: order.index(one.owner))), rows, sides,
            self._report(n, label, ids), n, None if threshold is None else float(threshold),
            self.separators,
        )  # fmt: skip

    def _unwanted_times(self) -> set[str]:
        """Columns that are times by their names: fields only where they are named."""
        if self.known is not None:
            return set()
        found = {name for name in self.log.columns if is_role("time", name)}
        return found - {self.roles["time"], *self.said.named, *self.said.ignore, *self.inline}

    def _nameless(self) -> set[str]:
        """What pandas writes of an index."""
        return {name for name in self.log.columns if not name.strip()} - set(self.known or ())

    def _telling(self, label: str | None) -> set[str]:
        """Columns that may be another form of the label: no fields, but where they are named."""
        if self.known is not None or label is None:
            return set()
        telling = {name for name in self.log.columns if may_tell(name) or is_role("rating", name)}
        return telling - {label, *self.said.named, *self.said.ignore, *self.inline}

    def _ids(self) -> tuple[dict[str, Ids | None], dict[str, Any]]:
        ids: dict[str, Ids | None] = {"user": None, "item": None}
        places: dict[str, Any] = {"user": None, "item": None}
        for role in ids:
            name = self.roles[role]
            if name is not None:
                array, (positions,) = ranked([factorise(self.log.column(name))])
                ids[role], places[role] = Ids(array), positions
        return ids, places

    def _length(self, label: str | None, places: Mapping[str, Any]) -> int:
        known = [len(one) for one in places.values() if one is not None]
        n = known[0] if known else len(self.log.load(label or self.log.columns[0]))
        if not n:
            raise DataError("there are no impressions", name=self.log.name, expected="rows of data")
        return n

    def _fields(
        self, source: Source, owner: Owner, apart: set[str | None]
    ) -> tuple[dict[str, Values], list[Field]]:
        """The fields of a source, all columns but those `apart`; and whose each is."""
        values: dict[str, Values] = {}
        fields: list[Field] = []
        said = {**source.kinds, **self.said.named}
        wanted = [
            name for name in source.columns
            if name not in apart and name not in self.said.ignore
            and (self.known is None or name in self.known)
        ]  # fmt: skip
        for column in source.each(wanted):
            name = column.name
            kind = kind_of(column, said) if self.known is None else self.known[name]
            between = self.separators.get(name) or self.said.between(source)
            if kind == "multi" and is_text(column):
                self.separators[name] = between
            values[name] = values_of(column, kind, between)
            fields.append(Field(name, kind, self.inline.get(name, owner)))
        return values, fields

    def _inline_sides(
        self,
        rows: dict[str, Values],
        fields: Sequence[Field],
        ids: Mapping[str, Ids | None],
        places: Mapping[str, Any],
    ) -> dict[Owner, Side]:
        """Moves what belongs to users and items out of `rows`."""
        sides: dict[Owner, Side] = {}
        for owner in ("user", "item"):
            names = [one.name for one in fields if one.owner == owner]
            known = ids[owner]
            if not names:
                continue
            if known is None:
                raise DataError(f"columns of the {owner} in a log without one", name=self.log.name,
                                got=", ".join(names), fix=f"name the {owner} column")  # fmt: skip
            sides[owner] = Side(known, {
                name: self._constant(name, rows.pop(name), known, places[owner], owner)
                for name in names
            })  # fmt: skip
        return sides

    def _constant(self, name: str, values: Values, ids: Ids, places: Any, owner: Owner) -> Values:
        """The value of each id, in whichever of its rows there is one.

        Raises DataError where an id has two: the later one would tell rows before it, and those of
        a test part rows of train.
        """
        there = np.flatnonzero(values.present)
        first = np.full(len(ids), -1, dtype=np.int64)
        first[places[there][::-1]] = there[::-1]
        other = there[~values.take(there).same(values.take(first[places[there]]))]
        if len(other):
            raise DataError(
                f"the column {name!r} changes, and cannot be one of the {owner}",
                name=self.log.name, expected=f"one value in all rows of a {owner}",
                got=f"{owner} {ids.array[int(places[other[0]])].as_py()!r} has two",
                fix=f"leave it out of {owner}_columns: then it is a field of rows",
            )  # fmt: skip
        return values.take(first)

    def _described(
        self, owner: Owner, source: Source, known: Ids | None, fields: list[Field]
    ) -> Side:
        """What a file says of users or items; its fields are added to `fields`."""
        if known is None:
            raise DataError(f"features of the {owner} in a log without one", name=source.name,
                            fix=f"name the {owner} column of the log")  # fmt: skip
        key = source.columns[0]
        ids, positions = _distinct(source, key, owner)
        if (ids.positions(known.array) < 0).all():
            raise DataError(
                "features of other ids", name=source.name,
                expected=f"{owner}s such as {known.array[0].as_py()!r}",
                got=f"{len(ids):,} ids, none of them in the log",
                fix=f"check that the first column, {key!r}, holds the ids",
            )  # fmt: skip
        values, found = self._fields(source, owner, {key})
        if self.known is None:
            self._refuse_hidden(source, set(values) - {one.name for one in fields})
        fields += found
        order = np.argsort(positions)
        return Side(ids, {name: one.take(order) for name, one in values.items()})

    def _refuse_hidden(self, source: Source, names: Iterable[str]) -> None:
        """Raises DataError where a file has a field of the name of a column of the log that is not
        looked at, such as a rating: candidates that have that column would speak for the field."""
        hidden = sorted(set(names) & set(self.log.columns))
        if hidden:
            raise DataError(
                f"both the log and the features have a column {hidden[0]!r}", name=source.name,
                expected="names of their own", fix="rename one of them, or ignore it",
            )  # fmt: skip

    def _report(self, n: int, label: str | None, ids: Mapping[str, Ids | None]) -> Report:
        reasons = {
            "for what they may tell of the label": self._telling(label),
            "for being times": self._unwanted_times(),
        }
        left = [
            f"Left out, {why}: {', '.join(sorted(names))}; name one to have it."
            for why, names in reasons.items()
            if names
        ]
        left += ["Left out: a column without a name."] * bool(self._nameless())
        return Report(
            source=self.log.name, format=self.log.format, user=self.roles["user"],
            item=self.roles["item"], rating=label, time=self.roles["time"], rows=n,
            users=len(ids["user"] or ()), items=len(ids["item"] or ()), interactions=n,
            notes=(*self.log.notes, *left),
        )  # fmt: skip


def _joined(one: Side, other: Side) -> Side:
    """What both say, of the ids of either."""
    places = [Coded(side.ids.array, np.arange(len(side.ids), dtype=np.int32))
              for side in (one, other)]  # fmt: skip
    ids = Ids(ranked(places)[0])
    values = {
        name: values.take(side.of(ids))
        for side in (one, other)
        for name, values in side.values.items()
    }
    return Side(ids, values)


def _distinct(source: Source, key: str, owner: Owner) -> tuple[Ids, Any]:
    """The ids of a file of users or items, and the position of each row. Raises DataError for an
    id that has two rows."""
    array, (positions,) = ranked([factorise(source.column(key))])
    ids = Ids(array)
    if len(positions) > len(ids):
        twice = int(np.flatnonzero(np.bincount(positions) > 1)[0])
        raise DataError(f"a {owner} with two rows of features", name=source.name,
                        got=repr(ids.array[twice].as_py()), expected="one row an id")  # fmt: skip
    return ids, positions


def _refuse_roles(said: set[str], roles: Mapping[str, str | None]) -> None:
    """Raises DataError for a column that is to be a field or to be ignored, and is taken for
    something else."""
    for role, name in roles.items():
        if name in said:
            other = (
                "name another label" if role == "label" else f"say {role}='none' (--{role} none)"
            )
            raise DataError(f"the column {name!r} is the {role}, and neither a field nor ignored",
                            fix=f"{other}, or leave its name out")  # fmt: skip


def _refuse_twice(fields: Sequence[Field]) -> None:
    names = [one.name for one in fields]
    for name in names:
        if names.count(name) > 1:
            raise DataError("two fields of one name", name=name, expected="one",
                            fix="rename one of the columns, or ignore it")  # fmt: skip
