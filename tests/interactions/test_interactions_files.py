"""Folders of parts, built-in data, and what `read` takes besides files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from interactions_writing import pairs_of, write_parquet, write_text

import hashrec.interactions as room
from hashrec.errors import DataError
from hashrec.interactions import Cleaning, builtin, read, read_parts

TRAIN = [("a", 1), ("b", 2), ("c", 1)]
TEST = [("a", 3), ("a", 1), ("z", 2)]


def test_the_public_names_are_sorted_and_there() -> None:
    # ruff sorts constants before classes before functions
    groups = [str.isupper, lambda name: name[0].isupper() and not name.isupper(), str.islower]
    assert room.__all__ == [name for test in groups for name in sorted(filter(test, room.__all__))]
    assert all(hasattr(room, name) for name in room.__all__)


@pytest.mark.parametrize("valid", ["valid.tsv", "val.tsv", "validation.tsv", "VALID.tsv", None])
def test_a_folder_of_parts_shares_its_ids(tmp_path: Path, valid: str | None) -> None:
    write_text(tmp_path / "train.csv.gz", TRAIN, ",")
    write_parquet(tmp_path / "test.parquet", TEST)
    (tmp_path / "README.md").write_text("train")
    (tmp_path / "test.json").write_text("{}")
    if valid:
        write_text(tmp_path / valid, [("b", 9)], "\t")
    parts = read_parts(tmp_path)
    assert parts.test is not None
    assert pairs_of(parts.train) == set(TRAIN)
    assert pairs_of(parts.test) == set(TEST)
    assert parts.train.users is parts.test.users
    assert parts.train.items is parts.test.items
    assert parts.train.users.array.to_pylist() == ["a", "b", "c", "z"]
    if valid:
        assert parts.valid is not None
        assert pairs_of(parts.valid) == {("b", 9)}
    else:
        assert parts.valid is None


def test_interactions_in_two_parts_are_kept_and_counted(tmp_path: Path) -> None:
    write_text(tmp_path / "train.csv", TRAIN, ",")
    write_text(tmp_path / "valid.csv", [("a", 3), ("b", 2)], ",")
    write_text(tmp_path / "test.csv", TEST, ",")
    parts = read_parts(tmp_path)
    assert parts.valid is not None
    assert parts.test is not None
    overlaps = [part.report.overlap for part in (parts.train, parts.valid, parts.test)]
    assert overlaps == [0, 1, 2]
    assert "2 also in an earlier part" in parts.test.report.lines()
    assert (parts.test.report.users, parts.test.report.items) == (2, 3)


def test_parts_of_different_types_meet_as_text(tmp_path: Path) -> None:
    write_text(tmp_path / "train.csv", [(1, 10), (2, -3)], ",")
    write_text(tmp_path / "test.csv", [("x2", 2**63), (2, 10)], ",")
    parts = read_parts(tmp_path)
    assert parts.test is not None
    assert parts.train.users.array.to_pylist() == ["1", "2", "x2"]
    # Negative and beyond int64: no integer type holds both.
    assert parts.train.items.array.to_pylist() == ["-3", "10", str(2**63)]
    assert pairs_of(parts.test) == {("x2", str(2**63)), ("2", "10")}


def test_parts_of_small_and_of_large_integers_meet_as_uint64(tmp_path: Path) -> None:
    write_text(tmp_path / "train.csv", [(1, 1)], ",")
    write_text(tmp_path / "test.csv", [(2**63, 1)], ",")
    assert read_parts(tmp_path).train.users.array.to_pylist() == [1, 2**63]


def rated(folder: Path, name: str, rows: list[tuple[str, str, int]]) -> None:
    pd.DataFrame(rows, columns=["user", "item", "rating"]).to_csv(folder / name, index=False)


def test_the_least_rating_is_for_all_parts_and_the_core_for_none(tmp_path: Path) -> None:
    rated(tmp_path, "train.csv", [("a", "x", 5), ("a", "y", 1), ("low", "low", 1)])
    rated(tmp_path, "test.csv", [("a", "x", 1), ("b", "y", 5)])
    parts = read_parts(tmp_path, cleaning=Cleaning(min_rating=4, user_core=2))
    assert parts.test is not None
    assert pairs_of(parts.train) == {("a", "x")}
    assert pairs_of(parts.test) == {("b", "y")}
    assert parts.train.users.array.to_pylist() == ["a", "b"]
    assert parts.train.items.array.to_pylist() == ["x", "y"]
    assert "user_core and item_core were not applied" in parts.test.report.notes[-1]


def test_the_core_is_taken_where_there_is_only_train(tmp_path: Path) -> None:
    write_text(tmp_path / "train.csv", [("a", 1), ("a", 2), ("b", 1)], ",")
    parts = read_parts(tmp_path, cleaning=Cleaning(user_core=2))
    assert pairs_of(parts.train) == {("a", 1), ("a", 2)}
    assert parts.train.report.notes == ()


def test_a_part_of_which_nothing_is_left_is_named(tmp_path: Path) -> None:
    rated(tmp_path, "train.csv", [("a", "x", 5)])
    rated(tmp_path, "test.csv", [("a", "x", 1)])
    with pytest.raises(DataError, match="test.csv: cleaning leaves nothing"):
        read_parts(tmp_path, cleaning=Cleaning(min_rating=4))


def test_a_single_source_is_all_train(tmp_path: Path) -> None:
    path = write_text(tmp_path / "log.csv", TRAIN, ",")
    for source in (path, str(path), pd.DataFrame(TRAIN, columns=["user", "item"])):
        parts = read_parts(source)
        assert pairs_of(parts.train) == set(TRAIN)
        assert (parts.valid, parts.test) == (None, None)


def test_columns_may_be_named_for_all_parts(tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("who,what,item\na,b,1\n")
    assert pairs_of(read_parts(tmp_path, user="who", item="what").train) == {("a", "b")}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "this folder has no train part; expected train.*got an empty folder"),
        (["a.csv", "test.csv"], "no train part.*got a.csv, test.csv. Name one of its files"),
        (["train.csv", "train.tsv"], "2 files may be the train part.*got train.csv, train.tsv"),
        (["train.csv", "val.csv", "valid.csv"], "2 files may be the valid part"),
    ],
)
def test_folders_that_are_no_parts(tmp_path: Path, files: list[str], words: str) -> None:
    for name in files:
        write_text(tmp_path / name, TRAIN, "\t" if name.endswith("tsv") else ",")
    with pytest.raises(DataError, match=words):
        read_parts(tmp_path)


class FakeData:
    """Stands where importlib.resources finds the package hashrec.data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, package: str) -> Path:
        assert package == "hashrec.data"
        return self.folder


def test_built_in_data_goes_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "debian.parquet", TRAIN)
    monkeypatch.setattr(builtin, "resources", FakeData(tmp_path))
    log = read("debian")
    assert pairs_of(log) == set(TRAIN)
    assert log.report.source == "debian"


def test_a_file_comes_before_built_in_data(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_parquet(tmp_path / "debian", TRAIN)
    assert read("debian", format="parquet").report.source == "debian"
    with pytest.raises(DataError, match="format cannot be told"):
        read("debian")


def test_built_in_data_that_is_not_installed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(builtin, "resources", FakeData(tmp_path))
    with pytest.raises(DataError, match="debian: the built-in data is not in this installation"):
        read("debian")


def test_one_user_is_enough(tmp_path: Path) -> None:
    log = read(write_text(tmp_path / "log.csv", [(-1, 1), (-1, 2)], ","))
    assert (log.n_users, log.n_items) == (1, 2)
    assert log.users.array.to_pylist() == [-1]
