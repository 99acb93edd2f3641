"""From command-line options to interactions, with what was detected printed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hashrec.errors import DataError
from hashrec.interactions import Cleaning, Ids, Interactions, Parts, read, read_parts
from hashrec.interactions.entries import shrunk
from hashrec.progress import Progress

__all__ = ["cuts", "parts_of", "protocol_of", "test_of", "train_of"]


def parts_of(options: argparse.Namespace, cleaning: Cleaning, progress: Progress) -> Parts:
    """Train, valid and test of DATA, or of DATA and --test."""
    parts = read_parts(options.data, cleaning=cleaning, **_columns(options))
    if options.test is not None:
        if parts.test is not None:
            raise DataError(
                "there are two test parts", name=options.data, got=f"its own and {options.test}",
                fix="leave --test out, or give the train file alone",
            )  # fmt: skip
        test = read(
            options.test, cleaning=Cleaning(min_rating=cleaning.min_rating), **_columns(options)
        )
        parts = replace(parts, test=test)
    for part in (parts.train, parts.valid, parts.test):
        if part is not None:
            _report(part, progress)
    return parts


def test_of(options: argparse.Namespace, cleaning: Cleaning, progress: Progress) -> Interactions:
    """The test interactions named by --test: a file, or a folder with a test part."""
    only_ratings = Cleaning(min_rating=cleaning.min_rating)
    if Path(options.test).is_dir():
        test = read_parts(options.test, cleaning=only_ratings, **_columns(options)).test
        if test is None:
            raise DataError("the folder has no test part", name=options.test)
    else:
        test = read(options.test, cleaning=only_ratings, **_columns(options))
    _report(test, progress)
    return test


def train_of(options: argparse.Namespace, cleaning: Cleaning, progress: Progress) -> Interactions:
    """DATA, or its train part alone: as if the files of the other parts were not there."""
    parts = read_parts(options.data, cleaning=cleaning, **_columns(options))
    _report(parts.train, progress)
    others = [name for name in ("valid", "test") if getattr(parts, name) is not None]
    if others:
        progress.note(f"only the train part is used; left alone: {', '.join(others)}")
    return _without_strangers(parts.train)


def _without_strangers(log: Interactions) -> Interactions:
    """Without the ids that only another part has met."""
    users, items = log.matrix.lengths > 0, log.matrix.column_counts() > 0
    if users.all() and items.all():
        return log
    return Interactions(
        Ids(log.users.take(np.flatnonzero(users))),
        Ids(log.items.take(np.flatnonzero(items))),
        shrunk(log.matrix, users, items),
        log.times,
        log.report,
    )


def cuts(options: argparse.Namespace) -> list[int]:
    """The list lengths asked for, each once."""
    return list(dict.fromkeys(options.k or [20]))


def protocol_of(options: argparse.Namespace) -> str:
    """The protocol asked for; not argparse's default, which models of clicks could not refuse."""
    return options.protocol or "lightgcn"


def _columns(options: argparse.Namespace) -> dict[str, Any]:
    return {key: getattr(options, key) for key in ("user", "item", "rating", "time", "format")}


def _report(part: Interactions, progress: Progress) -> None:
    for line in part.report.lines():
        progress.note(line)
