"""RecBole's atomic `.inter` files: tabs, and a header whose names carry types (`user_id:token`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hashrec.interactions.columns import bare
from hashrec.interactions.formats.delimited import open_delimited
from hashrec.interactions.formats.source import Source

__all__ = ["open_recbole"]

_KINDS = {"token": "categorical", "float": "numeric", "token_seq": "multi", "float_seq": "multi"}


def open_recbole(path: Path) -> Source:
    """The columns are offered without their types, which say what kinds they are."""
    source = open_delimited(path, "\t", "recbole")
    typed = {bare(column): column for column in source.columns}
    types = {name: column.rpartition(":")[2] for name, column in typed.items()}
    return replace(
        source,
        columns=tuple(typed),
        load=lambda name: source.load(typed[name]),
        load_many=lambda names: source.loaded([typed[name] for name in names]),
        kinds={name: _KINDS[kind] for name, kind in types.items() if kind in _KINDS},
    )
