"""`hashrec similar`."""

from __future__ import annotations

import argparse

from hashrec.cli.output import check_table_path
from hashrec.cli.recommend import show
from hashrec.recommender import Recommender

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    if options.out is not None:
        check_table_path(options.out)
    model = Recommender.load(options.model, verify=not options.no_verify)
    show(model.similar(options.items, options.k, unknown=options.unknown), options)
