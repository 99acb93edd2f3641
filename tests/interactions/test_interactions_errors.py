"""Bad input: one clear error each, naming the file, what was wrong, and what to do."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from interactions_writing import write_parquet

from hashrec.errors import DataError, UsageError
from hashrec.interactions import read
from hashrec.interactions.formats.opening import _SAMPLE

HEADER = "user,item,rating,time\n"
LONG = "u,i,1,1\n" * (_SAMPLE // 8 + 10)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", "the file is empty; expected interactions; got 0 bytes"),
        ("a.parquet", "", "the file is empty"),
        ("a.txt", "", "the file is empty"),
        ("a.csv", HEADER, "there are no interactions; expected rows of data; got a header and"),
        ("a.csv", HEADER.rstrip(), "no interactions.*a header and nothing below it"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "no interactions.*blank lines only"),
        ("a.csv", "\n\r\n", "no interactions.*blank lines only"),
        ("a.csv", HEADER + "\n\n", "no interactions.*a header"),
        ("a.inter", "user_id:token\titem_id:token\n", "no interactions.*a header"),
        ("a.csv", "who,item\n1,2\n", "no column is known to be the user; got .*'who', 'item'"),
        ("a.csv", "u1,i1\nu2,i2\n", "no column is known .*got the columns 'u1', 'i1'"),
        ("a.csv", HEADER + "1,2,3,4\n1,2,3,4,5\n",
         "row 3 has 5 fields; expected 4, as in the first row; got '1,2,3,4,5'. Mend that row"),
        ("a.csv", "1,2\n3\n", "row 2 has 1 fields; expected 2"),
        ("a.csv", HEADER + LONG + "short,1\n",
         f"row {LONG.count(chr(10)) + 2} has 2 fields; expected 4"),
        ("a.tsv", "user\titem\n1\t2\t3\n", "row 2 has 3 fields; expected 2"),
        ("a.dat", "1::2::3\n1::2\n", "row 2 has 2 fields; expected 3"),
        ("a.csv", HEADER + '1,2,3,4\n"1,2,3,4\n' + LONG * 5,
         "row 3 has 1 fields.*Look for a quotation mark that is opened"),
        ("a.csv", gzip.compress(HEADER.encode(), mtime=0),
         "the content of this file is gzip; expected text; got gzip bytes. "
         "Rename it to a.csv.gz"),
        ("a.csv.gz", HEADER, "the file is not compressed; expected gzip.*Rename it to a.csv"),
        ("a.csv", "PAR1....", "content of this file is parquet.*Rename it to a.parquet"),
        ("a.txt", b"PK\x03\x04..", "content of this file is zip"),
        ("a.csv.gz", gzip.compress((HEADER + LONG).encode(), mtime=0)[:-30],
         "file cannot be read.*Check that it is whole"),
        ("a.txt.gz", gzip.compress(b"1 2 3\n1 2\n" * 99999, mtime=0)[:-30], "file cannot be read"),
        ("a.csv", HEADER.encode() + b"M\xfcller,1,1,1\n",
         "not UTF-8 text; expected UTF-8; got byte 0xfc. Save it again"),
        ("a.csv", (HEADER + LONG).encode() + b"M\xfcller,1,1,1\n", "not UTF-8 text"),
        ("a.txt", b"1 2 \xff\n1 2\n", "not UTF-8 text"),
        ("a.csv", HEADER.encode("utf-16"), "not UTF-8 text; expected UTF-8; got byte 0xff"),
        ("a.csv", HEADER + ",1,1,1\nx,2,2,2\n,1,1,1\n",
         "column 'user': missing ids; expected a value in every row; got 2 missing, "
         "the first in row 2"),
        ("a.csv", HEADER + "a,b,4,1\na,c,,1\n",
         "column 'rating': missing ratings.*1 missing, the first in row 3.*--rating none"),
        ("a.csv", HEADER + "a,b,good,1\n", "column 'rating': ratings are not numbers.*'good'"),
        ("a.csv", HEADER + "a,b,4,soon\n", "column 'time': times cannot be understood.*'soon'"),
        ("a.parquet", "PAR1 no more", "not a whole parquet file.*magic.*Copy or write it again"),
        ("a.parquet", "a,b\n1,2\n", "not a whole parquet file"),
        ("a.npz", b"PK\x03\x04 no more", "not a sparse matrix; expected .*save_npz"),
        ("a.dat", "1,2,3\n", "no MovieLens ratings file; expected user::item::rating::timestamp"),
        ("a.dat", "1::F::1::10::48067\n", "no MovieLens ratings file.*got '1::F::1::10::48067'"),
        ("a.json", "{}", r"format cannot be told.*expected .csv, .tsv.*format=\.\.\. \(--format"),
        ("a.parquet.gz", gzip.compress(b"x", mtime=0), "format cannot be told"),
        ("a", "user,item\n1,2\n", "format cannot be told from the name"),
    ],
)  # fmt: skip
def test_bad_files_are_explained(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", [("a", 1)] * 100)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"log.parquet: this is not a whole parquet file"):
        read(path)


def test_a_parquet_file_damaged_inside(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", [(f"u{at}", at) for at in range(1000)])
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"log.parquet: this is not a whole parquet file"):
        read(path)


def test_a_parquet_file_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pa.parquet.write_table(pa.table({"user": pa.array([], pa.int64()), "item": []}), path)
    with pytest.raises(DataError, match=r"log.parquet: there are no interactions"):
        read(path)


def test_a_quotation_mark_that_swallows_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + '"' + LONG * 20)
    with pytest.raises(DataError, match="told apart.*straddl.*quotation mark that is opened"):
        read(tmp_path / "a.csv")


def test_an_npz_with_pickled_objects_is_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", format=np.array([print], dtype=object))
    with pytest.raises(DataError, match="not a sparse matrix.*allow_pickle=False"):
        read(tmp_path / "a.npz")


def test_lightgcn_lines_without_items(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1\n2\n")
    with pytest.raises(DataError, match="no interactions.*user item item.*no line with an item"):
        read(tmp_path / "a.txt", format="lightgcn")


def test_an_absent_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item\n1,2\n")
    with pytest.raises(DataError, match=r"event.csv: no such file. Did you mean events.csv"):
        read(tmp_path / "event.csv")
    with pytest.raises(DataError, match=r"no such file. In that folder are: events.csv"):
        read(tmp_path / "zzzzzzzzzz.parquet")
    with pytest.raises(DataError, match="no such file; got no folder .*nowhere' either"):
        read(tmp_path / "nowhere" / "log.csv")


def test_a_word_that_is_neither_file_nor_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="debain: neither a file nor built-in data; expected .*or "
                       "one of: debian. Did you mean debian"):  # fmt: skip
        read("debain")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item\n1,2\n")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="cannot be opened; got Permission denied. Check"):
        read(path)


def test_a_folder_is_for_read_parts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this is a folder; expected a file.*read_parts.*fit"):
        read(tmp_path)


def test_unknown_formats_are_listed(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n1,2\n")
    with pytest.raises(DataError, match="unknown format 'csvv'.*one of csv, .*mean csv"):
        read(tmp_path / "log.csv", format="csvv")


@pytest.mark.parametrize("source", [7, None, {"user": [1]}, np.zeros((2, 2)), [("a", "b")]])
def test_other_objects_are_no_source(source: Any) -> None:
    words = f"a {type(source).__name__} cannot be read.*expected a path, a pandas"
    with pytest.raises(DataError, match=words):
        read(source)


def test_only_files_have_a_format() -> None:
    with pytest.raises(UsageError, match="only files have a format; got format='csv' for DataFr"):
        read(pd.DataFrame({"user": [1], "item": [2]}), format="csv")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"user": [1.5, 2.0], "item": [1, 2]}, "column 'user': ids are floating-point numbers"),
        ({"user": [1, 2], "item": [1.0, None]}, "column 'item': missing ids.*1 missing, .* row 2"),
        ({"user": ["a", None, None], "item": [1, 2, 3]}, "missing ids.*got 2 missing"),
        ({"user": [1, "a"], "item": [1, 2]}, "column 'user': this column holds values of several"),
        ({"user": [[1], [2]], "item": [1, 2]}, "column 'user': this column cannot hold ids"),
        ({"user": [], "item": []}, "there are no interactions"),
        ({"user": [1], "item": [1], "rating": [np.nan]}, "missing ratings.*--rating none"),
    ],
)
def test_bad_frames_are_explained(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(pd.DataFrame(columns))
    assert str(caught.value).startswith("pandas DataFrame")


def test_frames_with_two_columns_of_one_name() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["user", "user", "item"])
    with pytest.raises(DataError, match=re.compile("pandas DataFrame.*user", re.DOTALL)):
        read(frame)


@pytest.mark.parametrize(
    "matrix", [scipy.sparse.csr_array(np.eye(2) * 1j), scipy.sparse.coo_array(np.ones(3))]
)
def test_matrices_that_hold_no_interactions(matrix: Any) -> None:
    with pytest.raises(DataError, match="matrix cannot hold interactions; expected two dimensions"):
        read(matrix)


def test_a_matrix_of_zeros_is_empty() -> None:
    with pytest.raises(DataError, match="sparse matrix: there are no interactions"):
        read(scipy.sparse.csr_array((3, 3)))


@pytest.mark.parametrize("column", ["rating", "time"])
def test_ignored_columns_may_hold_anything(column: str) -> None:
    frame = pd.DataFrame({"user": [1], "item": [-1], column: ["rubbish"]})
    assert read(frame, **{column: "none"}).n_interactions == 1
