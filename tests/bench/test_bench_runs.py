"""The benchmarks: both sides measured in one run, results compared, the promised keys."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashrec.bench import BENCHES, propagation, step
from hashrec.bench.propagation import _require_equal, weighted
from hashrec.bench.subject import subject
from hashrec.bench.timing import Timing, alternate
from hashrec.cli.main import main
from hashrec.errors import UsageError
from hashrec.graph import BipartiteOperator
from hashrec.interactions import planted
from hashrec.progress import SILENT

TORCH = importlib.util.find_spec("torch") is not None
SKLEARN = importlib.util.find_spec("sklearn") is not None


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small log, so that one run takes no time."""
    log = planted(400, 300, communities=5, degree=15, noise=0.2, seed=0).interactions
    path = tmp_path_factory.mktemp("bench") / "log.csv"
    with path.open("w", newline="") as file:
        rows = zip(log.matrix.row_of_entry, log.matrix.indices, strict=True)
        csv.writer(file).writerows([("user", "item"), *rows])
    return path


def bench(*arguments: object) -> tuple[Any, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["bench", *map(str, arguments), "--quick", "--json", "--repeats", "1"])
    assert code == 0, err.getvalue()
    return json.loads(out.getvalue()), err.getvalue()


def test_propagate_measures_every_side() -> None:
    """On the planted graph, as a reader would run it."""
    result, log = bench("propagate")
    engines = {row["engine"]: row for row in result["rows"]}
    assert set(engines) == {"hashrec", "scipy csr"} | ({"torch csr"} if TORCH else set())
    claims = {"over_scipy"} | ({"over_torch_csr"} if TORCH else set())
    assert set(result["claims"]) == claims
    assert ("torch is not installed" in log) is not TORCH
    for row in engines.values():
        assert row["edges"] == engines["hashrec"]["edges"] > 100_000
        assert 0 < row["least_ms"] <= row["median_ms"] <= row["most_ms"]
    ours, scipy = (engines[name]["median_ms"] for name in ("hashrec", "scipy csr"))
    assert result["claims"]["over_scipy"] == pytest.approx(scipy / ours, rel=0.01)


@pytest.mark.skipif(not SKLEARN, reason="needs scikit-learn, the other side")
def test_spectral_measures_every_side_and_they_agree() -> None:
    result, _ = bench("spectral")
    engines = {row["engine"]: row for row in result["rows"]}
    assert set(engines) == {"hashrec", "scipy svds", "sklearn randomized_svd"}
    assert set(result["claims"]) == {"over_svds", "over_randomized_svd", "subspace_error"}
    exact = engines["scipy svds"]
    for row in engines.values():
        assert row["dim"] == 64
        assert row["energy"] == pytest.approx(exact["energy"], rel=0.02)
        assert row["energy"] <= exact["energy"] * (1 + 1e-5)  # svds holds the most there is
        assert row["recall@20"] == pytest.approx(exact["recall@20"], abs=0.01)
    error = 1 - engines["hashrec"]["energy"] / exact["energy"]
    assert result["claims"]["subspace_error"] == pytest.approx(error, abs=1e-4)


def test_the_callers_data_are_measured_and_stored(data: Path, tmp_path: Path) -> None:
    result, _ = bench("propagate", data, "--out", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == result
    train, test = subject(str(data), quick=True, seed=0)
    assert result["rows"][0]["edges"] == train.n_interactions
    assert test.n_interactions == pytest.approx(train.n_interactions / 4, rel=0.1)


def test_results_for_people(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "propagate", str(data), "--repeats", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["engine", "edges", "dim", "median_ms", "least_ms", "most_ms"]
    assert lines[1].startswith("hashrec")
    assert lines[-1].split()[0].startswith("over_")


def test_the_registry_is_what_the_command_offers() -> None:
    assert sorted(BENCHES) == [
        "buckets", "ctr", "frontier", "graphhash", "hashlgn", "propagate", "search", "spectral",
        "step",
    ]  # fmt: skip


@pytest.mark.skipif(not TORCH, reason="needs torch, the other side")
def test_step_measures_both_sides_from_the_same_loss(data: Path) -> None:
    result, _ = bench("step", data)
    ours, theirs, drawing = result["rows"]
    assert [row["engine"] for row in result["rows"]] == [
        "hashrec", "torch coo", "hashrec, drawing the batch",
    ]  # fmt: skip
    assert set(result["claims"]) == {"over_lightgcn_pytorch", "drawing_share"}
    ratio = theirs["median_ms"] / ours["median_ms"]
    assert result["claims"]["over_lightgcn_pytorch"] == pytest.approx(ratio, rel=0.02)
    assert drawing["median_ms"] < ours["median_ms"]


@pytest.mark.skipif(not TORCH, reason="needs torch, the other side")
def test_steps_that_disagree_are_never_timed(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setattr(step, "_first_losses", lambda train, seed: (0.7, 0.71))
    with pytest.raises(UsageError, match="do not compute the same loss; got"):
        step.bench_step(data=str(data), quick=True, repeats=1, seed=0, progress=SILENT)


@pytest.mark.skipif(not TORCH, reason="trains")
def test_graphhash_goes_on_from_the_cells_it_stored(tmp_path: Path) -> None:
    store = tmp_path / "cells.jsonl"
    whole, _ = bench("graphhash", "--store", store)
    lines = store.read_text().splitlines()
    assert len(lines) == len(whole["rows"]) == 12
    store.write_text("\n".join(lines[:9]) + "\n" + lines[9][:30])  # killed while writing
    shown, log = bench("graphhash", "--store", store, "--stored")
    assert " of 12" not in log and shown["rows"] == whole["rows"][:9]
    again, log = bench("graphhash", "--store", store)
    assert [note.split(":")[0] for note in log.splitlines() if " of 12" in note] == [
        "10 of 12", "11 of 12", "12 of 12",
    ]  # fmt: skip
    assert _without_times(again) == _without_times(whole)
    rows = {(row["backbone"], row["method"]): row for row in whole["rows"]}
    assert rows["mf", "full"]["table_rows"] == 900 and rows["mf", "graph"]["table_rows"] == 225
    graph, drawn = (rows["lightgcn", name]["recall@10"] for name in ("graph", "random"))
    assert whole["claims"]["graph_over_random"] == pytest.approx(graph / drawn, abs=1e-3)


def _without_times(result: Any) -> list[dict[str, Any]]:
    return [{key: row[key] for key in row if key != "seconds"} for row in result["rows"]]


def test_buckets_measures_both_sides(data: Path) -> None:
    result, _ = bench("buckets", data)
    assert set(result["claims"]) <= {"over_sknetwork", "modularity_ratio", "bytes_per_edge"}
    rows = {(row["engine"], row["gamma"]): row for row in result["rows"]}
    assert {engine for engine, _ in rows} == {"hashrec louvain", "sknetwork louvain"}
    ratios, times = [], []
    for gamma in (1.0, 50.0, 200.0):
        ours, theirs = rows["hashrec louvain", gamma], rows["sknetwork louvain", gamma]
        ratios.append(ours["modularity"] / theirs["modularity"])
        times.append(theirs["median_ms"] / ours["median_ms"])
    assert result["claims"]["modularity_ratio"] == pytest.approx(min(ratios), rel=1e-3)
    assert result["claims"]["over_sknetwork"] == pytest.approx(min(times), rel=1e-3)


def test_a_given_test_part_is_not_split_again(data: Path, tmp_path: Path) -> None:
    lines = data.read_text().splitlines(keepends=True)
    (tmp_path / "train.csv").write_text("".join(lines[:2000]))
    (tmp_path / "test.csv").write_text("".join([lines[0], *lines[2000:2500]]))
    train, test = subject(str(tmp_path), quick=True, seed=0)
    assert (train.n_interactions, test.n_interactions) == (1999, 500)


def test_the_weights_are_those_of_the_operator() -> None:
    """Against the definition, D_u^-1/2 R D_i^-1/2, dense."""
    log = planted(20, 15, communities=2, degree=4, noise=0.2, seed=1).interactions
    dense = log.to_scipy().toarray().astype(np.float64)
    users, items = (np.maximum(dense.sum(axis=axis), 1) ** -0.5 for axis in (1, 0))
    matrix = weighted(BipartiteOperator.normalised(log.matrix)).toarray()
    np.testing.assert_allclose(matrix, users[:, None] * dense * items, rtol=1e-6)


def test_sides_that_disagree_are_never_timed() -> None:
    one, other = np.ones((2, 2), np.float32), np.full((2, 2), 1.1, np.float32)
    _require_equal({"hashrec": lambda: (one, one), "same": lambda: (one, one)})
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        _require_equal({"hashrec": lambda: (one, one), "wrong": lambda: (one, other)})


def test_the_benchmark_itself_compares_its_sides(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = np.zeros((1, 1), np.float32)
    monkeypatch.setattr(propagation, "_scipy_side", lambda *arguments: lambda: (wrong, wrong))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        bench("propagate", data)


def test_sides_take_turns_and_the_first_round_is_not_counted() -> None:
    calls: list[str] = []
    sides = {name: (lambda name=name: calls.append(name)) for name in "ab"}
    timings = alternate(sides, 2, SILENT)
    assert calls == ["a", "b"] * 3
    assert {name: len(timing.seconds) for name, timing in timings.items()} == {"a": 2, "b": 2}


def test_a_timing_reports_the_median_in_milliseconds() -> None:
    timing = Timing((0.003, 0.001, 0.010))
    assert timing.median == 0.003
    assert timing.row() == {"median_ms": 3.0, "least_ms": 1.0, "most_ms": 10.0}
