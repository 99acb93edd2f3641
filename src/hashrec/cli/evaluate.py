"""`hashrec evaluate`."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from hashrec.cli.listening import listener
from hashrec.cli.output import print_json, print_table
from hashrec.cli.reading import cuts, protocol_of, test_of
from hashrec.costs import peak_rss_mb
from hashrec.ctr_folder import is_ctr
from hashrec.errors import DataError, UsageError
from hashrec.impressions import sources_of
from hashrec.recommender import Recommender

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    if is_ctr(options.model):
        of_lists = {"-k": options.k, "--protocol": options.protocol,
                    "--rating": options.rating, "--time": options.time}  # fmt: skip
        for flag, value in of_lists.items():
            if value is not None:
                raise UsageError(f"a model of clicks makes no lists, so {flag} means nothing",
                                 fix="leave it out")  # fmt: skip
        _run_ctr(options)
        return
    named = ("label", "threshold", "user_features", "item_features", "separator")
    odd = [name for name in named if getattr(options, name) is not None]
    if odd:
        flag = odd[0].replace("_", "-")
        raise UsageError(f"--{flag} is for models of clicks, and this is none", fix="leave it out")
    progress = listener()
    model = Recommender.load(options.model, verify=not options.no_verify)
    test = test_of(options, model.recipe.data, progress)
    began = time.perf_counter()
    report = model.evaluate(test, cuts(options), protocol=protocol_of(options), progress=progress)
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


def _run_ctr(options: argparse.Namespace) -> None:
    """A model of clicks is measured by its chances, not by lists."""
    from hashrec.ctr import CtrModel

    model = CtrModel.load(options.model, verify=not options.no_verify)
    names = ("label", "threshold", "user", "item")
    named = {name: getattr(options, name) for name in names}
    source = sources_of(options.test)
    if Path(options.test).is_dir():
        if source.test is None:
            raise DataError("the folder has no test part", name=options.test,
                            expected="a file test.*", fix="name the file itself")  # fmt: skip
        source = replace(source, train=source.test)
    began = time.perf_counter()
    test = model.read(
        source.train,
        labelled=True,
        user_features=options.user_features or source.user_features,
        item_features=options.item_features or source.item_features,
        separator=options.separator,
        format=options.format,
        **{key: value for key, value in named.items() if value is not None},
    )
    metrics = model.evaluate(test)
    result = {
        **metrics,
        "impressions_evaluated": len(test),
        **model.fitted.sizes(),
        "seconds": {"evaluate": round(time.perf_counter() - began, 4)},
        "peak_rss_mb": peak_rss_mb(),
    }
    if options.json:
        print_json(result)
        return
    print(f"{len(test):,} impressions")
    print_table(["metric", "value"], list(metrics.items()))
