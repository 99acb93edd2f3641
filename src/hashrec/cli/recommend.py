"""`hashrec recommend`."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from hashrec.cli.listening import listener
from hashrec.cli.output import check_table_path, print_json, print_table, write_table
from hashrec.errors import DataError, UsageError
from hashrec.recommender import Recommender

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    _check(options)
    model = Recommender.load(options.model, verify=not options.no_verify)
    allow = None if options.allow is None else _lines(options.allow)
    if options.ranker is not None:
        table = _ranked(model, options, allow)
    elif options.history is not None:
        history = _items(options.history)
        table = model.recommend_history(
            [history], options.k, threshold=options.threshold, allow=allow, unknown=options.unknown
        )
    else:
        table = model.recommend(
            None if options.all else options.users,
            options.k,
            threshold=options.threshold,
            filter_seen=not options.include_seen,
            allow=allow,
            unknown=options.unknown,
            progress=listener(),
        )
    show(table, options)


def _check(options: argparse.Namespace) -> None:
    asked = [bool(options.users), options.history is not None, options.all]
    if sum(asked) != 1:
        raise UsageError("for whom?", expected="USER ids, or --history, or --all: one of them")
    if options.ranker is None and options.context:
        raise UsageError("--context needs a model that looks at it", fix="add --ranker MODEL")
    if options.ranker is not None and (options.history is not None
                                       or options.threshold is not None):  # fmt: skip
        raise UsageError("--ranker ranks the best of known users",
                         fix="leave out --history and --threshold")  # fmt: skip
    if options.all and options.out is None:
        raise UsageError("--all needs a file to write to", fix="add --out FILE.parquet")
    if options.out is not None:
        check_table_path(options.out)


def _ranked(model: Recommender, options: argparse.Namespace, allow: list[str] | None) -> Any:
    """Both stages."""
    from hashrec.ctr import CtrModel
    from hashrec.two_stage import retrieve_and_rank

    context = {}
    for one in options.context:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise UsageError("cannot read --context", expected="FIELD=VALUE", got=repr(one))
        context[name] = value
    return retrieve_and_rank(
        model,
        CtrModel.load(options.ranker, verify=not options.no_verify),
        None if options.all else options.users,
        options.k,
        candidates=options.candidates,
        context=context,
        unknown=options.unknown,
        allow=allow,
        filter_seen=not options.include_seen,
        progress=listener(),
    )


def _items(text: str) -> list[str]:
    """One line of CSV."""
    items = next(csv.reader([text]), [])
    if not items:
        raise UsageError("--history names no item", expected="ITEM,ITEM,...", got=repr(text))
    return items


def _lines(path: Path) -> list[str]:
    """Ids, one a line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise DataError("cannot read the ids that are allowed", name=str(path),
                        expected="text, an id a line", got=str(fault)) from fault  # fmt: skip
    return [line for line in lines if line]


def show(table: Any, options: argparse.Namespace) -> None:
    """A result table to the file, as JSON, or for people."""
    if options.out is not None:
        write_table(table, options.out)
    elif options.json:
        print_json({"rows": table.to_pylist()})
    else:
        columns = [column.to_pylist() for column in table.columns]
        print_table(table.column_names, list(zip(*columns, strict=True)))
