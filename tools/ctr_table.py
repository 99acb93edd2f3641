"""The tables of docs/ctr.md and docs/ctr-tables.md, of the cells that `hashrec bench ctr` stored.

    python tools/ctr_table.py ml-100k/

Reads docs/cells/ctr-ml-100k.jsonl and docs/cells/ctr-planted.jsonl, writes docs/ctr-tables.md whole
and the tables of docs/ctr.md between their comments. Bold are those above all hashes of the same
size in both AUC and log loss.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from hashrec.bench.ctr import HASHES, bench_ctr
from hashrec.ctr import MODELS
from hashrec.progress import SILENT

DOCS = Path(__file__).parents[1] / "docs"
SHARES = ("10%", "25%", "50%")
SHOWN = ("full", "deepctr-torch", *HASHES, "graph", "double-graph", "pyramid", "low-dim")
Rows = Mapping[tuple[str, str, str], Mapping[str, Any]]

WHOLE = """# Clicks: every model on every table

What [clicks](ctr.md#measured) sums up, as `python tools/ctr_table.py ml-100k/` draws it from the
[cells](cells): mean AUC over the seeds ± its spread, mean log loss; bold where both are above all
hashes (`random`, `frequency`, `double`) of the same size. Costs are means over the five models.
Seconds are of an epoch, most of them on one thread with another benchmark beside it: compare rows,
not machines.

## MovieLens-100k

    hashrec bench ctr ml-100k/ --repeats 3 --store docs/cells/ctr-ml-100k.jsonl

{}

{}

## A million planted impressions

    hashrec bench ctr --repeats 3 --store docs/cells/ctr-planted.jsonl

{}

{}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="the folder of MovieLens-100k")
    real = measured("ml-100k", parser.parse_args().data)
    planted = measured("planted", None)
    page = DOCS / "ctr.md"
    text = page.read_text(encoding="utf-8")
    for name, rows in (("ml-100k", real), ("planted", planted)):
        text = put(text, f"{name}: means", means(rows))
        text = put(text, f"{name}: a quarter", every(rows, ("all", "25%"), SHOWN))
    page.write_text(text, encoding="utf-8")
    tables = [table for rows in (real, planted) for table in (every(rows), costs(rows))]
    whole = WHOLE.format(*("\n".join(table) for table in tables))
    (DOCS / "ctr-tables.md").write_text(whole, encoding="utf-8")


def measured(name: str, data: str | None) -> Rows:
    """By model, method and share of rows."""
    found = bench_ctr(
        data=data, quick=False, repeats=3, seed=0, progress=SILENT,
        store=DOCS / "cells" / f"ctr-{name}.jsonl", stored=True,
    )  # fmt: skip
    return {(row["model"], row["method"], row["rows"]): row for row in found["rows"]}


def put(text: str, name: str, lines: Sequence[str]) -> str:
    """The page with other lines after its comment of that name."""
    before, mark, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    assert mark and end, name
    return "\n".join([before + mark, *lines, "", end + after])


def means(rows: Rows) -> list[str]:
    """Over the models, at each share of rows."""
    lines = ["| table | " + " | ".join(SHARES) + " |", "|---|" + "---|" * len(SHARES)]
    for method in dict.fromkeys(method for _, method, share in rows if share != "all"):
        cells = []
        for share in SHARES:
            one = over(rows, method, share)
            rivals = [found for hash_ in HASHES if (found := over(rows, hash_, share))]
            cells.append(shown(one, rivals) if one else "-")
        lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    full = over(rows, "full", "all")
    return [*lines, f"| full, all rows | {shown(full, [])} | | |"] if full else lines


def over(rows: Rows, method: str, share: str) -> dict[str, float] | None:
    """Means over the models; None before all of them are measured."""
    found = [rows.get((model, method, share)) for model in MODELS]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    return {key: mean(row[key] for row in known) for key in ("auc", "log_loss")}


def costs(rows: Rows) -> list[str]:
    """Means over the models of what is no quality of a ranking."""
    lines = ["| rows | table | calibration error | parameters | epochs | seconds each | seeds |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    tables = dict.fromkeys((size, method) for _, method, size in rows)
    for share, method in sorted(tables, key=lambda table: ("all", *SHARES).index(table[0])):
        found = [row for key, row in rows.items() if key[1:] == (method, share)]
        error, parameters, epochs, seconds = (
            mean(row[key] for row in found)
            for key in ("calibration_error", "parameters", "epochs", "seconds_an_epoch")
        )
        seeds = min(row["seeds"] for row in found)
        lines.append(
            f"| {share} | `{method}` | {error:.4f} | {parameters:,.0f} | {epochs:.1f} "
            f"| {seconds:.2f} | {seeds} |"
        )
    return lines


def every(
    rows: Rows, shares: Sequence[str] = ("all", *SHARES), methods: Sequence[str] = ()
) -> list[str]:
    """Each model on each table; `methods`: on these alone."""
    lines = ["| rows | table | " + " | ".join(f"`{model}`" for model in MODELS) + " |",
             "|---|---|" + "---|" * len(tuple(MODELS))]  # fmt: skip
    for share in shares:
        there = dict.fromkeys(method for _, method, size in rows if size == share)
        for method in there if not methods else filter(methods.__contains__, there):
            cells = []
            for model in MODELS:
                one = rows.get((model, method, share))
                rivals = [rows[key] for hash_ in HASHES if (key := (model, hash_, share)) in rows]
                cells.append("-" if one is None else shown(one, rivals))
            lines.append(f"| {share} | `{method}` | " + " | ".join(cells) + " |")
    return lines


def shown(one: Mapping[str, Any], rivals: Sequence[Mapping[str, Any]]) -> str:
    spread = f" ± {one['auc_spread']:.4f}" if one.get("auc_spread") else ""
    text = f"{one['auc']:.4f}{spread}, {one['log_loss']:.4f}".replace("0.", ".")
    above = rivals and all(
        one["auc"] > other["auc"] and one["log_loss"] < other["log_loss"] for other in rivals
    )
    return f"**{text}**" if above else text


if __name__ == "__main__":
    main()
