"""`bench graphhash`: what a cell is of, what it is measured on, and what is claimed of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from hashrec.bench import graphhash
from hashrec.bench.cells import Cells
from hashrec.bench.graphhash import Cell, bench_graphhash
from hashrec.csr import Csr
from hashrec.interactions import Interactions, Parts, planted
from hashrec.learning import Training
from hashrec.progress import SILENT
from hashrec.recipe import Recipe

PLANTED = planted(150, 90, communities=6, degree=14, noise=0.0, seed=0)


def parts_of(log: Interactions) -> Parts:
    rest, test = log.split({"name": "random", "test": 0.2, "seed": 0})
    train, valid = rest.split({"name": "random", "test": 0.25, "seed": 0})
    return Parts(train, valid, test)


PARTS = parts_of(PLANTED.interactions)


def strange(part: Interactions) -> Interactions:
    """As many interactions, each with an item of another community: nobody learns these."""
    users = part.matrix.row_of_entry
    rng = np.random.default_rng(0)
    items = rng.integers(0, part.n_items, 40 * len(users))
    users = np.resize(users, len(items))
    other = PLANTED.user_communities[users] != PLANTED.item_communities[items]
    keep = np.flatnonzero(other)[: part.n_interactions]
    shape = {"n_rows": part.n_users, "n_columns": part.n_items}
    return part.with_matrix(Csr.from_pairs(users[keep], items[keep], **shape))


def cell_of(backbone: str, method: str = "full", rows: Any = None) -> Cell:
    options = graphhash._backbones(True, "cpu", PARTS.train.n_interactions)[backbone]
    return Cell("data", backbone, method, rows, 3, options)


class TestACell:
    @pytest.mark.parametrize("backbone", ["lightgcn", "mf", "lightgcn, softmax"])
    def test_has_every_option_of_its_recipe(self, backbone: str) -> None:
        """Bug: it had those that were spelled out, so a default that changed found old results."""
        options = json.loads(cell_of(backbone).options)
        assert options.keys() == Recipe.model_fields.keys() - {"seed", "table"}
        whole = Recipe.from_dict(options).to_dict()
        assert {key: whole[key] for key in options} == options
        assert options["training"].keys() == Training().to_dict().keys()
        assert options["encoder"]["name"] == backbone.split(",")[0]
        assert (options["codes"]["name"], options["users"]) == ("float", "stored")

    @pytest.mark.parametrize("part", ["train", "valid", "test"])
    def test_is_of_all_three_parts(
        self, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Bug: it named train alone, and with another test part the results of the old one came
        back."""
        seen: list[Cell] = []

        def measured(cell: Cell, parts: Parts) -> dict[str, Any]:
            seen.append(cell)
            return made(len(seen))

        monkeypatch.setattr(graphhash, "_measured", measured)
        write(tmp_path / "data", PARTS)
        bench(tmp_path)
        assert len(seen) == 12
        bench(tmp_path)
        assert len(seen) == 12
        write(tmp_path / "data", PARTS, without_last_of=part)
        bench(tmp_path)
        assert len(seen) == 24
        assert len({cell.data for cell in seen}) == 2
        assert all(len(cell.data) == 12 for cell in seen)


class TestMeasuring:
    def test_epochs_are_chosen_on_valid_and_test_is_measured(self) -> None:
        """Only one of the two parts can be learned."""
        cell = cell_of("lightgcn, softmax")
        strangers = strange(PARTS.test)
        found = graphhash._measured(cell, Parts(PARTS.train, PARTS.valid, strangers))
        assert found["valid"] > 0.8
        assert found["recall@20"] < 0.2
        found = graphhash._measured(cell, Parts(PARTS.train, strangers, PARTS.test))
        assert found["valid"] < 0.2
        assert found["recall@20"] > 0.8

    def test_valid_items_are_left_out_of_the_ranking(self) -> None:
        """Nothing can hit them, so a test part of nothing else is missed whole."""
        cell = cell_of("mf", "modulo", 0.5)
        found = graphhash._measured(cell, Parts(PARTS.train, PARTS.valid, PARTS.valid))
        assert found["recall@50"] == 0
        assert found["table_rows"] == 120
        found = graphhash._measured(cell, PARTS)
        assert found["recall@50"] > 0.3


class TestClaims:
    """At 70,839 ids there are two budgets; a run that was killed has part of both."""

    def claims(self, *cells: tuple[str, str, Any, float]) -> dict[str, float]:
        store = Cells(None)
        asked = [Cell("data", backbone, method, rows, 0, "") for backbone, method, rows, _ in cells]
        for cell, (*_, recall) in zip(asked, cells, strict=True):
            store.put(cell, made(recall))
        return graphhash._claims(graphhash._summed(asked, store, 70_839))

    def test_budgets_are_not_mixed(self) -> None:
        """Bug: graph at a quarter of the rows was held against hashes at 12,000."""
        found = self.claims(
            ("lightgcn", "full", None, 0.9),
            ("lightgcn", "random", 12_000, 0.1),
            ("mf", "graph", 12_000, 0.7),
            ("lightgcn", "random", 0.25, 0.2),
            ("lightgcn", "double", 12_000, 0.4),
            ("lightgcn", "graph", 0.25, 0.5),
        )
        assert found == {"graph_over_random": 2.5}

    def test_the_first_budget_is_claimed(self) -> None:
        found = self.claims(
            ("lightgcn", "random", 12_000, 0.1),
            ("lightgcn", "frequency", 12_000, 0.0),
            ("lightgcn", "graph", 12_000, 0.3),
            ("lightgcn", "graph", 0.25, 0.5),
            ("lightgcn", "random", 0.25, 0.2),
            ("lightgcn", "double", 0.25, 0.2),
        )
        assert found == {"graph_over_random": 3.0}

    def test_without_graph_there_are_none(self) -> None:
        assert self.claims(("lightgcn", "random", 12_000, 0.1), ("mf", "graph", 0.25, 0.2)) == {}


def made(recall: float) -> dict[str, Any]:
    """A result of a cell."""
    zeros = dict.fromkeys(graphhash._SHOWN, 0.0)
    return {**zeros, "recall@10": recall, "table_rows": 9, "table_bytes": 90, "seconds": 1.0}


def bench(folder: Path) -> None:
    bench_graphhash(
        data=str(folder / "data"), quick=True, repeats=1, seed=0, progress=SILENT,
        store=folder / "cells.jsonl",
    )  # fmt: skip


def write(folder: Path, parts: Parts, without_last_of: str = "") -> None:
    folder.mkdir(exist_ok=True)
    for name in ("train", "valid", "test"):
        matrix = getattr(parts, name).matrix
        pairs = list(zip(matrix.row_of_entry, matrix.indices, strict=True))
        if name == without_last_of:
            del pairs[-1]
        lines = ["user,item", *(f"{user},{item}" for user, item in pairs)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
