"""`fit-ctr`, `score`, `export`, and what other commands do with a model of clicks."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import Done, call

from hashrec.ctr import load_ctr

FAST = ("--set", "training.epochs=2", "--set", "dim=4")
TABLE = ("--set", "table.method=graph", "--set", "table.rows=0.5")


def atomic(folder: Path) -> Path:
    """A log of ratings in RecBole's files, with users and items beside it."""
    rng = np.random.default_rng(0)
    n, users, items = 900, 30, 20
    user, item = rng.integers(0, users, n), rng.integers(0, items, n)
    rating = 1 + (user + item + rng.integers(0, 4, n)) % 5
    folder.mkdir()
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float\tpage:token"]
    lines += [
        f"u{a}\ti{b}\t{c}\t{at}\t{('home', 'search')[at % 2]}"
        for at, (a, b, c) in enumerate(zip(user, item, rating, strict=True))
    ]
    (folder / "small.inter").write_text("\n".join(lines) + "\n")
    people = ["user_id:token\tage:float", *(f"u{at}\t{20 + at}" for at in range(users))]
    (folder / "small.user").write_text("\n".join(people) + "\n")
    things = [
        "item_id:token\tkind:token_seq",
        *(f"i{at}\ta{at % 3} b{at % 2}" for at in range(items)),
    ]
    (folder / "small.item").write_text("\n".join(things) + "\n")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return atomic(tmp_path_factory.mktemp("ctr") / "small")


@pytest.fixture(scope="module")
def fitted(data: Path) -> Done:
    done = call(
        "fit-ctr", data, "--threshold", 4, "--out", data.parent / "model", "--json", *FAST, *TABLE
    )
    assert done.code == 0, done.err
    return done


@pytest.fixture
def model(data: Path, fitted: Done) -> Path:
    return data.parent / "model"


@pytest.fixture(scope="module")
def candidates(data: Path) -> Path:
    rows = {"user_id": ["u1", "u2", "new"], "item_id": ["i3", "i4", "i5"], "page": ["home"] * 3}
    pq.write_table(pa.table(rows), data.parent / "candidates.parquet")
    return data.parent / "candidates.parquet"


def test_fit_tells_what_it_read_and_what_it_found(fitted: Done, model: Path) -> None:
    assert (
        "small.inter (recbole): 900 rows; columns: user 'user_id', item 'item_id', " in fitted.err
    )
    told = "fields: age (numeric, user), kind (multi, item), page (categorical, row)"
    assert told in fitted.err and "epoch 2: loss" in fitted.err
    result = fitted.json
    assert {"auc", "log_loss", "calibration_error", "table_rows", "seconds"} <= set(result)
    assert result["held_out"] and result["refitted"] and result["table_rows"] == 27
    assert result["model_bytes"] == sum(one.stat().st_size for one in model.iterdir())


def test_fit_for_people(data: Path, tmp_path: Path) -> None:
    done = call("fit-ctr", data, "--threshold", 4, "--out", tmp_path / "m", *FAST, "--no-refit")
    assert done.code == 0, done.err
    assert "measured on a part held out of it: 90 impressions" in done.out
    assert "calibration_error" in done.out and "52 rows of users and items; " in done.out
    assert "fitted again" not in done.out


def test_score_writes_a_row_a_candidate(model: Path, candidates: Path, tmp_path: Path) -> None:
    done = call("score", model, "--in", candidates, "--out", tmp_path / "scores.parquet")
    assert done.code == 0, done.err
    assert "3 rows written to" in done.err
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.column_names == ["user_id", "item_id", "score"]
    assert table.equals(load_ctr(model).score(candidates))
    shown = call("score", model, "--in", candidates, "--json").json["rows"]
    assert shown == table.to_pylist()
    assert "user_id  item_id" in call("score", model, "--in", candidates).out


def test_score_places_those_who_came_later(model: Path, candidates: Path, tmp_path: Path) -> None:
    (tmp_path / "later.csv").write_text("user_id,item_id\nnew,i1\nnew,i2\n")
    plain = call("score", model, "--in", candidates, "--json").json["rows"]
    later = call("score", model, "--in", candidates, "--extend", tmp_path / "later.csv", "--json")
    rows = later.json["rows"]
    assert rows[:2] == plain[:2] and rows[2]["score"] != plain[2]["score"]


def test_evaluate_measures_chances(model: Path, data: Path, tmp_path: Path) -> None:
    done = call("evaluate", model, "--test", data / "small.inter", "--json")
    assert done.code == 0, done.err
    assert done.json["impressions_evaluated"] == 900
    other = call("evaluate", model, "--test", data / "small.inter", "--threshold", 5, "--json")
    assert other.json["predicted_over_true"] > done.json["predicted_over_true"]
    assert "log_loss" in call("evaluate", model, "--test", data / "small.inter").out
    text = (data / "small.inter").read_text()
    (tmp_path / "test.inter").write_text(text.replace("user_id", "uid"))
    (tmp_path / "train.inter").write_text(text)
    named = call("evaluate", model, "--test", tmp_path, "--user", "uid", "--json")
    assert named.json["auc"] == done.json["auc"]
    for flag in ("-k", "--rating", "--time"):
        refused = call("evaluate", model, "--test", data / "small.inter", flag, 5)
        assert f"a model of clicks makes no lists, so {flag} means nothing" in refused.message


def test_inspect_shows_a_model_of_clicks(model: Path) -> None:
    done = call("inspect", model, "--json")
    assert done.json["recipe"]["table"]["method"]["name"] == "graph" and done.json["verified"]
    assert "model.name" in call("inspect", model).out


def test_export_writes_onnx(model: Path, tmp_path: Path) -> None:
    done = call("export", model, "--out", tmp_path / "model.onnx", "--json")
    assert done.code == 0, done.err
    assert done.json["bytes"] == (tmp_path / "model.onnx").stat().st_size
    refused = call("export", model, "--out", tmp_path / "model.pt")
    assert "only ONNX is written; expected a name ending in .onnx" in refused.message


def test_recommend_ranks_what_codes_retrieve(model: Path, data: Path, tmp_path: Path) -> None:
    done = call(
        "fit", data / "small.inter", "--out", tmp_path / "codes", "--no-evaluate",
        "--set", "encoder.dim=8", "--set", "data.min_rating=5",
    )  # fmt: skip
    assert done.code == 0, done.err
    asked = ("recommend", tmp_path / "codes", "u1", "u2", "-k", 3, "--candidates", 6)
    ranker = ("--ranker", model, "--context", "page=home")
    rows = call(*asked, *ranker, "--json").json["rows"]
    assert [row["rank"] for row in rows] == [1, 2, 3] * 2
    scores = [row["score"] for row in rows]
    assert scores[:3] == sorted(scores[:3], reverse=True) and all(0 < one < 1 for one in scores)
    assert "expected 'page'; got none. Give them with" in call(*asked, "--ranker", model).message
    assert (
        "cannot read --context; expected FIELD=VALUE"
        in call(*asked, "--ranker", model, "--context", "page").message
    )
    assert "--context needs a model" in call(*asked, "--context", "page=home").message
    history = call("recommend", tmp_path / "codes", "--history", "i1", "--ranker", model)
    assert "--ranker ranks the best of known users" in history.message


RATED = ("--threshold", 4)
WRONG: list[tuple[tuple[object, ...], str]] = [
    ((), "no column is known to be the label; got the columns 'user_id', 'item_id', 'rating'"),
    (("--label", "rating"), "labels are 0 or 1; expected 0 or 1 in every row; got"),
    (("--label", "ratings"), "there is no column 'ratings'; .* Did you mean rating"),
    (("--threshold", 9), "labels of one class; expected both 0 and 1; got .* rows, all 0"),
    ((*RATED, "--numeric", "page"), "a numeric field holds what is no number; .*home"),
    ((*RATED, "--ignore", "pages"), "there is no column 'pages' to ignore; .*page"),
    ((*RATED, "--set", "dims=3"), "unknown key dims, known are"),
    ((*RATED, "--set", "model.name=dnc"), "unknown model 'dnc'; .* Did you mean dcn"),
    ((*RATED, "--set", "table.rows=0.1"), "a full table has a row for each id"),
    ((*RATED, "--set", "fields.min_count=1000"), "a field that says nothing; .*no value"),
]


@pytest.mark.parametrize(("more", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
def test_what_is_wrong_is_said(
    data: Path, tmp_path: Path, more: tuple[object, ...], words: str
) -> None:
    done = call("fit-ctr", data, "--out", tmp_path / "m", *FAST, *more)
    assert re.search(words, done.message), done.message
    assert not (tmp_path / "m").exists()


def test_a_column_of_one_value_is_named(data: Path, tmp_path: Path) -> None:
    rows = {"user": ["a", "b"] * 20, "item": ["x", "y", "z", "w"] * 10, "label": [0, 1, 1, 0] * 10,
            "shop": ["only"] * 40}  # fmt: skip
    pa.csv.write_csv(pa.table(rows), tmp_path / "log.csv")
    done = call("fit-ctr", tmp_path / "log.csv", "--out", tmp_path / "m", *FAST)
    assert (
        "shop: a field that says nothing; expected at least two values; got 'only'" in done.message
    )
    again = call(
        "fit-ctr", tmp_path / "log.csv", "--out", tmp_path / "m", *FAST, "--ignore", "shop"
    )
    assert again.code == 0, again.err


def test_boards_are_told_what_the_journal_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params: dict[str, Any] = {}
    told: list[tuple[str, float, int]] = []
    fake: Any = ModuleType("mlflow")
    fake.log_params = params.update
    fake.log_metrics = lambda metrics, step: told.extend(
        (name, value, step) for name, value in metrics.items()
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    done = call("fit-ctr", data, "--threshold", 4, "--out", tmp_path / "m", "--mlflow", *FAST)
    assert done.code == 0, done.err
    assert params["fit.choose.name"] == "dcn" and params["everything.all.crosses"] == 2
    lines = (tmp_path / "m.training" / "journal.jsonl").read_text().splitlines()
    journal = [event for line in lines if (event := json.loads(line))["stage"] == "fit"]
    assert [one["event"] for one in journal] == ["start", *["epoch", "evaluation"] * 2, "end"]
    for name, event in (("loss", "epoch"), ("auc", "evaluation")):
        found = [(value, step) for key, value, step in told if key == f"fit/choose/{name}"]
        wanted = [(one[name], one["epoch"]) for one in journal if one["event"] == event]
        assert wanted and set(wanted) <= set(found)
    absent = call("fit-ctr", data, "--out", tmp_path / "n", "--tensorboard", tmp_path / "t", *FAST)
    assert "tensorboard is not installed. Run pip install" in absent.message


def test_models_of_two_kinds_are_not_taken_for_one_another(model: Path) -> None:
    assert 'expected "format": "hashrec-model"' in call("recommend", model, "u1").message


def test_later_parts_are_read_with_the_kinds_of_train(tmp_path: Path) -> None:
    """Bug: codes that were all digits in the test part were numbers there, and the run broke."""
    rng = np.random.default_rng(0)
    for name, codes in (("train", ["A", "7", "8"]), ("test", ["7", "8"]), ("valid", ["8", "7"])):
        rows = [f"{rng.integers(9)},{rng.integers(9)},{codes[at % len(codes)]},{at % 2}"
                for at in range(120)]  # fmt: skip
        (tmp_path / f"{name}.csv").write_text("\n".join(["user,item,code,label", *rows]) + "\n")
    done = call("fit-ctr", tmp_path, "--out", tmp_path / "m", *FAST, "--json")
    assert done.code == 0, done.err
    assert done.json["impressions_evaluated"] == 120 and not done.json["held_out"]
    assert "train.csv and " in done.err and "valid.csv (csv): 240 rows" in done.err
    (tmp_path / "test.csv").write_text("user,item,label\n1,2,0\n2,3,1\n")
    refused = call("fit-ctr", tmp_path, "--out", tmp_path / "n", *FAST)
    assert (
        "fields that the model looks at are missing; expected the columns 'code'" in refused.message
    )
    (tmp_path / "test.csv").write_text("user,item,code,label\n1,2,7,1\n2,3,8,1\n")
    refused = call("fit-ctr", tmp_path, "--out", tmp_path / "n", *FAST)
    assert "the test part has labels of one class" in refused.message
    assert not (tmp_path / "n").exists() and "epoch 1" not in refused.err


def test_ratings_of_a_test_part_become_labels_as_in_train(data: Path, tmp_path: Path) -> None:
    log = data / "small.inter"
    options = ("--test", log, "--out", tmp_path / "m", *FAST, "--json")
    done = call("fit-ctr", log, "--threshold", 4, *options)
    assert done.code == 0, done.err
    assert f"{log}: 900 rows, " in done.err
    assert abs(done.json["predicted_over_true"] - 1) < 0.5


def test_what_is_for_clicks_is_refused_elsewhere(data: Path, tmp_path: Path) -> None:
    log = data / "small.inter"
    call("fit", log, "--out", tmp_path / "codes", "--no-evaluate", "--set", "encoder.dim=8")
    done = call("evaluate", tmp_path / "codes", "--test", log, "--threshold", 4)
    assert "--threshold is for models of clicks, and this is none" in done.message


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    done = call("fit-ctr", tmp_path, "--out", tmp_path / "x")
    assert "this folder has no train part" in done.message
