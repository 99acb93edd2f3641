"""`bench graphhash`: every bucket method under LightGCN and MF, as the GraphHash paper compares."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from hashrec.bench.cells import Cells
from hashrec.bucketing import METHODS
from hashrec.errors import DataError
from hashrec.interactions import Parts, planted, read_parts
from hashrec.progress import Progress
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender
from hashrec.workflow import union

__all__ = ["Cell", "bench_graphhash"]

# Features of ids are no part of the comparison, and these need them.
_WITHOUT = ("lsh",)
# The row budgets at which others report GraphHash (gamma 200), by the number of ids.
_PUBLISHED_ROWS = {34_464: 9_000, 70_839: 12_000}
# recall@10 on LightGCN in an independent re-run (BACO, supplementary table 8).
_PUBLISHED = {
    34_464: {"full": 0.07619, "random": 0.03054, "frequency": 0.02926, "double": 0.02872,
             "double-frequency": 0.03028, "lsh-structure": 0.03613, "graph": 0.05776,
             "double-graph": 0.03883, "leiden": 0.05540, "balanced": 0.06308},
    70_839: {"full": 0.12917, "random": 0.06368, "frequency": 0.05852, "double": 0.06491,
             "double-frequency": 0.06901, "lsh-structure": 0.06481, "graph": 0.10672,
             "double-graph": 0.08711, "leiden": 0.10753, "balanced": 0.11701},
}  # fmt: skip
_KS = (10, 20, 50)
_Group = tuple[str, str, Any]  # backbone, method, rows asked for
_SHOWN = tuple(f"{metric}@{k}" for metric in ("recall", "ndcg") for k in _KS)


@dataclass(frozen=True)
class Cell:
    """One entry of the table: what is trained, on which table, with which seed.

    Attributes:
        data: names all three parts. options: JSON of the whole recipe but for table and seed, so
            that a default that changes makes another cell.
    """

    data: str
    backbone: str
    method: str
    rows: int | float | None
    seed: int
    options: str


def bench_graphhash(
    *,
    data: str | None,
    quick: bool,
    repeats: int,
    seed: int,
    progress: Progress,
    store: Path | None = None,
    stored: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Recall and NDCG at 10, 20 and 50, protocol `graphhash`, of every method at the published row
    budget (where the data are those) and at a quarter of the rows, both backbones, `repeats` seeds
    from `seed` on.

    The backbones `lightgcn` and `mf` are trained as in the paper: BPR with one uniform negative,
    from noise. `lightgcn, softmax` is this library's default: all items as negatives, from the
    spectral start. Adam; epochs are chosen on the valid part, test is measured once. `store`:
    where cells are kept, and found again; with `stored` nothing is measured, and the table is of
    what is there.
    """
    parts = _parts(data, quick, seed)
    n_ids = parts.train.n_users + parts.train.n_items
    cells, fingerprint = Cells(store), _fingerprint(parts)
    backbones = _backbones(quick, device, parts.train.n_interactions)
    asked = [
        Cell(fingerprint, backbone, method, rows, seed + number, options)
        for number in range(1 if quick else repeats)
        for tables in _tables(n_ids, quick)
        for backbone, options in backbones.items()
        for method, rows in tables
    ]
    there = cells.measure(
        asked, lambda cell: _measured(cell, parts), _told, progress, stored=stored
    )
    summed = _summed(there, cells, n_ids)
    return {"rows": list(summed.values()), "claims": _claims(summed)}


def _told(cell: Cell) -> str:
    return f"{cell.backbone}, {cell.method}, {cell.rows or 'all'} rows, seed {cell.seed}"


def _parts(data: str | None, quick: bool, seed: int) -> Parts:
    """A folder of three parts, or a planted log of them, split as the paper does."""
    if data is not None:
        parts = read_parts(data)
        if parts.valid is None or parts.test is None:
            raise DataError("valid and test parts are needed", name=data)
        return parts
    users = 600 if quick else 6_000
    log = planted(
        users, users // 2, communities=users // 50, degree=20, noise=0.3, seed=seed
    ).interactions
    rest, test = log.split({"name": "random", "test": 0.1, "seed": seed})
    train, valid = rest.split({"name": "random", "test": 1 / 9, "seed": seed})
    return Parts(train, valid, test)


def _fingerprint(parts: Parts) -> str:
    """12 hex digits: the cell of other valid or test interactions is another."""
    assert parts.valid is not None and parts.test is not None
    whole = "".join(part.fingerprint() for part in (parts.train, parts.valid, parts.test))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def _backbones(quick: bool, device: str, edges: int) -> dict[str, str]:
    """For each backbone the options of its cells."""
    stopping = {"epochs": 5 if quick else 200, "every": 5, "patience": 4, "refit": False,
                "device": device}  # fmt: skip
    paper = {
        **stopping, "loss": {"name": "bpr"}, "batch": min(65_536, max(edges // 3, 1)),
        "learning_rate": 0.02, "schedule": "constant", "warmup": 0.0,
    }  # fmt: skip
    ours = {**stopping, "epochs": 5 if quick else 40}
    noise = {"dim": 64, "start": "normal"}
    return {
        "lightgcn": _options({"name": "lightgcn", **noise}, paper),
        "mf": _options({"name": "mf", **noise}, paper),
        "lightgcn, softmax": _options({"name": "lightgcn", "dim": 64}, ours),
    }


def _options(encoder: dict[str, Any], training: dict[str, Any]) -> str:
    given = {"codes": "float", "users": "stored", "encoder": encoder, "training": training}
    whole = Recipe.from_dict(given).to_dict()
    return json.dumps({key: whole[key] for key in whole if key not in ("seed", "table")},
                      sort_keys=True)  # fmt: skip


def _tables(n_ids: int, quick: bool) -> Iterator[list[tuple[str, int | float | None]]]:
    """Methods with their rows, a list for each budget: those to be read side by side together."""
    methods = ("random", "double-frequency", "graph") if quick else tuple(METHODS)
    shared = [method for method in methods if method != "full" and method not in _WITHOUT]
    full: list[tuple[str, int | float | None]] = [("full", None)]
    if n_ids in _PUBLISHED_ROWS:
        yield full + [(method, _PUBLISHED_ROWS[n_ids]) for method in shared]
        full = []
    yield full + [(method, 0.25) for method in shared]


def _measured(cell: Cell, parts: Parts) -> dict[str, Any]:
    table = {"method": cell.method, **({} if cell.rows is None else {"rows": cell.rows})}
    recipe = Recipe.from_dict({"seed": cell.seed, "table": table, **json.loads(cell.options)})
    assert parts.valid is not None and parts.test is not None
    began = time.perf_counter()
    model = Recommender(recipe)
    both = union(parts.train, parts.valid)
    encoding = model.encode(both, valid=parts.valid)
    spent = time.perf_counter() - began
    # Seen are train and valid items; the vectors are those of the best epoch on train alone.
    report = model.code(both, encoding).evaluate(parts.test, _KS, protocol="graphhash")
    return {
        **{key: report.metrics[key] for key in _SHOWN},
        "valid": max(entry["recall@20"] for entry in encoding.facts["history"]),
        "epochs": encoding.facts["epochs"],
        "table_rows": encoding.facts["table_rows"],
        "table_bytes": encoding.facts["table_bytes"],
        "seconds": round(spent, 1),
    }


def _summed(asked: list[Cell], cells: Cells, n_ids: int) -> dict[_Group, dict[str, Any]]:
    """A row for each table: means over the seeds, and the spread of recall@10."""
    summed = {}
    groups: dict[_Group, list[dict[str, Any]]] = {}
    for cell in asked:
        found = cells.get(cell)
        assert found is not None
        groups.setdefault((cell.backbone, cell.method, cell.rows), []).append(found)
    published_rows = _PUBLISHED_ROWS.get(n_ids)
    for (backbone, method, rows), results in groups.items():
        comparable = backbone == "lightgcn" and rows in (None, published_rows)
        published = _PUBLISHED.get(n_ids, {}).get(method) if comparable else None
        summed[backbone, method, rows] = {
            "backbone": backbone,
            "method": method,
            "table_rows": results[0]["table_rows"],
            "table_bytes": results[0]["table_bytes"],
            **{key: round(mean(one[key] for one in results), 4) for key in _SHOWN},
            "spread": round(pstdev(one["recall@10"] for one in results), 4),
            "published": "-" if published is None else round(published, 4),
            "seeds": len(results),
            "seconds": round(mean(one["seconds"] for one in results), 1),
        }
    return summed


def _claims(summed: Mapping[_Group, dict[str, Any]]) -> dict[str, float]:
    """recall@10 of `graph` over that of each hash, on LightGCN at the first budget at which
    `graph` is there."""
    found = {group[1:]: row["recall@10"] for group, row in summed.items() if group[0] == "lightgcn"}
    budget = next((rows for method, rows in found if method == "graph"), None)
    hashes = ("random", "frequency", "double", "double-frequency")
    return {
        f"graph_over_{method}": round(found["graph", budget] / found[method, budget], 3)
        for method in hashes
        if found.get((method, budget))
    }
