"""`hashrec evaluate`."""

from __future__ import annotations

import argparse
import time

from hashrec.cli.listening import listener
from hashrec.cli.output import print_json, print_table
from hashrec.cli.reading import cuts, test_of
from hashrec.recommender import Recommender
from hashrec.workflow import peak_rss_mb

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    progress = listener()
    model = Recommender.load(options.model, verify=not options.no_verify)
    test = test_of(options, model.recipe.data, progress)
    began = time.perf_counter()
    report = model.evaluate(test, cuts(options), protocol=options.protocol, progress=progress)
    held = model.heldout(test)
    result = {
        **report.to_dict(),
        "unknown_test_users": held.unknown_users,
        "unknown_test_items": held.unknown_items,
        **model.fitted.sizes(),
        "seconds": {"evaluate": round(time.perf_counter() - began, 4)},
        "peak_rss_mb": peak_rss_mb(),
    }
    if options.json:
        print_json(result)
        return
    print(
        f"{report.users_evaluated:,} users, protocol {report.protocol}; unknown in the test: "
        f"{held.unknown_users:,} users (left out), {held.unknown_items:,} items (misses)"
    )
    print_table(["metric", "value"], list(report.metrics.items()))
