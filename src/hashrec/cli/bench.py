"""`hashrec bench`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hashrec.bench import BENCHES, LONG
from hashrec.bench.frontier import LEARNED
from hashrec.cli.frontier import draw_frontier
from hashrec.cli.listening import listener
from hashrec.cli.output import check_file_path, print_json, print_table
from hashrec.cli.searches import draw_searches
from hashrec.component import nearest
from hashrec.errors import UsageError

__all__ = ["run"]


_PLOTS: Mapping[str, Callable[[Any], str]] = {
    "frontier": lambda rows: draw_frontier(rows, list(LEARNED)),
    "search": draw_searches,
}


def _check_plot(options: argparse.Namespace) -> None:
    if options.name not in _PLOTS:
        raise UsageError(f"bench {options.name} draws nothing", fix="leave out --plot")
    if options.plot.suffix != ".svg":
        raise UsageError(
            "only SVG is drawn", name=str(options.plot), expected="a name ending in .svg"
        )
    check_file_path(options.plot)


def run(options: argparse.Namespace) -> None:
    if options.name not in BENCHES:
        raise UsageError(
            f"unknown benchmark {options.name!r}",
            expected="one of " + ", ".join(BENCHES),
            fix=nearest(options.name, BENCHES),
        )
    if options.out is not None:
        check_file_path(options.out)
    if options.plot is not None:
        _check_plot(options)
    more: dict[str, Any] = {}
    if options.name in LONG:
        store = Path(f"bench-{options.name}.jsonl") if options.store is None else options.store
        check_file_path(store)
        more = {"store": store, "stored": options.stored, "device": options.device}
    result = BENCHES[options.name](
        **more,
        data=options.data,
        quick=options.quick,
        repeats=options.repeats,
        seed=options.seed or 0,
        progress=listener(),
    )
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.plot is not None:
        options.plot.write_text(_PLOTS[options.name](result["rows"]), encoding="utf-8")
    if options.json:
        print_json(result)
        return
    head = list(result["rows"][0])
    print_table(head, [[row[key] for key in head] for row in result["rows"]])
    print_table(["claim", "value"], list(result["claims"].items()))
