"""Features of users and items: from every source, standardised by hand, always finite."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashrec.errors import DataError
from hashrec.interactions import Features, Ids, read_features

IDS, _ = Ids.from_array(["ann", "bob", "cid", "dee"])
# cid has no age, dee is not there, eve is nobody's.
HEAD = ("who", "age", "job")
ROWS = [("bob", 30, "cook"), ("eve", 99, "king"), ("ann", 50, "nurse"), ("cid", None, None)]


def columns() -> dict[str, list[Any]]:
    return dict(zip(HEAD, map(list, zip(*ROWS, strict=True)), strict=True))


def text(separator: str) -> str:
    rows = [HEAD, *ROWS]
    return "".join(
        separator.join("" if value is None else str(value) for value in row) + "\n" for row in rows
    )


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def parquet(path: Path, table: Any) -> Path:
    pq.write_table(table, path)
    return path


SOURCES: dict[str, Callable[[Path], Any]] = {
    "csv": lambda folder: written(folder / "f.csv", text(",")),
    "semicolons": lambda folder: written(folder / "f.csv", text(";")),
    "tsv": lambda folder: written(folder / "f.tsv", text("\t")),
    "parquet": lambda folder: parquet(folder / "f.parquet", pa.table(columns())),
    "pandas": lambda folder: pd.DataFrame(columns()),
    "pandas categories": lambda folder: pd.DataFrame(columns()).astype(
        {"who": "category", "job": "category"}
    ),
    "polars": lambda folder: pl.DataFrame(columns()),
    "polars lazy": lambda folder: pl.DataFrame(columns()).lazy(),
    "polars categories": lambda folder: pl.DataFrame(columns()).cast({"job": pl.Categorical}),
    "arrow": lambda folder: pa.table(columns()),
    "arrow in chunks": lambda folder: pa.concat_tables(
        [pa.table(columns()).slice(at, 1) for at in range(4)]
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_says_the_same(kind: str, tmp_path: Path) -> None:
    """Ages 50 and 30 are one deviation above and below 40; eve's 99 counts for nothing."""
    found = read_features(SOURCES[kind](tmp_path), IDS)
    assert found.names == ("age", "age=?", "job=cook", "job=nurse", "job=?")
    assert found.values.dtype == np.float32
    assert found.values.tolist() == [
        [1, 0, 0, 1, 0],
        [-1, 0, 1, 0, 0],
        [0, 1, 0, 0, 1],
        [0, 1, 0, 0, 1],
    ]
    assert found.missing == 1


def of(**columns: Any) -> Features:
    """Features of ann, bob, cid and dee, in this order."""
    return read_features(pa.table({"who": IDS.array, **columns}), IDS)


def column(*values: Any, kind: Any = None) -> dict[str, list[float]]:
    """What one column becomes."""
    found = of(x=pa.array(values, kind))
    return dict(zip(found.names, found.values.T.tolist(), strict=True))


ALIKE = {"x": [-1.0, 1.0, -1.0, 1.0]}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 3, 1, 3], pa.int8()),
        ([1, 3, 1, 3], pa.uint64()),
        ([1, 3, 1, 3], pa.float16()),
        ([0.5, 0.75, 0.5, 0.75], pa.float32()),
        ([-1e308, 1e308, -1e308, 1e308], pa.float64()),
        ([0, 5e-324, 0, 5e-324], pa.float64()),
        ([-(2**63), 2**63 - 1, -(2**63), 2**63 - 1], pa.int64()),
        ([0, 2**64 - 1, 0, 2**64 - 1], pa.uint64()),
        ([decimal.Decimal("1.5"), decimal.Decimal("2.5")] * 2, pa.decimal128(5, 2)),
    ],
    ids=str,
)
def test_numbers_of_any_size_have_mean_zero_and_deviation_one(values: list[Any], kind: Any) -> None:
    """Bugs: integers beyond 2^53 were a traceback, large floats infinite, decimals categories."""
    assert column(*values, kind=kind) == ALIKE


def test_what_is_the_same_for_all_is_zero() -> None:
    """Bug: the mean of four times 0.1 is rounded, and the rounding was scaled up to one."""
    for value in (0, 7, 0.1, 1e300):
        assert column(value, value, value, value) == {"x": [0, 0, 0, 0]}


def test_missing_numbers_are_the_mean_and_flagged() -> None:
    nan, inf = math.nan, math.inf
    flagged = {"x": [-1, 0, 1, 0], "x=?": [0, 1, 0, 1]}
    assert column(4, None, 8, None) == flagged
    assert column(4.0, nan, 8.0, None) == flagged
    assert column(4.0, inf, 8.0, -inf) == flagged
    nothing = {"x": [0, 0, 0, 0], "x=?": [1, 1, 1, 1]}
    assert column(None, None, None, None, kind=pa.float64()) == nothing
    assert column(None, None, None, None) == {"x=?": [1, 1, 1, 1]}


def test_booleans_and_text_are_one_column_a_value() -> None:
    assert column(True, False, None, True) == {
        "x=false": [0, 1, 0, 0], "x=true": [1, 0, 0, 1], "x=?": [0, 0, 1, 0],
    }  # fmt: skip
    assert column("b", "", "b", "B", kind=pa.large_string()) == {
        "x=": [0, 1, 0, 0], "x=B": [0, 0, 0, 1], "x=b": [1, 0, 1, 0], "x=?": [0, 0, 0, 0],
    }  # fmt: skip


def test_numbers_that_are_called_categories_are() -> None:
    coded = pa.array([7, 10, 7, 10]).dictionary_encode()
    assert of(x=coded).names == ("x=10", "x=7", "x=?")
    assert of(x=pa.array(["7", "10", "7", "10"])).names == ("x=10", "x=7", "x=?")


def test_text_files_have_no_types_and_yet_numbers(tmp_path: Path) -> None:
    """Bug: a column of numbers in a csv became a column for each number."""
    content = "who,x,y,z\nann, 1 ,1,\nbob,1e2,two,NA\ncid,nan,,-3\ndee,,4,-1.0\n"
    found = read_features(written(tmp_path / "f.csv", content), IDS)
    assert found.names == ("x", "x=?", "y=1", "y=4", "y=two", "y=?", "z", "z=?")
    assert found.values[:, 0].tolist() == [-1, 1, 0, 0]
    assert found.values[:, 1].tolist() == [0, 0, 1, 1]
    assert found.values[:, 6].tolist() == [0, 0, -1, 1]


def test_a_column_of_text_with_nothing_in_it_says_nothing(tmp_path: Path) -> None:
    found = read_features(written(tmp_path / "f.csv", "who,x\nann,\nbob,\n"), IDS)
    assert (found.names, found.values.tolist()) == (("x=?",), [[1], [1], [1], [1]])


def test_words_of_unknown_ids_do_not_make_a_column_text(tmp_path: Path) -> None:
    content = "who,x\nann,1\nzoe,many\nbob,3\n"
    assert read_features(written(tmp_path / "f.csv", content), IDS).names == ("x", "x=?")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([datetime.date(2024, 1, 1)] * 4, "date32"),
        ([datetime.datetime(2024, 1, 1)] * 4, "timestamp"),
        ([datetime.time(1)] * 4, "time64"),
        ([datetime.timedelta(1)] * 4, "duration"),
        ([[1, 2]] * 4, "list<"),
        ([{"a": 1}] * 4, "struct<"),
        ([b"\xff"] * 4, "binary"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_types_are_refused_by_name(values: list[Any], kind: str) -> None:
    """Bug: lists were a traceback; dates became a column for each day."""
    words = (
        "column 'x': this column cannot be a feature; expected numbers, text or booleans; "
        f"got type {kind}.*Make numbers of it, or leave it out"
    )
    with pytest.raises(DataError, match=words):
        of(x=pa.array(values))


@pytest.mark.parametrize(
    ("known", "given"),
    [
        ([1, 2, 30], ["1", "2", "30"]),
        ([1, 2, 30], [1.0, 2.0, 30.0]),
        (["1", "2", "30"], [1, 2, 30]),
        ([1, 2, 2**64 - 1], ["1", "2", str(2**64 - 1)]),
    ],
    ids=["text", "floats", "integers", "uint64"],
)
def test_ids_are_found_whatever_their_type(known: list[Any], given: list[Any]) -> None:
    ids, _ = Ids.from_array(known)
    found = read_features(pa.table({"id": given, "x": [10, 20, 40]}), ids)
    order = [ids.positions([raw])[0] for raw in known]
    assert found.values[order, 0].tolist() == sorted(found.values[:, 0].tolist())
    assert found.missing == 0


def test_an_id_is_not_what_only_looks_like_it() -> None:
    ids, _ = Ids.from_array([7, 8])
    found = read_features(pa.table({"id": ["007", "8", None], "x": ["a", "b", "c"]}), ids)
    assert (found.names, found.missing) == (("x=b", "x=?"), 1)
    assert found.values.tolist() == [[0, 1], [1, 0]]


def test_the_column_of_ids_may_be_any(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 3, 1, 3], "who": IDS.array})
    assert read_features(table, IDS, id="who").values.T.tolist() == list(ALIKE.values())
    with pytest.raises(
        DataError, match="no column 'hwo'; expected one of x, who. Did you mean who"
    ):
        read_features(table, IDS, id="hwo")


def frame(**columns: Any) -> Any:
    return pa.table(columns)


REFUSED: dict[str, tuple[Any, str]] = {
    "twice": (
        frame(who=["bob", "ann", "bob"], x=[1, 2, 3]), "an id with two rows of features; got 'bob'",
    ),
    "nobody known": (
        frame(who=["x", "y"], x=[1, 2]),
        "features of other ids; expected ids such as 'ann'; got 2 rows, none of them known",
    ),
    "ids of an odd type": (frame(who=[[1], [2]], x=[1, 2]), "features of other ids"),
    "no rows": (frame(who=pa.array([], pa.string()), x=pa.array([], pa.int64())),
                "features of other ids.*got 0 rows"),
    "ids alone": (frame(who=["ann"]), "no column but that of the ids; got who"),
    "no columns": (pa.table({}), "there are no columns; expected ids and features"),
    "mixed": (pd.DataFrame({"who": ["ann", "bob"], "x": [1, "a"]}), "values of several types"),
    "a list": ([1, 2], "a list cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "words"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_features_is_refused(source: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_features(source, IDS)


FILES: dict[str, tuple[str, str, str]] = {
    "nothing": ("f.csv", "", "the file is empty"),
    "a header": ("f.csv", "who,x\n", "expected rows of data"),
    "ragged": ("f.csv", "who,x\nann,1\nbob,2,3\n", "row 3 has 3 fields; expected 2"),
    "no parquet": ("f.parquet", "who,x\nann,1\n", "not a whole parquet file"),
    "an ending nobody knows": ("f.xlsx", "x", "format cannot be told from the name"),
    "one name twice": ("f.csv", "who,x,x\nann,1,2\n", "two columns of one name; got 'x'. Rename"),
}


@pytest.mark.parametrize(("name", "content", "words"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(DataError, match=f"{name}: .*{words}"):
        read_features(path, IDS)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no.csv: no such file"):
        read_features(tmp_path / "no.csv", IDS)
    with pytest.raises(DataError, match="the file cannot be opened; got Is a directory"):
        read_features(tmp_path, IDS)


def test_a_thousand_values_are_features_and_one_more_are_ids() -> None:
    ids, _ = Ids.from_array(range(1001))
    values = [f"v{number}" for number in range(1001)]
    words = "column 'x': 1,001 different values; expected at most 1,000. Leave it out, or group"
    with pytest.raises(DataError, match=words):
        read_features(frame(id=range(1001), x=values), ids)
    found = read_features(frame(id=range(1001), x=[*values[:1000], None]), ids)
    assert found.values.shape == (1001, 1001)
    assert (found.values.sum(axis=1) == 1).all()


def test_the_callers_frame_is_not_changed() -> None:
    given = pd.DataFrame(columns())
    before = given.copy(deep=True)
    read_features(given, IDS)
    pd.testing.assert_frame_equal(given, before)


COLUMNS = st.sampled_from(
    [
        (pa.float64(), st.none() | st.floats()),
        (pa.int64(), st.none() | st.integers(-(2**63), 2**63 - 1)),
        (pa.bool_(), st.none() | st.booleans()),
        (pa.string(), st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)),
    ]
)


@st.composite
def tables(draw: Any) -> tuple[Ids, Any, list[int]]:
    """Ids, a table that knows at least one of them, and another order of its rows."""
    known = draw(st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True))
    listed = draw(st.lists(st.integers(0, 40), max_size=12, unique=True))
    listed += [] if set(listed) & set(known) else known[:1]
    made: dict[str, Any] = {"id": listed}
    for number in range(draw(st.integers(1, 3))):
        kind, values = draw(COLUMNS)
        made[f"c{number}"] = pa.array([draw(values) for _ in listed], kind)
    order = draw(st.permutations(range(len(listed))))
    return Ids.from_array(known)[0], pa.table(made), order


@given(tables())
def test_always_finite_one_row_an_id_whatever_the_order(drawn: tuple[Ids, Any, list[int]]) -> None:
    ids, table, order = drawn
    found = read_features(table, ids)
    assert found.values.dtype == np.float32
    assert found.values.shape == (len(ids), len(found.names))
    assert np.isfinite(found.values).all()
    assert found.missing == len(set(ids.array.to_pylist()) - set(table["id"].to_pylist()))
    again = read_features(table.take(pa.array(order)), ids)
    assert again.names == found.names
    assert again.values.tobytes() == found.values.tobytes()
