"""Every format by a sample made by hand, and all of them against each other."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from interactions_writing import every_source, pairs_of, table

from hashrec.interactions import Interactions, read
from hashrec.interactions.formats.opening import _SAMPLE

# Text files cannot hold every string: an empty field is a missing one, and a lone return is a
# line end that Python's csv and Arrow quote differently.
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
IDS = {
    "text": WORDS.map(lambda word: "t" + word),
    "quotes": st.sampled_from(["o'b", 'a"b', '"', "x,y", "x;y", "a\tb", "p|q", "two\nlines", "é"]),
    "zeros": st.integers(0, 99).map("{:04d}".format),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(2**63, 2**64 - 1),
}


@pytest.mark.parametrize("kind", IDS)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_every_format_gives_the_same_log(kind: str, data: Any, tmp_path_factory: Any) -> None:
    pairs = data.draw(st.lists(st.tuples(IDS[kind], IDS[kind]), min_size=1, max_size=12))
    sources = every_source(tmp_path_factory.mktemp("log"), pairs)
    logs = {name: read(source) for name, source in sources.items()}
    for name, log in logs.items():
        assert pairs_of(log) == set(pairs), name
    assert len({log.fingerprint() for log in logs.values()}) == 1


def read_text(folder: Path, name: str, text: str | bytes, **options: Any) -> Interactions:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, **options)


COMMAS = "userId,movieId,rating,timestamp\n1,10,4.5,7\n2,11,3,8\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.csv", COMMAS),
        ("log.CSV", COMMAS),
        ("log.csv", COMMAS.replace(",", ";")),
        ("log.csv", COMMAS.replace(",", "\t")),
        ("log.csv", "\ufeff" + COMMAS),
        ("log.csv", COMMAS.replace("\n", "\r\n")),
        ("log.csv", "\n\n" + COMMAS + "\n\n"),
        ("log.csv", COMMAS.rstrip()),
        ("log.csv", '"userId","movieId","rating","timestamp"\n"1","10","4.5","7"\n2,11,3,8\n'),
        ("log.tsv", COMMAS.replace(",", "\t")),
        ("log.txt", COMMAS.replace(",", " ")),
        ("log.txt", COMMAS.replace(",", "|")),
        ("log.inter", COMMAS.replace(",", "\t")),
        ("log.dat", "1::10::4.5::7\n2::11::3::8\n"),
        ("log.dat", "1::10::4.5::7\r\n2::11::3::8\r\n"),
        ("log.csv.gz", gzip.compress(COMMAS.encode(), mtime=0)),
        ("log.txt.gz", gzip.compress(COMMAS.encode(), mtime=0)),
        ("log.tsv.gz", gzip.compress(COMMAS.replace(",", "\t").encode(), mtime=0)),
        ("log.csv", "1,10,4.5,7\n2,11,3,8\n"),
        ("log.csv", "\ufeff1,10,4.5,7\n2,11,3,8\n"),
        ("log.txt", "1 10 4.5 7\n2 11 3 8\n"),
    ],
)
def test_the_same_rows_in_many_dresses(tmp_path: Path, name: str, text: str | bytes) -> None:
    log = read_text(tmp_path, name, text)
    assert pairs_of(log) == {(1, 10), (2, 11)}
    assert log.times is not None
    assert log.times.tolist() == [7, 8]
    assert log.report.rating is not None
    assert log.report.rows == 2


def test_a_file_without_a_header_says_what_was_assumed(tmp_path: Path) -> None:
    log = read_text(tmp_path, "log.csv", "1,10,4.5,2020-01-01,x5,6\n".replace("x", ""))
    assert log.report.notes == (
        "The file has no header row; its columns were taken to be "
        "user, item, rating, time, column 5, column 6.",
    )
    assert (log.report.user, log.report.time) == ("user", "time")


def test_the_separator_is_the_one_all_rows_agree_on(tmp_path: Path) -> None:
    log = read_text(tmp_path, "log.csv", "user;item;said, or not\na;b;x\nc;d;y, z, w\n")
    assert pairs_of(log) == {("a", "b"), ("c", "d")}


def test_recbole_columns_go_by_their_names_without_types(tmp_path: Path) -> None:
    log = read_text(tmp_path, "log.inter", "user_id:token\titem_id:token\nu\ti\n")
    assert (log.report.user, log.report.item) == ("user_id", "item_id")


def test_a_long_text_is_not_judged_by_the_line_it_was_cut_in(tmp_path: Path) -> None:
    """The sample ends inside a line; half a line looked like LightGCN's ragged ones."""
    log = read_text(tmp_path, "log.txt", "12 345\n" * 50_000)
    assert _SAMPLE % 7 == 1
    assert log.report.format == "txt"
    assert pairs_of(log) == {(12, 345)}


def test_a_number_may_be_a_header_if_another_column_is_known(tmp_path: Path) -> None:
    log = read_text(tmp_path, "log.csv", "user,7\na,b\n", item="7")
    assert pairs_of(log) == {("a", "b")}


@pytest.mark.parametrize("odd", ["007", "+1", " 1", "1.0", "-0", "x", str(2**64)])
def test_one_odd_id_keeps_the_whole_column_text(tmp_path: Path, odd: str) -> None:
    log = read_text(tmp_path, "log.csv", f'user,item\n1,5\n"{odd}",5\n')
    assert log.users.array.to_pylist() == sorted(["1", odd])
    assert log.items.array.to_pylist() == [5]


def test_words_that_mean_nothing_elsewhere_are_ids_here(tmp_path: Path) -> None:
    log = read_text(tmp_path, "log.csv", 'user,item\nNA,null\nnan,None\n"",x\n')
    assert pairs_of(log) == {("NA", "null"), ("nan", "None"), ("", "x")}


def test_fields_in_quotes_may_hold_separators_and_lines(tmp_path: Path) -> None:
    text = 'user,item,"a, title\nof two lines"\n"x,y","two\nlines","said ""no"""\n'
    assert pairs_of(read_text(tmp_path, "log.csv", text)) == {("x,y", "two\nlines")}


def test_columns_that_are_not_read_may_repeat(tmp_path: Path) -> None:
    log = read_text(tmp_path, "log.csv", "x,user,x,item\n1,2,3,4\n")
    assert pairs_of(log) == {(2, 4)}


LIGHTGCN = "0 5 7 6\n1 5\n2\n3 \n\n10 7 5 \n"


@pytest.mark.parametrize("name", ["train.txt", "train.txt.gz"])
def test_lightgcn_lines_are_users_with_their_items(tmp_path: Path, name: str) -> None:
    text = LIGHTGCN.encode()
    log = read_text(tmp_path, name, gzip.compress(text, mtime=0) if name.endswith("gz") else text)
    assert pairs_of(log) == {(0, 5), (0, 7), (0, 6), (1, 5), (10, 7), (10, 5)}
    assert log.report.format == "lightgcn"
    assert log.report.rows == 6


def test_only_line_feeds_and_returns_end_lines(tmp_path: Path) -> None:
    """Python's splitlines also breaks at separators that Unicode has inside text."""
    log = read_text(tmp_path, "log.csv", "user,no\u2028te,item\r\na\x85b,1,c\u2028d\r\n")
    assert pairs_of(log) == {("a\x85b", "c\u2028d")}
    log = read_text(tmp_path, "log.txt", "1 2\x1c3\r\n4 5\r\n", format="lightgcn")
    assert log.n_users == 2


def test_lightgcn_may_be_named_where_all_lines_are_equally_long(tmp_path: Path) -> None:
    log = read_text(tmp_path, "log.txt", "ann i1 i2\nbob i3 i1\n", format="lightgcn")
    assert pairs_of(log) == {("ann", "i1"), ("ann", "i2"), ("bob", "i3"), ("bob", "i1")}


def test_movielens_fields_may_hold_single_colons(tmp_path: Path) -> None:
    assert pairs_of(read_text(tmp_path, "r.dat", "a:b::1\nc::2\n")) == {("a:b", 1), ("c", 2)}


def test_sparse_matrices_are_read_without_their_zeros(tmp_path: Path) -> None:
    matrix = scipy.sparse.csr_matrix(np.array([[0, 5.0, 2], [0, 0, 0], [1, 0, 0]]))
    matrix.data[1] = 0  # stored, and still no interaction
    scipy.sparse.save_npz(tmp_path / "m.npz", matrix)
    sources = [
        matrix,
        matrix.tocoo(),
        matrix.tocsc(),
        scipy.sparse.csr_array(matrix),
        matrix.astype(bool),
        matrix.astype(np.int8),
        tmp_path / "m.npz",
    ]
    for source in sources:
        log = read(source)
        assert pairs_of(log) == {(0, 1), (2, 0)}
        assert log.report.rating == "rating"


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_frames_keep_whole_floats_as_integers(make: Any) -> None:
    log = read(make({"user": [1.0, 2.0], "item": ["a", "b"], "time": [5, 6]}))
    assert pairs_of(log) == {(1, "a"), (2, "b")}


def test_text_in_typed_sources_stays_text() -> None:
    assert pairs_of(read(pd.DataFrame({"user": ["1"], "item": [2]}))) == {("1", 2)}


def test_pandas_may_have_an_index_and_numbers_for_names() -> None:
    frame = pd.DataFrame({0: ["a", "b"], 1: ["x", "y"]}, index=[7, 7])
    assert pairs_of(read(frame, user="0", item="1")) == {("a", "x"), ("b", "y")}


def test_callers_data_is_not_changed() -> None:
    matrix = scipy.sparse.coo_matrix(([1.0, 0.0], ([0, 1], [1, 0])))
    frame = pd.DataFrame({"user": [2, 1], "item": [1, 1], "rating": [1.0, 5.0]})
    before = frame.copy()
    read(matrix), read(frame)
    assert matrix.nnz == 2
    pd.testing.assert_frame_equal(frame, before)


def test_parquet_of_several_row_groups_and_dictionaries(tmp_path: Path) -> None:
    pairs = [(f"u{at % 7}", at) for at in range(100)]
    coded = table(pairs)
    coded = coded.set_column(0, "user_id", coded["user_id"].dictionary_encode())
    pa.parquet.write_table(coded, tmp_path / "log.parquet", row_group_size=9)
    assert pairs_of(read(tmp_path / "log.parquet")) == set(pairs)
