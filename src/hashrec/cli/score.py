"""`hashrec score`."""

from __future__ import annotations

import argparse

from hashrec.cli.output import check_table_path, print_json, print_table, write_table
from hashrec.ctr import CtrModel
from hashrec.interactions import read

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    if options.out is not None:
        check_table_path(options.out)
    model = CtrModel.load(options.model, verify=not options.no_verify)
    if options.extend is not None:
        columns = model.fitted.columns
        model = model.extend(read(options.extend, user=columns["user"], item=columns["item"]))
    table = model.score(
        options.candidates,
        user_features=options.user_features,
        item_features=options.item_features,
        separator=options.separator,
        format=options.format,
    )
    if options.out is not None:
        write_table(table, options.out)
    elif options.json:
        print_json({"rows": table.to_pylist()})
    else:
        columns_ = [column.to_pylist() for column in table.columns]
        print_table(table.column_names, list(zip(*columns_, strict=True)))
