"""`recommend`, `similar`, `inspect` and `doctor` on a good model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest
from conftest import SMALL, TRAIN, Run, pairs, write_csv

from hashrec import __version__
from hashrec.recommender import load
from hashrec.search import ENGINES
from hashrec.simd import instruction_set


def test_one_user_for_people(hashrec: Run, model: Path) -> None:
    done = hashrec("recommend", model, "u3", "-k", 4)
    assert done.code == 0
    head, *rows = [line.split() for line in done.out.splitlines()]
    assert head == ["user", "item", "score", "rank"]
    expected = load(model).recommend(["u3"], k=4).to_pylist()
    assert rows == [
        ["u3", row["item"], f"{row['score']:.4f}", str(row["rank"])] for row in expected
    ]
    assert done.err == ""


def test_some_users_as_json(hashrec: Run, model: Path) -> None:
    done = hashrec("recommend", model, "u3", "u1", "-k", 2, "--json")
    assert done.json == {"rows": load(model).recommend(["u3", "u1"], k=2).to_pylist()}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_all_users_to_a_file(hashrec: Run, model: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"all.{suffix}"
    out.write_text("what stood there before")
    done = hashrec("recommend", model, "--all", "-k", 3, "--out", out)
    assert (done.code, done.out) == (0, "")
    assert f"{3 * TRAIN.n_users} rows written to {out}" in done.err
    readers = {"parquet": pyarrow.parquet.read_table, "csv": pyarrow.csv.read_csv}
    table = readers[suffix](out)
    expected = load(model).recommend(k=3)
    for column in ("user", "item", "rank"):
        assert table[column].to_pylist() == expected[column].to_pylist()
    seen = set(pairs(TRAIN))
    assert not seen & set(zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(
    "words",
    ["M -k 2 u3 u1", "M u3 -k 2 u1", "-k 2 M u3 u1", "M -k 2 -- u3 u1", "M u3 -k 2 -- u1"],
)
def test_options_may_stand_between_the_ids(hashrec: Run, model: Path, words: str) -> None:
    """Bug: `recommend MODEL -k 5 USER` was refused as unrecognized."""
    expected = load(model).recommend(["u3", "u1"], k=2).to_pylist()
    arguments = [model if word == "M" else word for word in words.split()]
    assert hashrec("recommend", "--json", *arguments).json == {"rows": expected}
    similar = [str(word).replace("u", "i") if word != model else word for word in arguments]
    found = hashrec("similar", "--json", *similar).json["rows"]
    assert found == load(model).similar(["i3", "i1"], k=2).to_pylist()


def test_seen_items_on_request(hashrec: Run, model: Path) -> None:
    done = hashrec("recommend", model, "u3", "-k", 999, "--include-seen", "--json")
    assert len(done.json["rows"]) == load(model).fitted.seen.n_columns
    fewer = hashrec("recommend", model, "u3", "-k", 999, "--json")
    assert len(fewer.json["rows"]) < len(done.json["rows"])


def test_a_threshold_is_inclusive(hashrec: Run, model: Path) -> None:
    rows = hashrec("recommend", model, "u3", "-k", 999, "--json").json["rows"]
    bound = rows[6]["score"]
    found = hashrec("recommend", model, "u3", "--threshold", repr(bound), "--json").json["rows"]
    assert found == [row for row in rows if row["score"] >= bound]
    assert hashrec("recommend", model, "u3", "--threshold", "1e9", "--json").json == {"rows": []}
    assert hashrec("recommend", model, "u3", "--threshold=-1e9", "--json").json["rows"] == rows


def test_unknown_ids_are_skipped_on_request(hashrec: Run, model: Path) -> None:
    one = hashrec("recommend", model, "u3", "--json")
    assert hashrec("recommend", model, "u3", "x", "--unknown", "skip", "--json").json == one.json
    similar = hashrec("similar", model, "x", "i3", "--unknown", "skip", "-k", 2, "--json")
    assert similar.json == hashrec("similar", model, "i3", "-k", 2, "--json").json


def test_a_history(hashrec: Run, model: Path) -> None:
    done = hashrec("recommend", model, "--history", "i3,i7", "-k", 3, "--json")
    expected = load(model).recommend_history([["i3", "i7"]], k=3).to_pylist()
    assert done.json == {"rows": expected}


def test_items_with_commas_quotes_and_blanks_in_a_history(hashrec: Run, tmp_path: Path) -> None:
    titles = ["Bonnie, Clyde", 'The "Best"', " padded ", "plain", "日本"]
    rows = [(f"u{n}", title) for n in range(6) for title in titles if len(title) != n + 2]
    log = write_csv(tmp_path / "log.csv", rows)
    model = tmp_path / "m"
    assert hashrec("fit", log, "--out", model, "--no-evaluate", *SMALL).code == 0
    for history in (titles[:2], titles[2:], [titles[0]]):
        text = ",".join(f'"{title.replace(chr(34), chr(34) * 2)}"' for title in history)
        found = hashrec("recommend", model, "--history", text, "--json").json["rows"]
        assert sorted(row["item"] for row in found) == sorted(set(titles) - set(history))
    (row,) = csv.reader(['plain,"Bonnie, Clyde"'])
    assert row == ["plain", "Bonnie, Clyde"]
    found = hashrec("recommend", model, "--history", 'plain,"Bonnie, Clyde"', "--json")
    assert len(found.json["rows"]) == 3


@pytest.mark.parametrize(
    "ids",
    [
        ["007", "07", "7", "0"],
        ["ünï", "日本", "😀", "é"],
        ['say "hi"', "a,b", "it's", "semi;colon"],
        ["9223372036854775807", "-9223372036854775808", "0", "1"],
        ["18446744073709551615", "9223372036854775808", "0", "1"],
    ],
    ids=["leading zeros", "unicode", "quotes", "int64", "uint64"],
)
def test_ids_of_every_kind_go_through(hashrec: Run, tmp_path: Path, ids: list[str]) -> None:
    rows = [(user, item) for user in ids for item in ids if user != item]
    log = write_csv(tmp_path / "log.csv", rows)
    assert hashrec("fit", log, "--out", tmp_path / "m", "--no-evaluate", *SMALL).code == 0
    for one in ids:
        found = hashrec("recommend", tmp_path / "m", "--json", "--", one)
        assert [(str(row["user"]), str(row["item"])) for row in found.json["rows"]] == [(one, one)]
        near = hashrec("similar", tmp_path / "m", "--json", "--", one).json["rows"]
        assert {str(row["similar"]) for row in near} == set(ids) - {one}


def test_duplicated_rows_count_once_and_are_counted(hashrec: Run, tmp_path: Path) -> None:
    rows = pairs(TRAIN)
    log = write_csv(tmp_path / "log.csv", rows + rows[:10])
    done = hashrec("fit", log, "--out", tmp_path / "m", "--no-evaluate", "--json", *SMALL)
    assert done.code == 0
    assert "10 merged as duplicates" in done.err
    counts = hashrec("inspect", tmp_path / "m", "--json").json["counts"]
    assert counts["interactions"] == len(rows)


def test_only_what_a_file_allows(hashrec: Run, model: Path, tmp_path: Path) -> None:
    stock = tmp_path / "stock.txt"
    stock.write_text("i1\ni4\n\ni7\ni9\n", encoding="utf-8")
    done = hashrec("recommend", model, "u3", "-k", 2, "--allow", stock, "--json")
    expected = load(model).recommend(["u3"], k=2, allow=["i1", "i4", "i7", "i9"]).to_pylist()
    assert done.json == {"rows": expected}
    assert {row["item"] for row in expected} <= {"i1", "i4", "i7", "i9"}
    done = hashrec("recommend", model, "--history", "i1", "-k", 9, "--allow", stock, "--json")
    assert {row["item"] for row in done.json["rows"]} == {"i4", "i7", "i9"}
    missing = hashrec("recommend", model, "u3", "--allow", tmp_path / "no.txt")
    assert missing.code == 2
    assert "cannot read the ids that are allowed" in missing.err


def test_similar(hashrec: Run, model: Path) -> None:
    done = hashrec("similar", model, "i3", "i7", "-k", 2, "--json")
    assert done.json == {"rows": load(model).similar(["i3", "i7"], k=2).to_pylist()}
    shown = hashrec("similar", model, "i3", "-k", 2)
    assert shown.out.splitlines()[0].split() == ["item", "similar", "score", "rank"]
    assert len(shown.out.splitlines()) == 3


def test_similar_to_a_file(hashrec: Run, model: Path, tmp_path: Path) -> None:
    done = hashrec("similar", model, "i3", "-k", 2, "--out", tmp_path / "s.csv")
    assert (done.code, done.out) == (0, "")
    assert pyarrow.csv.read_csv(tmp_path / "s.csv").num_rows == 2


def test_inspect_shows_what_the_manifest_holds(hashrec: Run, model: Path) -> None:
    result = hashrec("inspect", model, "--json").json
    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    assert result["verified"] is True
    for key in ("recipe", "counts", "sizes", "facts", "item_codes"):
        assert result[key] == manifest[key]
    assert result["files"] == {path.name: path.stat().st_size for path in model.iterdir()}
    assert result["counts"]["interactions"] == TRAIN.n_interactions
    engine = load(model)._index.name
    assert result["search"] == {"engine": engine, "instructions": instruction_set() or "plain"}


def test_inspect_for_people_says_that_the_checksums_are_good(hashrec: Run, model: Path) -> None:
    done = hashrec("inspect", model)
    assert done.code == 0
    assert done.out.rstrip().endswith("checksums good")
    assert any(line.split() == ["encoder.dim", "16"] for line in done.out.splitlines())
    quick = hashrec("inspect", model, "--no-verify")
    assert quick.out.rstrip().endswith("checksums not checked")


def test_doctor(hashrec: Run) -> None:
    result = hashrec("doctor", "--json").json
    assert result["hashrec"] == __version__
    assert result["kernels"]["work"] is True
    assert result["kernels"]["instructions"] == (instruction_set() or "plain")
    assert result["engines"] == dict.fromkeys(ENGINES, True)
    assert "not installed" not in result["packages"].values()
    shown = hashrec("doctor").out.splitlines()
    assert shown[0] == f"hashrec: {__version__}"
    assert "  scan: True" in shown


def test_the_version(hashrec: Run) -> None:
    assert hashrec("--version").out == f"hashrec {__version__}\n"


@pytest.mark.parametrize(
    "command", ["fit", "evaluate", "recommend", "similar", "inspect", "bench", "doctor"]
)
def test_every_command_explains_itself(hashrec: Run, command: str) -> None:
    assert command in hashrec("--help").out
    done = hashrec(command, "--help")
    assert done.code == 0
    for option in ("--json", "--seed", "--threads"):
        assert option in done.out
