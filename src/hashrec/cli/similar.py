"""`hashrec similar`."""

from __future__ import annotations

import argparse

from hashrec.cli.recommend import show
from hashrec.recommender import Recommender

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    model = Recommender.load(options.model, verify=not options.no_verify)
    show(model.similar(options.items, options.k, unknown=options.unknown), options)
