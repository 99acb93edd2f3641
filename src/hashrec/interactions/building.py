"""From sources to interactions: choose columns, code ids, drop, merge, and give an account of it.

Parts of a split are built together, because they share one vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hashrec.csr import Csr
from hashrec.errors import DataError
from hashrec.interactions.cleaning import Cleaning, core_entries
from hashrec.interactions.columns import Chosen, Wanted, choose
from hashrec.interactions.entries import Mask, Times, assemble, kept, shrunk
from hashrec.interactions.factor import Coded, factorise, ranked
from hashrec.interactions.formats.source import Source
from hashrec.interactions.ids import Ids
from hashrec.interactions.log import Interactions
from hashrec.interactions.report import Report
from hashrec.interactions.values import ratings, times

__all__ = ["build"]


@dataclass(frozen=True)
class _Log:
    """A source coded by itself: its ids are not yet those of the other parts."""

    report: Report
    users: Coded
    items: Coded
    times: Times | None


@dataclass(frozen=True)
class _Part:
    """A source as a matrix between the ids of all parts. Its report is still without totals."""

    report: Report
    matrix: Csr
    times: Times | None


def build(sources: Sequence[Source], wanted: Wanted, cleaning: Cleaning) -> list[Interactions]:
    """Interactions of each source, all with the same ids: the union of what is left of each.

    The core is only taken of a single source: dropping from a given split would change it.
    Raises DataError as reading does, and for a source of which cleaning leaves nothing.
    """
    logs = [_coded(source, wanted, cleaning.min_rating) for source in sources]
    users, items, parts = _joined(logs)
    if cleaning.has_core:
        parts = [_cored(parts[0], cleaning)] if len(parts) == 1 else [*map(_core_refused, parts)]
    for part in parts:
        _refuse_nothing(part, cleaning)
    return _finished(users, items, parts)


def _coded(source: Source, wanted: Wanted, min_rating: float | None) -> _Log:
    chosen = choose(source.columns, wanted, source.name)
    users, items = (factorise(source.column(name)) for name in (chosen.user, chosen.item))
    rows = len(users.codes)
    if not rows:
        raise DataError("there are no interactions", name=source.name, expected="rows of data")
    moments = None if chosen.time is None else times(source.column(chosen.time))
    keep = _well_rated(source, chosen, min_rating)
    if keep is not None:
        users, items = users.where(keep), items.where(keep)
        moments = None if moments is None else moments[keep]
    return _Log(_opening_report(source, chosen, rows, len(users.codes)), users, items, moments)


def _well_rated(source: Source, chosen: Chosen, least: float | None) -> Mask | None:
    """(n_rows,) bool, or None for all. Ratings that are named are looked at even if not needed."""
    if chosen.rating is not None:
        given = ratings(source.column(chosen.rating))
        return None if least is None else given >= least
    if least is None:
        return None
    raise DataError(
        "there is no rating column to compare with the least rating",
        name=source.name,
        got="the columns " + ", ".join(map(repr, source.columns)),
        fix="name it with rating=... (--rating), or leave min_rating out",
    )


def _opening_report(source: Source, chosen: Chosen, rows: int, well_rated: int) -> Report:
    return Report(
        source=source.name,
        format=source.format,
        user=chosen.user,
        item=chosen.item,
        rating=chosen.rating,
        time=chosen.time,
        rows=rows,
        below_rating=rows - well_rated,
        notes=source.notes,
    )


def _joined(logs: list[_Log]) -> tuple[Ids, Ids, list[_Part]]:
    """The shared ids, and each log as a matrix between them. Empties `logs`, to save its memory."""
    user_ids, users = ranked([log.users for log in logs])
    item_ids, items = ranked([log.items for log in logs])
    moments, reports = [log.times for log in logs], [log.report for log in logs]
    logs.clear()
    shape = (len(user_ids), len(item_ids))
    parts = []
    for user, item, time, report in zip(users, items, moments, reports, strict=True):
        matrix, latest = assemble(user, item, time, shape=shape)
        report = replace(report, duplicates=len(user) - len(matrix.indices))
        parts.append(_Part(report, matrix, latest))
    return Ids(user_ids), Ids(item_ids), parts


def _cored(part: _Part, cleaning: Cleaning) -> _Part:
    mask = core_entries(part.matrix, cleaning.user_core, cleaning.item_core)
    report = replace(part.report, core_dropped=int(np.sum(~mask)))
    return _Part(report, *kept(part.matrix, part.times, mask))


def _core_refused(part: _Part) -> _Part:
    note = "user_core and item_core were not applied: a given split is left as it is."
    return replace(part, report=replace(part.report, notes=(*part.report.notes, note)))


def _refuse_nothing(part: _Part, cleaning: Cleaning) -> None:
    if len(part.matrix.indices):
        return
    report = part.report
    raise DataError(
        "cleaning leaves nothing",
        name=report.source,
        expected=f"interactions that pass min_rating={cleaning.min_rating}, "
        f"user_core={cleaning.user_core}, item_core={cleaning.item_core}",
        got=f"{report.rows} rows, of which {report.below_rating} were below the least rating, "
        f"{report.duplicates} were duplicates and {report.core_dropped} were dropped by the core",
        fix="lower min_rating, user_core or item_core",
    )


def _finished(users: Ids, items: Ids, parts: list[_Part]) -> list[Interactions]:
    """Without the ids that cleaning has left empty in every part."""
    rows = np.any([part.matrix.lengths > 0 for part in parts], axis=0)
    columns = np.any([part.matrix.column_counts() > 0 for part in parts], axis=0)
    if not (rows.all() and columns.all()):
        users, items = _remaining(users, rows), _remaining(items, columns)
        parts = [replace(part, matrix=shrunk(part.matrix, rows, columns)) for part in parts]
    return [
        Interactions(users, items, part.matrix, part.times, _closing_report(part, parts[:at]))
        for at, part in enumerate(parts)
    ]


def _remaining(ids: Ids, mask: Mask) -> Ids:
    return Ids(ids.take(np.flatnonzero(mask)))


def _closing_report(part: _Part, earlier: Sequence[_Part]) -> Report:
    return replace(
        part.report,
        users=int(np.count_nonzero(part.matrix.lengths)),
        items=int(np.count_nonzero(part.matrix.column_counts())),
        interactions=len(part.matrix.indices),
        overlap=_overlap(part.matrix, [before.matrix for before in earlier]),
    )


def _overlap(matrix: Csr, earlier: Sequence[Csr]) -> int:
    """How many entries of `matrix` stand in an earlier one too."""
    if not earlier:
        return 0
    seen, ours = (
        np.concatenate([m.row_of_entry * m.n_columns + m.indices for m in group])
        for group in (earlier, [matrix])
    )
    return int(np.isin(ours, seen).sum())
