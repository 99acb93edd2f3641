"""Criteo's click logs: forty fields between tabs, no header, empty where nothing is known."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from hashrec.errors import DataError
from hashrec.interactions.formats import FORMATS, open_path
from hashrec.interactions.formats.rows import Rows

NAMES = ("label", *(f"I{at}" for at in range(1, 14)), *(f"C{at}" for at in range(1, 27)))
ROWS = (
    "\t".join(["1", *map(str, range(13)), *(f"w{at}" for at in range(26))])
    + "\n"
    + "\t".join(["0", *[""] * 39])
    + "\n"
    + "\t".join(["0", "-1", *[""] * 37, 'the "last"'])
    + "\n"
)


def written(path: Path, content: str) -> Path:
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


@pytest.mark.parametrize("name", ["day_0", "train.txt", "day_0.gz"])
def test_columns_have_names_and_kinds(tmp_path: Path, name: str) -> None:
    source = open_path(written(tmp_path / name, ROWS), "criteo")
    assert (source.format, source.columns, source.first_row) == ("criteo", NAMES, 1)
    assert source.text
    assert source.kinds == {
        name: "numeric" if name.startswith("I") else "categorical" for name in NAMES[1:]
    }


def test_empty_fields_are_missing_and_the_rest_as_it_stands(tmp_path: Path) -> None:
    source = open_path(written(tmp_path / "day", ROWS), "criteo")
    assert source.load("label").to_pylist() == ["1", "0", "0"]
    assert source.load("I1").to_pylist() == ["0", None, "-1"]
    assert source.load("I13").to_pylist() == ["12", None, None]
    assert source.load("C1").to_pylist() == ["w0", None, None]
    assert source.load("C26").to_pylist() == ["w25", None, 'the "last"']


@pytest.mark.parametrize("content", [ROWS.rstrip("\n"), "\n\n" + ROWS, ROWS.replace("\n", "\r\n")])
def test_line_ends_do_not_matter(tmp_path: Path, content: str) -> None:
    source = open_path(written(tmp_path / "day", content), "criteo")
    assert source.load("label").to_pylist() == ["1", "0", "0"]
    assert source.load("C26").to_pylist()[:2] == ["w25", None]


def test_the_first_row_may_be_empty_at_both_ends(tmp_path: Path) -> None:
    source = open_path(written(tmp_path / "day", "\t" * 39 + "\n"), "criteo")
    assert [source.load(name).to_pylist() for name in ("label", "I1", "C26")] == [[None]] * 3


def test_a_test_part_has_no_label(tmp_path: Path) -> None:
    content = "".join(line.partition("\t")[2] + "\n" for line in ROWS.splitlines())
    source = open_path(written(tmp_path / "test.txt", content), "criteo")
    assert source.columns == NAMES[1:]
    assert source.load("I1").to_pylist() == ["0", None, "-1"]
    assert source.load("C26").to_pylist() == ["w25", None, 'the "last"']


def test_columns_come_several_a_pass_and_as_they_come_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bug: forty columns were forty passes over the file."""
    source = open_path(written(tmp_path / "day", ROWS), "criteo")
    alone = {name: source.load(name).to_pylist() for name in NAMES}
    passes: list[tuple[str, ...]] = []
    real = Rows.read

    def read(self: Rows, *columns: int) -> list[Any]:
        passes.append(tuple(NAMES[at] for at in columns))
        return real(self, *columns)

    monkeypatch.setattr(Rows, "read", read)
    asked = NAMES[::-1]
    found = [(column.name, column.values.to_pylist()) for column in source.each(asked)]
    assert found == [(name, alone[name]) for name in asked]
    assert sum(passes, ()) == asked and len(passes) == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1\t2\n", "this is no log of Criteo's; expected maybe a label, 13 numbers and 26 words "
                   "a row, between tabs; got 2 fields. Leave out the format"),
        (ROWS.replace("\t", ","), "no log of Criteo's.*got 1 field"),
        ("x\t" + ROWS, "no log of Criteo's.*got 41 fields"),
        ("", "the file is empty"),
        ("\n\n", "no log of Criteo's"),
    ],
    ids=["two", "commas", "one more", "empty", "blank"],
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_path(written(tmp_path / "day", content), "criteo")


def test_a_row_that_breaks_off_is_named(tmp_path: Path) -> None:
    source = open_path(written(tmp_path / "day", ROWS + "1\t2\n"), "criteo")
    with pytest.raises(DataError, match="row 4 has 2 fields; expected 40"):
        source.load("label")


def test_nothing_is_taken_for_criteo_by_itself(tmp_path: Path) -> None:
    assert FORMATS["criteo"].suffixes == ()
    with pytest.raises(DataError, match="format cannot be told from the name"):
        open_path(written(tmp_path / "day", ROWS), None)
