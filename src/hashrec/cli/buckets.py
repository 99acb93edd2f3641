"""`hashrec buckets`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hashrec.bucketing import Buckets, buckets, save_buckets
from hashrec.bucketing.explain import Block, Explanation, Room, explain, size_histogram
from hashrec.bucketing.store import describe_side
from hashrec.bucketing.trio import check_place
from hashrec.cli.drawing import draw
from hashrec.cli.listening import listener, warnings_as_notes
from hashrec.cli.output import check_file_path, print_json, print_table, write_text
from hashrec.cli.reading import train_of
from hashrec.component import read_setting, validate
from hashrec.errors import UsageError
from hashrec.interactions import Cleaning, Interactions
from hashrec.progress import Progress
from hashrec.workflow import peak_rss_mb

__all__ = ["run"]

_DEFAULT_ROWS = "0.25"
_DEFAULT_DIM = 64


class _Clock:
    """Seconds a stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - began, 4)


def run(options: argparse.Namespace) -> None:
    _check_places(options)
    progress, clock = listener(), _Clock()
    with warnings_as_notes(progress):
        with clock.time("read"):
            log = train_of(options, _cleaning(options), progress)
        with clock.time("assign"):
            found = _assign(options, log, progress)
    explained = None
    if options.explain:
        with clock.time("explain"):
            explained = explain(found, log)
    files = _write(options, found, clock)
    if options.json:
        result = _result(found, options, clock)
        more = {} if explained is None else {"explain": explained.to_dict()}
        print_json({**result, "files": files, **more})
    else:
        _show(found, options)
        if explained is not None:
            _show_explained(explained)


def _check_places(options: argparse.Namespace) -> None:
    """Before any work is done."""
    if options.out is not None:
        check_place(options.out)
    elif not options.explain:
        raise UsageError(
            "nothing would be kept", expected="--out FILE.parquet, or --explain to look only"
        )
    if options.plot is not None:
        if options.plot.suffix != ".svg":
            raise UsageError(
                "only SVG is drawn", name=str(options.plot), expected="a name ending in .svg"
            )
        check_file_path(options.plot)


def _cleaning(options: argparse.Namespace) -> Cleaning:
    values = {"min_rating": options.min_rating}
    return validate(
        Cleaning, {**values, "user_core": options.core, "item_core": options.core}, where=""
    )


def _assign(options: argparse.Namespace, log: Interactions, progress: Progress) -> Buckets:
    rows = options.rows
    if rows is None and options.user_rows is None and options.item_rows is None:
        rows = _DEFAULT_ROWS
    return buckets(
        log,
        {"name": options.method, **dict(map(read_setting, options.set))},
        rows,
        user_rows=options.user_rows,
        item_rows=options.item_rows,
        dim=options.dim,
        half_life=options.half_life,
        tied=options.tied,
        seed=options.seed or 0,
        progress=progress,
    )


def _write(options: argparse.Namespace, found: Buckets, clock: _Clock) -> dict[str, int]:
    """Bytes of each file of --out."""
    files: dict[str, int] = {}
    if options.out is not None:
        with clock.time("write"):
            files = save_buckets(found, options.out)
    if options.plot is not None:
        sides = (found.users, found.items)
        histograms = {str(side.side): size_histogram(side) for side in sides}
        write_text(draw(histograms, _curve(found.facts)), options.plot)
    return files


def _curve(facts: dict[str, Any]) -> list[tuple[float, float]]:
    """(gamma, modularity) of the runs of a method that tells them."""
    runs = facts.get("runs")
    if not isinstance(runs, list):
        return []
    return sorted(
        (float(run["gamma"]), float(run["modularity"]))
        for run in runs
        if isinstance(run, dict) and {"gamma", "modularity"} <= set(run)
    )


def _result(found: Buckets, options: argparse.Namespace, clock: _Clock) -> dict[str, Any]:
    dim = options.dim or _DEFAULT_DIM
    sides = {
        side.side: {**describe_side(side), "table_bytes": side.table_bytes(dim)}
        for side in (found.users, found.items)
    }
    return {
        "method": found.method.to_dict(),
        "seed": found.seed,
        "table_rows": found.rows,
        "table_bytes": found.users.table_bytes(dim) + found.items.table_bytes(dim),
        "dim": dim,
        "sides": sides,
        "facts": found.facts,
        "fingerprint": found.fingerprint(),
        "seconds": clock.seconds,
        "peak_rss_mb": peak_rss_mb(),
    }


def _show(found: Buckets, options: argparse.Namespace) -> None:
    head = ["side", "ids", "rows", "largest bucket", "median bucket", "index bytes"]
    rows: list[list[Any]] = []
    for side in (found.users, found.items):
        about = describe_side(side)
        sizes = about["sizes"]
        median = sizes["median"] if sizes["median"] % 1 else int(sizes["median"])
        cells = [about["ids"], about["rows"], sizes["max"], median, about["index_bytes"]]
        rows.append([side.side, *cells])
        if options.dim is not None:
            rows[-1].append(side.table_bytes(options.dim))
    print_table(head if options.dim is None else [*head, "table bytes"], rows)
    for name, fact in found.facts.items():
        print(f"{name}: {_fact(fact)}")


def _fact(fact: Any) -> str:
    if isinstance(fact, float):
        return f"{fact:.6g}"
    return fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)


def _show_explained(explained: Explanation) -> None:
    print()
    _show_histograms(explained.histograms)
    for side, rooms in explained.largest.items():
        print(f"\nlargest {side} buckets")
        for room in rooms:
            print(f"  {_room(room)}")
    print("\ndensest pairs of a user and an item bucket that belong together")
    for block in explained.densest:
        _show_block(block)
    if not explained.densest:
        print("  none")


def _show_histograms(histograms: dict[str, list[tuple[int, int]]]) -> None:
    """Sizes by doubling: 0, 1, 2-3, 4-7 ..."""
    counts = {side: [0] * 33 for side in histograms}
    for side, histogram in histograms.items():
        for size, many in histogram:
            counts[side][size.bit_length()] += many
    shown = [step for step in range(33) if any(counts[side][step] for side in counts)]
    names = [_span(step) for step in shown]
    rows = [
        [name, *(counts[side][step] for side in counts)]
        for name, step in zip(names, shown, strict=True)
    ]
    print_table(["ids in a bucket", *(f"{side} rows" for side in counts)], rows)


def _span(step: int) -> str:
    low, high = 2**step // 2, 2**step - 1
    return str(high) if low >= high else f"{low}-{high}"


def _show_block(block: Block) -> None:
    users, items = block.users, block.items
    print(
        f"  {users.size:,} users x {items.size:,} items: "
        f"{block.edges:,} interactions, {block.density:.1%} of all pairs"
    )
    print(f"    user {_room(users)}")
    print(f"    item {_room(items)}")


def _room(room: Room) -> str:
    names = ", ".join(f"{name} ({degree})" for name, degree in room.names)
    more = room.size - len(room.names)
    return f"{room.bucket}: {names}" + (f", and {more:,} more" if more else "")
