"""`hashrec score`."""

from __future__ import annotations

import argparse

from hashrec.cli.output import check_table_path
from hashrec.cli.recommend import show
from hashrec.ctr import CtrModel

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    if options.out is not None:
        check_table_path(options.out)
    model = CtrModel.load(options.model, verify=not options.no_verify)
    if options.extend is not None:
        model = model.extend(model.read_met(options.extend))
    table = model.score(
        options.candidates,
        user_features=options.user_features,
        item_features=options.item_features,
        separator=options.separator,
        format=options.format,
    )
    show(table, options)
