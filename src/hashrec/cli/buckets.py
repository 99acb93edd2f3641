"""`hashrec buckets`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from hashrec.bucketing import (
    METHODS,
    Buckets,
    Drift,
    buckets,
    drift,
    load_buckets,
    save_buckets,
)
from hashrec.bucketing.explain import (
    Block,
    CurvePoint,
    Explanation,
    Room,
    explain,
    resolution_curve,
    size_histogram,
)
from hashrec.bucketing.sides import sides_of
from hashrec.bucketing.store import describe_side
from hashrec.bucketing.trio import check_place
from hashrec.cli.drawing import draw
from hashrec.cli.listening import listener, warnings_as_notes
from hashrec.cli.output import check_file_path, print_json, print_table, write_text
from hashrec.cli.reading import train_of
from hashrec.clustering import BipartiteGraph, louvain, modularity
from hashrec.component import read_setting, validate
from hashrec.costs import peak_rss_mb
from hashrec.errors import UsageError
from hashrec.interactions import Cleaning, Interactions
from hashrec.progress import Progress

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
            found, drifted = _found(options, log, progress)
    explained, curve = None, []
    if options.explain:
        with clock.time("explain"):
            explained, curve = explain(found, log), _curve(found, log, options)
    files = _write(options, found, curve, clock)
    if options.json:
        result = _result(found, options, clock)
        more: dict[str, Any] = {} if drifted is None else {"drift": drifted.to_dict()}
        if explained is not None:
            more["explain"] = {**explained.to_dict(), "curve": [asdict(point) for point in curve]}
        print_json({**result, "files": files, **more})
    else:
        _show(found, options)
        if drifted is not None:
            _show_drift(drifted)
        if explained is not None:
            _show_explained(explained)
            _show_curve(curve)


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


def _found(
    options: argparse.Namespace, log: Interactions, progress: Progress
) -> tuple[Buckets, Drift | None]:
    """New buckets; or, with --extend, old ones with the new ids of the log."""
    if options.extend is None:
        return _assign(options, log, progress), None
    old = load_buckets(options.extend)
    half_life = options.half_life
    drifted = drift(old, log, half_life=half_life) if _gamma(old.facts) else None
    return old.extend(log, half_life=half_life), drifted


def _assign(options: argparse.Namespace, log: Interactions, progress: Progress) -> Buckets:
    method = METHODS.parse({"name": options.method, **dict(map(read_setting, options.set))})
    rows = options.rows
    if method.needs_rows and (rows, options.user_rows, options.item_rows) == (None, None, None):
        rows = _DEFAULT_ROWS
    return buckets(
        log,
        method,
        rows,
        user_rows=options.user_rows,
        item_rows=options.item_rows,
        dim=options.dim,
        half_life=options.half_life,
        tied=options.tied,
        seed=options.seed or 0,
        progress=progress,
    )


def _write(
    options: argparse.Namespace, found: Buckets, curve: list[CurvePoint], clock: _Clock
) -> dict[str, int]:
    """Bytes of each file of --out."""
    files: dict[str, int] = {}
    if options.out is not None:
        with clock.time("write"):
            files = save_buckets(found, options.out)
    if options.plot is not None:
        sides = (found.users, found.items)
        histograms = {str(side.side): size_histogram(side) for side in sides}
        write_text(
            draw(histograms, [(point.gamma, point.modularity) for point in curve]), options.plot
        )
    return files


def _curve(found: Buckets, log: Interactions, options: argparse.Namespace) -> list[CurvePoint]:
    """Modularity over the resolution, around the one of the buckets; none for hashes."""
    gamma = _gamma(found.facts)
    if gamma is None:
        return []
    sides = sides_of(log, half_life=options.half_life, tied=options.tied)
    graph = BipartiteGraph.build(
        sides.users.edges,
        sides.items.edges,
        sides.users.weights,
        sides.items.weights,
        user_exponent=getattr(found.method, "user_exponent", 1.0),
        item_exponent=getattr(found.method, "item_exponent", 1.0),
    )

    def cluster(resolution: float) -> tuple[Any, Any, float]:
        partition = louvain(graph, resolution, tied=options.tied)
        return partition.users, partition.items, modularity(graph, partition, resolution)

    return resolution_curve(cluster, [gamma * 4.0**step for step in range(-3, 3)])


def _gamma(facts: dict[str, Any]) -> float | None:
    """The resolution the buckets were found with; the finest, where there are levels."""
    levels = facts.get("levels")
    if levels:
        return _gamma(levels[-1])
    found = facts.get("gamma", facts.get("user_gamma"))
    return None if found is None else float(found)


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
    for number, facts in enumerate(found.facts.get("levels", [found.facts])):
        plain = {name: fact for name, fact in facts.items() if name != "runs"}
        told = ", ".join(f"{name} {_fact(fact)}" for name, fact in plain.items())
        if told:
            print(f"level {number + 1}: {told}" if "levels" in found.facts else told)


def _fact(fact: Any) -> str:
    return f"{fact:.5g}" if isinstance(fact, float) else str(fact)


def _show_drift(drifted: Drift) -> None:
    print(
        f"{drifted.new_users:,} users and {drifted.new_items:,} items placed; modularity "
        f"{drifted.now:.4f}, of a fresh clustering {drifted.fresh:.4f}: clustering again "
        + ("pays" if drifted.pays() else "does not pay")
    )


def _show_curve(curve: list[CurvePoint]) -> None:
    if curve:
        print("\nmodularity over the resolution")
        head = ["gamma", "user communities", "item communities", "modularity"]
        print_table(head, [list(asdict(point).values()) for point in curve])


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
