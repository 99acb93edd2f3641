"""`hashrec fit`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from hashrec.artifact import check_target
from hashrec.cli.listening import listener
from hashrec.cli.output import print_json, print_table
from hashrec.cli.reading import cuts, parts_of, protocol_of
from hashrec.cli.tracking import trackers
from hashrec.encoders import TrainedEncoder
from hashrec.errors import UsageError
from hashrec.interactions import Parts, read_features
from hashrec.progress import Progress
from hashrec.recipe import Recipe
from hashrec.workflow import Job, Outcome
from hashrec.workflow import run as run_job

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    seed = [] if options.seed is None else [f"seed={options.seed}"]
    recipe = Recipe.from_toml(options.recipe, [*options.set, *seed])
    check_target(options.out)
    listeners = _trackers(options, recipe)
    progress = listener()
    began = time.perf_counter()
    parts = parts_of(options, recipe.data, progress)
    job = Job(
        recipe,
        options.out,
        ks=cuts(options),
        protocol=protocol_of(options),
        measure=not options.no_evaluate,
        refit=not options.no_refit,
        fresh=options.fresh,
        features=_features(options, parts, progress),
        listeners=listeners,
        budget=options.budget,
    )
    outcome = run_job(parts, job, read_seconds=time.perf_counter() - began, progress=progress)
    if options.json:
        print_json(outcome.result)
    else:
        _show(outcome, options)


def _features(options: argparse.Namespace, parts: Parts, progress: Progress) -> dict[str, Any]:
    """The numbers of the sides that have a file of them; all parts share positions."""
    found = {}
    for side, ids in (("user", parts.train.users), ("item", parts.train.items)):
        path = getattr(options, f"{side}_features")
        if path is not None:
            features = read_features(path, ids)
            progress.note(
                f"{path}: {len(features.names)} features of {len(ids):,} {side}s, "
                f"{features.missing:,} of them not in it"
            )
            found[side] = features.values
    return found


def _trackers(options: argparse.Namespace, recipe: Recipe) -> list[Any]:
    asked = options.tensorboard is not None or options.mlflow
    if asked and not isinstance(recipe.encoder, TrainedEncoder):
        raise UsageError(
            f"encoder {recipe.encoder.name} does not train, so there is nothing to draw",
            fix="leave out --tensorboard and --mlflow, or set encoder.name to lightgcn",
        )
    return trackers(options)


def _show_budget(budget: dict[str, Any], recipe: Recipe) -> None:
    """What was tried, the best first."""
    print(f"within {budget['bytes']} bytes an item, recall@20 on a part held out of train:")
    tried = sorted(budget["tried"], key=lambda trial: -trial["recall"])
    head = ["codes", "dimensions of the encoder", "bytes an item", "recall@20"]
    rows = [
        [shown(trial["codes"]), trial["encoder_dim"], trial["bytes_per_item"], trial["recall"]]
        for trial in tried
    ]
    print_table(head, rows)
    print(f"taken: {shown(recipe.codes.to_dict())}")


def shown(codes: dict[str, Any]) -> str:
    """`sign` or `int, bits 4`: the name, and what is said beside it."""
    return ", ".join([codes["name"], *(f"{k} {v}" for k, v in codes.items() if k != "name")])


def _show(outcome: Outcome, options: argparse.Namespace) -> None:
    result = outcome.result
    if "budget" in result:
        _show_budget(result["budget"], outcome.model.recipe)
    if "full_precision" in result:
        full = result["full_precision"]
        what = "a part held out of it" if result["held_out"] else "the test part"
        users, protocol = result["users_evaluated"], result["protocol"]
        print(f"measured on {what}: {users:,} users, protocol {protocol}")
        codes = outcome.model.fitted.item_codes
        head = ["", "float 32 bit", f"{outcome.model.recipe.codes.name} {codes.bits} bit"]
        rows: list[list[Any]] = [[key, full[key], result[key]] for key in result if "@" in key]
        rows.append(["bytes an item", full["bytes_per_item"], result["bytes_per_item"]])
        if "codes_alone" in result:
            head.append("without the second stage")
            rows = [[*row, result["codes_alone"].get(row[0], "")] for row in rows]
        print_table(head, rows)
        if result.get("refitted"):
            print("the model written was fitted again on everything")
    print(
        f"{options.out}: {result['model_bytes']:,} bytes; {result['bytes_per_item']:g} an item, "
        f"{result['bytes_per_user']:g} a user; peak memory {result['peak_rss_mb']:,.0f} MB"
    )
    if result["table_rows"]:
        print(
            f"tables: {result['table_rows']:,} rows, "
            f"{result['table_bytes']:,} bytes with their index"
        )
    spent = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in result["seconds"].items())
    print(f"seconds: {spent}")
