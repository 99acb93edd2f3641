"""The frontier, the rivals, and lists of any length, against loops."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_bench_runs import bench

from hashrec.bench.frontier import LEARNED, pareto
from hashrec.bench.hashlgn import measured_lists, threshold_for
from hashrec.bench.rivals import available, itq, rabitq
from hashrec.cli.frontier import draw_frontier
from hashrec.cli.main import main
from hashrec.csr import Csr
from hashrec.interactions import planted
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender
from hashrec.search import Hits, open_index


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_pareto_by_its_definition(points: list[tuple[int, int]]) -> None:
    best = pareto([(float(size), float(recall)) for size, recall in points])
    for number, (size, recall) in enumerate(points):
        beaten = any(
            other <= size and gained >= recall and (other, gained) != (size, recall)
            for other, gained in points
        )
        assert (number in best) is not beaten


def test_itq_comes_nearer_than_a_random_rotation() -> None:
    rng = np.random.default_rng(0)
    items = (rng.normal(size=(400, 16)) * np.linspace(3, 0.1, 16)).astype(np.float32)
    learned, size, shared = itq(items, 0)
    assert (size, shared) == (2 + 4, 16 * 16 * 4)
    turned = Recommender(Recipe()).recipe.codes.encode(items)
    error = np.square(learned - items).sum()
    assert error < np.square(turned.restore() - items).sum()
    assert np.linalg.norm(learned, axis=1) == pytest.approx(np.linalg.norm(items, axis=1), rel=1e-4)


def test_rabitq_products_are_unbiased() -> None:
    """Over rotations, the mean of estimates is the product."""
    rng = np.random.default_rng(1)
    items = rng.normal(size=(30, 12)).astype(np.float32) + 1
    query = rng.normal(size=12).astype(np.float32)
    found = np.mean([rabitq(items, seed)[0] @ query for seed in range(400)], axis=0)
    exact = items @ query
    spread = np.std([rabitq(items, seed)[0] @ query for seed in range(50)], axis=0)
    assert (np.abs(found - exact) < 5 * spread / math.sqrt(400)).all()


def lists(rows: list[list[int]]) -> Hits:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    positions = np.array([item for row in rows for item in row], np.int32)
    return Hits(offsets, positions, np.zeros(len(positions), np.float32), np.diff(offsets))


@given(st.data())
def test_lists_are_measured_as_by_hand(data: Any) -> None:
    n = data.draw(st.integers(1, 5))
    rows = [data.draw(st.lists(st.integers(0, 9), unique=True)) for _ in range(n)]
    truth = [data.draw(st.lists(st.integers(0, 9), unique=True, min_size=1)) for _ in range(n)]
    sizes = np.array([len(row) for row in truth])
    held = Csr.from_lists([sorted(row) for row in truth], n_columns=10)
    found = measured_lists(lists(rows), held, sizes)
    precision = recall = ndcg = 0.0
    for row, wanted in zip(rows, truth, strict=True):
        hits = [place for place, item in enumerate(row) if item in wanted]
        recall += len(hits) / len(wanted) / n
        if row:
            precision += len(hits) / len(row) / n
            ideal = sum(1 / math.log2(place + 2) for place in range(len(row)))
            ndcg += sum(1 / math.log2(place + 2) for place in hits) / ideal / n
    assert found["precision"] == pytest.approx(precision)
    assert found["recall"] == pytest.approx(recall)
    assert found["ndcg"] == pytest.approx(ndcg)
    both = precision + recall
    assert found["f1"] == pytest.approx(2 * precision * recall / both if both else 0)


def test_a_threshold_gives_lists_of_the_wanted_length() -> None:
    log = planted(300, 200, communities=5, degree=12, noise=0.2, seed=0).interactions
    model = Recommender(Recipe.from_dict({"users": "stored"})).fit(log)
    fitted = model.fitted
    assert fitted.user_codes is not None
    found = open_index(fitted.item_codes).search_threshold(
        fitted.user_codes, threshold_for(model, 40), exclude=fitted.seen
    )
    assert np.diff(found.offsets).mean() == pytest.approx(40, rel=0.05)


def test_the_frontier_measures_draws_and_goes_on(tmp_path: Path) -> None:
    store, plot = tmp_path / "cells.jsonl", tmp_path / "f.svg"
    result, _ = bench("frontier", "--store", store, "--plot", plot)
    rows = {row["method"]: row for row in result["rows"]}
    notes: list[str] = []
    assert set(rows) == {
        "float", "float16", "int8", "int4", "int2", "sign", "sign, users too", "transform 1",
        "transform 2", "transform 4", "transform 1, users too", "transform 2, users too", *LEARNED,
        *available(notes.append),
    }  # fmt: skip
    assert rows["float"]["bytes_per_item"] == 64 and rows["int4"]["bytes_per_item"] == 12
    assert rows["float"]["recall@20"] == pytest.approx(rows["float16"]["recall@20"], abs=0.01)
    for name in ("ste", "tuned 1, users too"):
        most = rows[name]
        best = max(
            row["recall@20"] for row in rows.values() if row["method"] not in LEARNED
            and row["item_bytes"] <= most["item_bytes"] + 1
            and row["bytes_per_user"] <= most["bytes_per_user"]
        )  # fmt: skip
        margin = result["claims"][f"{name} over the best untrained"]
        assert margin == pytest.approx(most["recall@20"] - best, abs=2e-4) == most["over_free"]
    # Items keep a row each, and all together the directions and the decoder.
    codes = rows["transform 2"]
    assert codes["bytes_per_item"] == 4 and codes["item_bytes"] > 4
    assert rows["itq"]["item_bytes"] > rows["itq"]["bytes_per_item"]
    assert rows["float"]["item_bytes"] == 64
    drawn = plot.read_text(encoding="utf-8")
    assert drawn.startswith("<svg ") and drawn.count("<circle") == len(rows) + 2
    again, log = bench("frontier", "--store", store)
    assert again == result and " of " not in log
    lines = store.read_text().splitlines()
    store.write_text("\n".join(lines[:5]) + "\n")
    shown, _ = bench("frontier", "--store", store, "--stored")
    assert len(shown["rows"]) == 5


def test_the_tables_of_hashlgn(tmp_path: Path) -> None:
    result, _ = bench("hashlgn", "--store", tmp_path / "cells.jsonl")
    rows = {row["method"]: row for row in result["rows"]}
    assert rows["hashlgn, published"]["recall@50"] == 0.3151
    ours = rows["hashlgn"]
    assert ours["bytes_per_item"] == 12  # 64 bits, and the scale that cosines need
    assert rows["hashlgn, bpr"]["bytes_per_item"] == 8
    assert ours["recall@100"] >= ours["recall@50"] > 0.3
    assert ours["mean_length"] == pytest.approx(100, rel=0.15)
    claim = result["claims"]["hashlgn_recall@50_over_published"]
    assert claim == pytest.approx(ours["recall@50"] / 0.3151, abs=2e-3)
    assert result["claims"]["slowest_search_s"] > 0


def test_a_plot_of_one_code() -> None:
    row = {
        "item_bytes": 12.0,
        "method": "float",
        "dim": 4,
        "bytes_per_item": 16,
        "recall@20": 0.1,
        "pareto": "yes",
    }
    drawn = draw_frontier([row], [])
    assert drawn.count("<circle") == 3 and "float, 4 d" in drawn


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("frontier", "--plot", "f.png"), "f.png: only SVG is drawn; expected a name ending"),
        (("step", "--plot", "f.svg"), "bench step draws nothing. Leave out --plot"),
    ],
    ids=["png", "step"],
)
def test_plots_that_cannot_be(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words]) == 2
    assert said in capsys.readouterr().err


def test_names_on_a_plot_do_not_cover_each_other() -> None:
    rows = [{"method": f"code {number}", "dim": 4, "item_bytes": 16.0 + number / 10,
             "recall@20": 0.1 + number / 1000, "pareto": "yes"} for number in range(8)]  # fmt: skip
    places = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>code', draw_frontier(rows, []))
    assert len(places) == 8
    found = [(float(x), float(y)) for x, y in places]
    for number, (x, y) in enumerate(found):
        assert all(abs(x - a) >= 130 or abs(y - b) >= 11.9 for a, b in found[:number])
