"""Which kind of field a column is: said by the caller, by the file, or seen in its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hashrec.component import nearest
from hashrec.errors import DataError
from hashrec.impressions.field import KINDS, Kind
from hashrec.interactions.factor import Column
from hashrec.interactions.formats import Source
from hashrec.interactions.values import numbers

__all__ = ["Kinds", "kind_of"]

_RECBOLE = " "  # between the words of a `token_seq`
_USUAL = "|"


@dataclass(frozen=True)
class Kinds:
    """What the caller says of columns.

    Attributes:
        categorical, numeric, multi: names of columns of these kinds.
        ignore: columns that are no fields.
        separator: between the words of a multi-valued text column; None: a space in RecBole's
            files, `|` elsewhere.
    """

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    multi: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    separator: str | None = None

    def __post_init__(self) -> None:
        for name in (*KINDS, "ignore"):
            if isinstance(getattr(self, name), str):  # one name is not a name a letter
                object.__setattr__(self, name, (getattr(self, name),))

    @property
    def named(self) -> dict[str, Kind]:
        """The kind of each column that is named. Raises DataError for one named twice."""
        found: dict[str, Kind] = {}
        for kind in KINDS:
            for name in getattr(self, kind):
                if name in found or name in self.ignore:
                    raise DataError("a field is named twice", name=name,
                                    expected="one kind, or ignored")  # fmt: skip
                found[name] = kind
        return found

    def check(self, there: Iterable[str]) -> None:
        """Raises DataError for a named column that no source has."""
        columns = list(there)
        for name in (*self.named, *self.ignore):
            if name not in columns:
                what = "ignore" if name in self.ignore else "be a field"
                raise DataError(
                    f"there is no column {name!r} to {what}", expected=", ".join(columns),
                    fix=nearest(name, columns),
                )  # fmt: skip

    def between(self, source: Source) -> str:
        """What separates the words of multi-valued text of this source."""
        return self.separator or (_RECBOLE if source.format == "recbole" else _USUAL)


def kind_of(column: Column, said: Mapping[str, Kind]) -> Kind:
    """The kind of a column: what was `said` of it, else what its values are.

    Lists are multi-valued; integers and floats are numeric; text and booleans are categorical,
    but text of a file without types is numeric where all of it reads as numbers.
    """
    if column.name in said:
        return said[column.name]
    kind = column.values.type
    coded = pa.types.is_dictionary(kind)
    if coded:
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "multi"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "categorical" if coded else "numeric"
    return "numeric" if column.text and _reads_as_numbers(column.values) else "categorical"


def _reads_as_numbers(values: Any) -> bool:
    found = numbers(values)
    return found is not None and found.null_count < len(found)
