"""`bench ctr`: its cells, its claims, the other library beside it, and what is left out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hashrec.bench import ctr
from hashrec.bench.ctr import bench_ctr
from hashrec.bench.ctr_peers import PEER_MODELS, Settings, peer_logits
from hashrec.bucketing import METHODS, buckets
from hashrec.ctr import MODELS, CtrRecipe
from hashrec.ctr.examples import examples_of
from hashrec.errors import DataError
from hashrec.impressions import Schema, planted_impressions
from hashrec.progress import SILENT

PEER = importlib.util.find_spec("deepctr_torch") is not None
CLAIMS = {
    f"{graph}_minus_{other}_{metric}"
    for graph in ("graph", "double_graph")
    for other in ("random", "frequency", "double")
    for metric in ("auc", "log_loss")
}


def run(store: Path | None = None, **options: Any) -> dict[str, Any]:
    given = {"data": None, "quick": True, "repeats": 1, "seed": 0, "store": store, **options}
    return bench_ctr(progress=SILENT, **given)


def small(monkeypatch: pytest.MonkeyPatch, n: int = 1_500) -> None:
    """The quick sizes are for a reader; a test needs less."""
    real = ctr.planted_impressions

    def fewer(_: int, **sizes: int) -> Any:
        return real(n, **{**sizes, "users": n // 20, "items": n // 50})

    monkeypatch.setattr(ctr, "planted_impressions", fewer)


def test_every_table_of_the_claims_is_measured_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    store = tmp_path / "cells.jsonl"
    result = run(store)
    tables = {(row["model"], row["method"], row["rows"]) for row in result["rows"]}
    methods = ("random", "frequency", "double", "graph", "double-graph")
    expected = {(model, method, "25%") for model in ("dcn", "deep-fm") for method in methods}
    expected |= {(model, "full", "all") for model in ("dcn", "deep-fm")}
    if PEER:
        expected |= {(model, "deepctr-torch", "all") for model in ("dcn", "deep-fm")}
    assert tables == expected
    beside = {"full_minus_peer_auc", "over_peer"} if PEER else set()
    assert set(result["claims"]) == CLAIMS | {"dcn_seconds_a_million"} | beside
    rows = {(row["model"], row["method"]): row for row in result["rows"]}
    sizes = {rows["dcn", method]["table_rows"] for method in methods}
    assert len(sizes) == 1 and sizes.pop() < rows["dcn", "full"]["table_rows"]
    gains = [
        rows[model, "graph"]["auc"] - rows[model, "random"]["auc"] for model in ("dcn", "deep-fm")
    ]
    assert result["claims"]["graph_minus_random_auc"] == pytest.approx(sum(gains) / 2, abs=1e-4)
    lines = store.read_text().splitlines()
    assert len(lines) == 12 + 6 * PEER
    assert run(store) == result and store.read_text().splitlines() == lines
    assert run(store, stored=True) == result


def test_nothing_stored_is_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no cell is stored for this benchmark"):
        run(tmp_path / "none.jsonl", stored=True)


def test_every_method_at_every_share_is_asked_for() -> None:
    asked = ctr._cells("x", {}, quick=False, repeats=3, seed=0)
    assert len(asked) == len(set(asked))
    ours = {
        (one.model, one.method, one.rows, one.seed) for one in asked if "torch" not in one.method
    }

    tables = [(one, share) for one in METHODS if one != "full" for share in (0.1, 0.25, 0.5)]
    assert ours == {
        (model, method, share, seed)
        for model in MODELS
        for method, share in [("full", None), *tables]
        for seed in range(3)
    }


def test_a_whole_table_of_one_seed_comes_before_those_of_others() -> None:
    asked = ctr._cells("x", {}, quick=False, repeats=2, seed=3)
    shares = [one for one in asked if one.rows in (0.1, 0.5)]
    assert [one.seed for one in shares] == [3] * (len(shares) // 2) + [4] * (len(shares) // 2)
    assert asked[0].rows is None and {one.method for one in asked[:10]} == {"full"}


def test_of_the_peers_settings_the_best_by_valid_auc_is_shown() -> None:
    def found(*aucs: float) -> list[dict[str, Any]]:
        return [{"valid_auc": auc, "auc": 1 - auc} for auc in aucs]

    groups: Any = {
        ("dcn", "deepctr-torch, 0.0001, 0.001", None): found(0.6, 0.8),
        ("dcn", "deepctr-torch, 0.01, 0.001", None): found(0.7, 0.75),
        ("dcn", "deepctr-torch, 0.01, 0.003", None): found(0.9, 0.4),
        ("dcn", "graph", 0.25): found(0.1),
    }
    kept = ctr._best_peers(groups)
    assert kept == {
        ("dcn", "deepctr-torch", None): found(0.7, 0.75), ("dcn", "graph", 0.25): found(0.1),
    }  # fmt: skip


def test_claims_are_larger_where_the_graph_is_better() -> None:
    tables = {"graph": (0.75, 0.5), "double-graph": (0.7, 0.53), "random": (0.7, 0.54),
              "frequency": (0.72, 0.52), "double": (0.74, 0.51)}  # fmt: skip
    rows: Any = {
        ("dcn", name, 0.25): {"auc": auc, "log_loss": loss} for name, (auc, loss) in tables.items()
    }
    rows["dcn", "full", None] = {"auc": 0.8, "log_loss": 0.4}
    rows["dcn", "deepctr-torch", None] = {"auc": 0.79, "log_loss": 0.41}
    claims = ctr._claims(rows)
    assert claims["graph_minus_random_auc"] == 0.05
    assert claims["graph_minus_random_log_loss"] == 0.04
    assert claims["double_graph_minus_double_auc"] == -0.04
    assert claims["double_graph_minus_double_log_loss"] == -0.02
    assert claims["full_minus_peer_auc"] == 0.01


def test_ratings_are_read_and_fields_that_name_their_owner_left_out(tmp_path: Path) -> None:
    head = "user_id:token\titem_id:token\trating:float"
    pairs = [f"{at % 40}\t{at % 29}\t{1 + at % 5}" for at in range(300)]
    (tmp_path / "x.inter").write_text("\n".join([head, *pairs]) + "\n")
    people = [f"{at}\t{at % 2}\tz{at}" for at in range(40)]
    (tmp_path / "x.user").write_text("\n".join(["user_id:token\tsex:token\tzip:token", *people]))
    parts = ctr._read(str(tmp_path), False, 0)
    assert [one.name for one in parts.train.fields] == ["sex"]
    sizes = [len(one) for one in (parts.train, parts.valid, parts.test)]
    assert sizes == [240, 30, 30]
    assert parts.test.label is not None and 0 < parts.test.label.mean() < 1
    assert parts.fingerprint() != ctr._read(str(tmp_path), False, 1).fingerprint()


def test_a_log_of_ids_alone_is_read_too(tmp_path: Path) -> None:
    head = "user_id:token\titem_id:token\trating:float"
    pairs = [f"{at % 40}\t{at % 29}\t{1 + at % 5}" for at in range(300)]
    (tmp_path / "x.inter").write_text("\n".join([head, *pairs]) + "\n")
    assert len(ctr._read(str(tmp_path), False, 0).train.fields) == 0


@pytest.mark.skipif(not PEER, reason="deepctr-torch is not installed")
def test_the_other_library_leaves_everybodys_generator_alone_and_repeats_itself() -> None:
    log = planted_impressions(600, users=30, items=20, communities=2, seed=0)
    recipe = CtrRecipe.from_dict({"dim": 4, "training": {"epochs": 1}})
    schema, made = Schema.of(log, recipe.fields), buckets(log.interactions(), "full")
    parts = (examples_of(log, schema, made),) * 3
    before = torch.random.get_rng_state()
    for model in PEER_MODELS:
        asked = CtrRecipe.from_dict({**recipe.to_dict(), "model": model})
        one, two = (
            peer_logits(model, schema, made, parts, asked, Settings(0.01, 1e-3, 0))
            for _ in range(2)
        )
        assert np.array_equal(one.logits, two.logits) and one.logits.shape == (600,)
    assert torch.equal(before, torch.random.get_rng_state())
