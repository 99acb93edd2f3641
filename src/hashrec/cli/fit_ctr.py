"""`hashrec fit-ctr`."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from hashrec.cli.listening import listener
from hashrec.cli.output import print_json, print_table
from hashrec.cli.tracking import trackers
from hashrec.ctr import CtrRecipe
from hashrec.ctr.job import CtrJob, CtrOutcome, run_ctr
from hashrec.ctr_folder import check_ctr_target
from hashrec.errors import DataError
from hashrec.impressions import (
    Impressions,
    Kinds,
    Sources,
    read_candidates,
    read_impressions,
    sources_of,
)
from hashrec.progress import Progress

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    seed = [] if options.seed is None else [f"seed={options.seed}"]
    recipe = CtrRecipe.from_toml(options.recipe, [*options.set, *seed])
    check_ctr_target(options.out)
    listeners = trackers(options)
    progress = listener()
    began = time.perf_counter()
    sources = _sources(options)
    log = _read(options, sources, progress)
    test = None if sources.test is None else _test(log, sources, options, progress)
    job = CtrJob(
        recipe,
        options.out,
        measure=not options.no_evaluate,
        refit=not options.no_refit,
        fresh=options.fresh,
        listeners=listeners,
    )
    spent = time.perf_counter() - began
    outcome = run_ctr(log, test, job, read_seconds=spent, progress=progress)
    if options.json:
        print_json(outcome.result)
    else:
        _show(outcome, options)


def _sources(options: argparse.Namespace) -> Sources:
    """What DATA holds, and what the command line says beside it."""
    found = sources_of(options.data)
    if options.test is not None:
        if found.test is not None:
            raise DataError("there are two test parts", name=options.data,
                            got=f"its own and {options.test}", fix="leave --test out")  # fmt: skip
        found = replace(found, test=options.test)
    return replace(
        found,
        user_features=options.user_features or found.user_features,
        item_features=options.item_features or found.item_features,
    )


def _read(options: argparse.Namespace, sources: Sources, progress: Progress) -> Impressions:
    """The log, read as the command line says; what was found is told."""
    log = read_impressions(
        sources.train,
        valid=sources.valid,
        label=options.label,
        threshold=options.threshold,
        user=options.user,
        item=options.item,
        time=options.time,
        user_columns=_listed(options.user_columns),
        item_columns=_listed(options.item_columns),
        user_features=sources.user_features,
        item_features=sources.item_features,
        kinds=Kinds(
            _listed(options.categorical), _listed(options.numeric), _listed(options.multi),
            _listed(options.ignore), options.separator,
        ),
        format=options.format,
    )  # fmt: skip
    for line in log.report.lines():
        progress.note(line)
    fields = ", ".join(f"{one.name} ({one.kind}, {one.owner})" for one in log.fields)
    progress.note(f"{log.positives:,} labels are 1; fields: {fields or 'none'}")
    return log


def _test(
    train: Impressions, sources: Sources, options: argparse.Namespace, progress: Progress
) -> Impressions:
    """The test part, its columns of the kinds they have in train."""
    log = read_candidates(
        sources.test,
        train.fields,
        **train.columns,
        threshold=train.threshold,
        user_features=sources.user_features,
        item_features=sources.item_features,
        separators=train.separators,
        format=options.format,
    )
    progress.note(f"{sources.test}: {len(log):,} rows, {log.positives:,} labels are 1")
    return log


def _listed(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def _show(outcome: CtrOutcome, options: argparse.Namespace) -> None:
    result = outcome.result
    if "auc" in result:
        what = "a part held out of it" if result["held_out"] else "the test part"
        print(f"measured on {what}: {result['impressions_evaluated']:,} impressions")
        names = ("auc", "log_loss", "calibration_error", "predicted_over_true")
        print_table(["metric", "value"], [[name, result[name]] for name in names])
        if result["refitted"] and result["held_out"]:
            print("the model written was fitted again on everything")
    print(
        f"{options.out}: {result['model_bytes']:,} bytes; {result['parameters']:,} parameters, "
        f"{result['table_rows']:,} rows of users and items; {result['epochs']} epochs; "
        f"peak memory {result['peak_rss_mb']:,.0f} MB"
    )
    spent = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in result["seconds"].items())
    print(f"seconds: {spent}")
