"""The tables of docs/ctr.md and docs/ctr-tables.md, of the cells that `hashrec bench ctr` stored.

    python tools/ctr_table.py docs/cells/ctr-ml-100k.jsonl ml-100k/
    python tools/ctr_table.py docs/cells/ctr-planted.jsonl

Prints three tables in Markdown: means over the five models, a row a method; what each method costs;
and every model on every table. Bold are those above all hashes of the same size (`random`,
`frequency`, `double`) in both AUC and log loss.
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

SHARES = ("10%", "25%", "50%")
Rows = Mapping[tuple[str, str, str], Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("data", nargs="?")
    options = parser.parse_args()
    found = bench_ctr(
        data=options.data, quick=False, repeats=3, seed=0, progress=SILENT, store=options.store,
        stored=True,
    )  # fmt: skip
    rows = {(row["model"], row["method"], row["rows"]): row for row in found["rows"]}
    print("\n".join([*means(rows), "", *costs(rows), "", *every(rows)]))


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


def costs(rows: Rows) -> list[str]:
    """Means over the models of what is no quality of a ranking."""
    lines = ["| rows | table | calibration error | parameters | epochs | seconds each | seeds |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for share in ("all", *SHARES):
        for method in dict.fromkeys(method for _, method, size in rows if size == share):
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


def over(rows: Rows, method: str, share: str) -> dict[str, float] | None:
    """Means over the models; None before all of them are measured."""
    found = [rows.get((model, method, share)) for model in MODELS]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    return {key: mean(row[key] for row in known) for key in ("auc", "log_loss")}


def every(rows: Rows) -> list[str]:
    """Each model on each table."""
    lines = ["| rows | table | " + " | ".join(f"`{model}`" for model in MODELS) + " |",
             "|---|---|" + "---|" * len(tuple(MODELS))]  # fmt: skip
    for share in ("all", *SHARES):
        for method in dict.fromkeys(method for _, method, size in rows if size == share):
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
