"""`bench frontier`: recall against bytes, learned codes beside codes without training."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hashrec import __version__
from hashrec.bench.cells import Cells
from hashrec.bench.rivals import RIVALS, available
from hashrec.bench.subject import subject
from hashrec.encoders import Encoding
from hashrec.interactions import Interactions
from hashrec.progress import Progress
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender

__all__ = ["LEARNED", "Cell", "bench_frontier", "fingerprint", "identity", "pareto", "recipe_of"]

_KS = (20, 50, 100)
_SHOWN = tuple(f"{metric}@{k}" for metric in ("recall", "ndcg") for k in _KS)
_DIMS = (64, 128, 256, 512)
_QUERIES = 1_000
_TIMED = 3
# A byte more or less an item is no reason to call two codes of different size.
_EQUAL = 1.0

# Methods by name: the codes, and how users are coded beside them. All start from one teacher a
# dimension; `float` is that teacher, the others cost less.
_FREE: Mapping[str, tuple[dict[str, Any], Any]] = {
    "float": ({"name": "float"}, "float"),
    "float16": ({"name": "float", "bits": 16}, "float"),
    "int8": ({"name": "int", "bits": 8}, "float"),
    "int4": ({"name": "int", "bits": 4}, "float"),
    "int2": ({"name": "int", "bits": 2}, "float"),
    "sign": ({"name": "sign"}, "float"),
    "sign, users too": ({"name": "sign"}, "sign"),
    **{f"transform {bits}": ({"name": "transform", "bits": bits}, "float") for bits in (1, 2, 4)},
    **{
        f"transform {bits}, users too": (
            {"name": "transform", "bits": bits},
            {"name": "transform", "bits": bits},
        )
        for bits in (1, 2)
    },
}
LEARNED: Mapping[str, dict[str, Any]] = {
    "tuned 1": {"name": "tuned", "bits": 1},
    "tuned 2": {"name": "tuned", "bits": 2},
    "tuned 1, users too": {"name": "tuned", "bits": 1, "users": "coded"},
    "tuned 2, users too": {"name": "tuned", "bits": 2, "users": "coded"},
    "ste": {"name": "ste"},
    "ste, 4 d bits": {"name": "ste"},
    "ste 2 bits": {"name": "ste", "bits": 2},
    "ste, users too": {"name": "ste", "users": "coded"},
    "hq 1 bit": {"name": "hq", "bits": 1},
    "hq 2 bits": {"name": "hq", "bits": 2},
    "hq 4 bits": {"name": "hq", "bits": 4},
    "hq 8 bits": {"name": "hq", "bits": 8},
    "hashgnn": {"name": "hashgnn"},
    "hashgnn, re-ranked": {"name": "hashgnn"},
    "hashlgn": {"name": "hashlgn"},
    "bigear": {"name": "bigear"},
    "bgch": {"name": "bgch"},
}
# How many times as long as the vectors codes are, where they are told a length.
_TIMES: Mapping[str, int] = {
    "hashgnn": 1, "hashgnn, re-ranked": 1, "hashlgn": 1, "ste, 4 d bits": 4,
}  # fmt: skip
# How many candidates are ranked anew by the numbers behind the codes, whose bytes count, too.
_RERANKED: Mapping[str, int] = {"hashgnn, re-ranked": 200}


@dataclass(frozen=True)
class Cell:
    """One point of the plot.

    Attributes:
        data: names train and test. method, dim: the codes, and of which teacher. options: JSON of
            the recipe.
    """

    data: str
    method: str
    dim: int
    seed: int
    options: str


def bench_frontier(
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
    """Every code on LightGCN vectors of several dimensions: recall and NDCG at 20, 50 and 100 (ties
    counted as expected), tie rate, bytes, seconds, queries a second.

    The teacher is trained once a dimension, with epochs chosen on a part of train, and every code
    starts from it. Users are float where the method does not code them; those of learned codes are
    the trained ones. `bytes_per_item` are of a row; `item_bytes` are all that is kept for items,
    codebooks and matrices included, over their number. `over_free`: recall@20 less that of the best
    code without training that takes no more of either, items or users. Claims: the least of these
    for each learned method.
    """
    train, test = subject(data, quick=quick, seed=seed)
    cells, name = Cells(store), fingerprint(train, test)
    bench = _Bench(train, test, progress)
    rivals = available(progress.note)
    asked = [
        Cell(name, method, dim, seed + number, identity(options))
        for number in range(1 if quick else repeats)
        for dim in ((16,) if quick else _DIMS)
        for method, options in _asked(dim, rivals, quick, device)
    ]
    there = cells.measure(
        asked, bench.measured, lambda one: f"{one.method}, {one.dim} d", progress, stored=stored
    )
    rows = list(_rows(there, cells))
    return {"rows": rows, "claims": _claims(rows)}


def identity(options: dict[str, Any]) -> str:
    """JSON of all that decides a result: the whole recipe, defaults too, and the version."""
    return json.dumps({**Recipe.from_dict(options).to_dict(), "version": __version__})


def recipe_of(cell: Any) -> Recipe:
    """The recipe in a cell's options, of its seed."""
    options = json.loads(cell.options)
    return Recipe.from_dict(
        {key: options[key] for key in Recipe.model_fields} | {"seed": cell.seed}
    )


def fingerprint(train: Interactions, test: Interactions) -> str:
    """12 hex digits of both parts."""
    both = train.fingerprint() + test.fingerprint()
    return hashlib.sha256(both.encode()).hexdigest()[:12]


def _asked(
    dim: int, rivals: list[str], quick: bool, device: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    training = {"device": device, **({"epochs": 4, "every": 2} if quick else {})}
    base = {"encoder": {"name": "lightgcn", "dim": dim}, "training": training, "users": "stored"}
    for name, (codes, users) in _FREE.items():
        yield name, {**base, "codes": codes, "user_codes": users}
    for name in rivals:
        yield name, {**base, "codes": "float"}
    for name, codes in LEARNED.items():
        length = {"dim": _TIMES[name] * dim} if name in _TIMES else {}
        short = {"epochs": 2} if quick else {}
        again = {"rerank": _RERANKED.get(name, 0)}
        yield name, {**base, **again, "codes": {**codes, **length, **short}}


@dataclass
class _Bench:
    """Measures cells; keeps the last teacher."""

    train: Interactions
    test: Interactions
    progress: Progress

    @cached_property
    def _teachers(self) -> dict[tuple[int, int], Encoding]:
        return {}

    def measured(self, cell: Cell) -> dict[str, Any]:
        recipe = recipe_of(cell)
        teacher, spent = self._teacher(cell, recipe)
        model, began = Recommender(recipe), time.perf_counter()
        if cell.method in RIVALS:
            made = RIVALS[cell.method](teacher.items, cell.seed)
            if made is None:
                return {}
            decoded, item_bytes, shared = made
            model.code(self.train, Encoding(teacher.users, np.ascontiguousarray(decoded), None))
        else:
            model.code(self.train, teacher, progress=self.progress)
            item_bytes = float(model.fitted.item_codes.bytes_per_row)
            shared = model.fitted.item_codes.shared_bytes
        seconds = time.perf_counter() - began
        found = model.evaluate(self.test, _KS).metrics
        users, second = model.fitted.user_codes, model.fitted.second
        assert users is not None
        user_bytes = users.bytes_per_row
        if second is not None:
            item_bytes += second.items.bytes_per_row
            user_bytes += second.users.bytes_per_row
        return {
            "bytes_per_item": item_bytes,
            "item_bytes": round(item_bytes + shared / self.train.n_items, 2),
            "bytes_per_user": user_bytes,
            **{key: found[key] for key in _SHOWN},
            "tie_rate@20": found["tie_rate@20"],
            "seconds": round(seconds + (spent if cell.method == "float" else 0.0), 1),
            "queries_per_s": None if cell.method in RIVALS else self._rate(model),
        }

    def _teacher(self, cell: Cell, recipe: Recipe) -> tuple[Encoding, float]:
        """Vectors in full precision, and the seconds they took if they were trained just now."""
        key = cell.dim, cell.seed
        if key in self._teachers:
            return self._teachers[key], 0.0
        self._teachers.clear()
        began = time.perf_counter()
        found = Recommender(recipe.full_precision()).encode(self.train, progress=self.progress)
        self._teachers[key] = found
        return found, time.perf_counter() - began

    def _rate(self, model: Recommender) -> float:
        """Users answered in a second, their 20 best of all items, seen ones left out."""
        ids = self.train.users.array.slice(0, _QUERIES).to_pylist()
        model.recommend(ids, k=20)  # once for nothing: kernels are made ready
        spent = []
        for _ in range(_TIMED):
            began = time.perf_counter()
            model.recommend(ids, k=20)
            spent.append(time.perf_counter() - began)
        return round(len(ids) / median(spent), 1)


def _rows(asked: list[Cell], cells: Cells) -> Iterator[dict[str, Any]]:
    """A row for each method and dimension: means over the seeds, the spread of recall@20, and
    whether nothing of no more bytes has more recall."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for cell in asked:
        found = cells.get(cell)
        if found:
            groups.setdefault((cell.method, cell.dim), []).append(found)
    rows = []
    for (method, dim), results in groups.items():
        row: dict[str, Any] = {"method": method, "dim": dim}
        for key in results[0]:
            values = [one[key] for one in results]
            row[key] = "-" if None in values else round(float(np.mean(values)), 4)
        row["spread"] = round(float(np.std([one["recall@20"] for one in results])), 4)
        row["seeds"] = len(results)
        rows.append(row)
    best = pareto([(row["item_bytes"], row["recall@20"]) for row in rows])
    for number, row in enumerate(rows):
        yield {**row, "over_free": _over_free(rows, row), "pareto": "yes" if number in best else ""}


def pareto(points: list[tuple[float, float]]) -> set[int]:
    """Which (bytes, recall) no other point beats: none has more recall for no more bytes."""
    return {
        number
        for number, (size, recall) in enumerate(points)
        if not any(
            (other <= size and gained > recall) or (other < size and gained == recall)
            for other, gained in points
        )
    }


def _over_free(rows: list[dict[str, Any]], row: dict[str, Any]) -> float | str:
    """recall@20 over the best code without training of no more bytes on either side."""
    rivals = [
        one["recall@20"] for one in rows
        if one["method"] not in LEARNED and one is not row
        and one["item_bytes"] <= row["item_bytes"] + _EQUAL
        and one["bytes_per_user"] <= row["bytes_per_user"]
    ]  # fmt: skip
    return round(row["recall@20"] - max(rivals), 4) if rivals else "-"


def _claims(rows: list[dict[str, Any]]) -> dict[str, float]:
    claims = {}
    for method in LEARNED:
        margins = [row["over_free"] for row in rows if row["method"] == method]
        known = [one for one in margins if one != "-"]
        if known:
            claims[f"{method} over the best untrained"] = min(known)
    return claims
