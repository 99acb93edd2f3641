"""Reading impressions: roles, labels, fields, and what stands in the files beside."""

from __future__ import annotations

import datetime
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from impressions_cases import as_rows, log_of, plain, written

from hashrec.errors import DataError, UsageError
from hashrec.impressions import Field, Impressions, Kinds, read_impressions

FRAPPE = """\
label,user,item,daytime,weekday,isweekend,homework,cost,weather,country,city
1,0,4,morning,sunday,weekend,unknown,free,sunny,US,0
0,1,4,evening,monday,workday,home,paid,,DE,12
1,0,7,evening,friday,workday,work,free,rainy,US,345
"""


def kinds_of(log: Impressions) -> dict[str, str]:
    return {one.name: one.kind for one in log.fields}


def side_of(log: Impressions, owner: Any, name: str) -> dict[Any, Any]:
    """What is known of users or items, by raw id."""
    side = log.sides[owner]
    return dict(zip(side.ids.array.to_pylist(), plain(side.values[name]), strict=True))


class TestFrappe:
    """A log with a header, users and items; all else are fields of rows."""

    @pytest.mark.parametrize(("name", "separator"), [("f.csv", ","), ("f.tsv", "\t")])
    def test_all_columns_but_three_are_fields(
        self, tmp_path: Path, name: str, separator: str
    ) -> None:
        path = written(tmp_path / name, FRAPPE.replace(",", separator))
        log = read_impressions(path, kinds=Kinds(categorical=("city",)))
        assert [one.name for one in log.fields] == FRAPPE.splitlines()[0].split(",")[3:]
        assert set(log.fields) == {Field(one.name, "categorical", "row") for one in log.fields}
        assert [row[:3] for row in as_rows(log)] == [(0, 4, 1), (1, 4, 0), (0, 7, 1)]
        assert plain(log.rows["weather"]) == ["sunny", None, "rainy"]
        assert plain(log.rows["city"]) == ["0", "12", "345"]
        assert (len(log), log.positives, log.times, dict(log.sides)) == (3, 2, None, {})

    def test_a_column_of_integers_is_numeric_unless_named(self, tmp_path: Path) -> None:
        log = read_impressions(written(tmp_path / "f.csv", FRAPPE))
        assert [name for name, kind in kinds_of(log).items() if kind == "numeric"] == ["city"]
        assert plain(log.rows["city"]) == [0, 12, 345]

    def test_fields_may_be_left_out(self, tmp_path: Path) -> None:
        path = written(tmp_path / "f.csv", FRAPPE)
        log = read_impressions(path, kinds=Kinds(ignore=("city", "cost")))
        assert set(log.rows) == {
            "daytime", "weekday", "isweekend", "homework", "weather", "country",
        }  # fmt: skip

    def test_the_report_says_what_was_taken_for_what(self, tmp_path: Path) -> None:
        report = read_impressions(written(tmp_path / "f.csv", FRAPPE)).report
        assert (report.format, report.user, report.item) == ("csv", "user", "item")
        assert (report.rating, report.time) == ("label", None)
        assert (report.rows, report.users, report.items) == (3, 2, 2)

    def test_gzipped_it_is_the_same(self, tmp_path: Path) -> None:
        packed = tmp_path / "g.csv.gz"
        packed.write_bytes(gzip.compress(FRAPPE.encode()))
        both = packed, written(tmp_path / "f.csv", FRAPPE)
        assert len({read_impressions(path).fingerprint() for path in both}) == 1


def criteo(label: str, numbers: dict[int, str], words: dict[int, str]) -> str:
    """A row with I1 to I13 and C1 to C26, empty where nothing is given."""
    fields = [label]
    fields += [numbers.get(at, "") for at in range(1, 14)]
    fields += [words.get(at, "") for at in range(1, 27)]
    return "\t".join(fields) + "\n"


CRITEO = (
    criteo("1", {1: "5", 2: "-2", 13: "0"}, {1: "68fd1e64", 26: "a1"})
    + criteo("0", {}, {})
    + criteo("0", {1: "7"}, {1: "68fd1e64", 2: "12"})
)


class TestCriteo:
    """No header, no users, no items; empty fields are missing values."""

    def test_forty_fields_without_a_header(self, tmp_path: Path) -> None:
        log = read_impressions(written(tmp_path / "day", CRITEO), format="criteo")
        assert (log.users, log.items, log.user, log.item) == (None, None, None, None)
        assert log.label is not None and log.label.tolist() == [1, 0, 0]
        expected = {f"I{at}": "numeric" for at in range(1, 14)}
        expected |= {f"C{at}": "categorical" for at in range(1, 27)}
        assert kinds_of(log) == expected
        assert plain(log.rows["I1"]) == [5, None, 7]
        assert plain(log.rows["I2"]) == [-2, None, None]
        assert plain(log.rows["I3"]) == [None, None, None]
        assert plain(log.rows["I13"]) == [0, None, None]
        assert plain(log.rows["C1"]) == ["68fd1e64", None, "68fd1e64"]
        assert plain(log.rows["C2"]) == [None, None, "12"]
        assert plain(log.rows["C26"]) == ["a1", None, None]

    def test_the_caller_may_say_otherwise(self, tmp_path: Path) -> None:
        kinds = Kinds(categorical=("I1",), ignore=("C1", "C2"))
        path = written(tmp_path / "day", CRITEO)
        log = read_impressions(path, format="criteo", kinds=kinds)
        assert plain(log.rows["I1"]) == ["5", None, "7"]
        assert len(log.fields) == 37
        assert not {"C1", "C2"} & set(log.rows)

    def test_a_column_may_be_the_user(self, tmp_path: Path) -> None:
        content = criteo("1", {}, {1: "u", 2: "i"}) + criteo("0", {}, {1: "v", 2: "i"})
        path = written(tmp_path / "day", content)
        log = read_impressions(path, format="criteo", user="C1", item="C2")
        assert [row[:3] for row in as_rows(log)] == [("u", "i", 1), ("v", "i", 0)]
        assert not {"C1", "C2"} & set(log.rows)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (criteo("", {}, {1: "a"}), "column 'label': .*in row 1"),
            (criteo("2", {}, {1: "a"}), "labels are 0 or 1.*got 2 in row 1"),
            (criteo("1", {3: "x"}, {}),
             "column 'I3': a numeric field holds what is no number.*text such as 'x'"),
            (CRITEO + "1\t2\n", "row 4 has 2 fields; expected 40"),
        ],
        ids=["no label", "another label", "text", "ragged"],
    )  # fmt: skip
    def test_what_is_wrong_with_a_row_is_said(
        self, tmp_path: Path, content: str, words: str
    ) -> None:
        with pytest.raises(DataError, match=words):
            read_impressions(written(tmp_path / "day", content), format="criteo")


INTER = """\
user_id:token\titem_id:token\trating:float\ttimestamp:float\ttags:token_seq\thour:token\tw:float
u1\t10\t5\t3\ta b\t3\t1.5
u2\t10\t3\t1\t\t3\t
u1\t11\t4\t2\tb\t4\t2
"""
USER = "user_id:token\tage:float\tzip:token\nu1\t30\t01234\nu9\t1\t5\n"
ITEM = "item_id:token\tclass:token_seq\n10\tDrama War\n11\t\n"


class TestRecBole:
    """Headers say the kinds: a token is a word though it reads as a number."""

    def test_headers_say_the_kinds(self, tmp_path: Path) -> None:
        log = read_impressions(
            written(tmp_path / "d.inter", INTER),
            threshold=4,
            user_features=written(tmp_path / "d.user", USER),
            item_features=written(tmp_path / "d.item", ITEM),
        )
        assert [one.to_dict() for one in log.fields] == [
            {"name": "age", "kind": "numeric", "owner": "user"},
            {"name": "zip", "kind": "categorical", "owner": "user"},
            {"name": "class", "kind": "multi", "owner": "item"},
            {"name": "tags", "kind": "multi", "owner": "row"},
            {"name": "hour", "kind": "categorical", "owner": "row"},
            {"name": "w", "kind": "numeric", "owner": "row"},
        ]
        assert [row[:4] for row in as_rows(log)] == [
            ("u1", 10, 1, 3), ("u2", 10, 0, 1), ("u1", 11, 1, 2),
        ]  # fmt: skip
        assert plain(log.rows["tags"]) == [["a", "b"], [], ["b"]]
        assert plain(log.rows["hour"]) == ["3", "3", "4"]
        assert plain(log.rows["w"]) == [1.5, None, 2]
        assert side_of(log, "user", "zip") == {"u1": "01234", "u9": "5"}
        assert side_of(log, "item", "class") == {10: ["Drama", "War"], 11: []}
        assert log.threshold == 4

    def test_the_caller_may_say_another_separator_and_kind(self, tmp_path: Path) -> None:
        path = written(tmp_path / "d.inter", INTER)
        kinds = Kinds(numeric=("hour",), separator="|")
        log = read_impressions(path, label="rating", threshold=5, kinds=kinds)
        assert plain(log.rows["tags"]) == [["a b"], [], ["b"]]
        assert plain(log.rows["hour"]) == [3, 3, 4]
        assert log.positives == 1

    def test_a_column_called_label_does_not_hide_users_and_items(self, tmp_path: Path) -> None:
        """Bug: kinds and a label made it a log of Criteo's; users and items were fields."""
        content = (
            "user_id:token\titem_id:token\tlabel:float\thour:token\nu1\t1\t1\t3\nu2\t2\t0\t4\n"
        )
        log = read_impressions(written(tmp_path / "d.inter", content))
        assert [row[:3] for row in as_rows(log)] == [("u1", 1, 1), ("u2", 2, 0)]
        assert set(log.rows) == {"hour"}


COLUMNS: dict[str, list[Any]] = {
    "user": ["a", "a", "b"], "item": [1, 2, 1], "label": [1, 0, 1], "timestamp": [5, 6, 7],
    "word": ["x", None, "y"], "number": [0.5, None, 2.0], "flag": [True, False, None],
}  # fmt: skip
FRAMES: dict[str, Callable[[Path], Any]] = {
    "pandas": lambda folder: pd.DataFrame(COLUMNS),
    "pandas categories": lambda folder: pd.DataFrame(COLUMNS).astype(
        {"user": "category", "word": "category"}
    ),
    "polars": lambda folder: pl.DataFrame(COLUMNS),
    "polars lazy": lambda folder: pl.DataFrame(COLUMNS).lazy(),
    "polars categories": lambda folder: pl.DataFrame(COLUMNS).cast({"word": pl.Categorical}),
    "arrow": lambda folder: pa.table(COLUMNS),
    "arrow in chunks": lambda folder: pa.concat_tables(
        [pa.table(COLUMNS).slice(at, 1) for at in range(3)]
    ),
    "parquet": lambda folder: parquet(folder / "log.parquet"),
    "csv": lambda folder: written(
        folder / "log.csv",
        pl.DataFrame(COLUMNS).write_csv(),
    ),
}


def parquet(path: Path) -> Path:
    pq.write_table(pa.table(COLUMNS), path)
    return path


@pytest.mark.parametrize("source", FRAMES)
def test_every_source_says_the_same(source: str, tmp_path: Path) -> None:
    log = read_impressions(FRAMES[source](tmp_path))
    assert kinds_of(log) == {"word": "categorical", "number": "numeric", "flag": "categorical"}
    assert as_rows(log) == [
        ("a", 1, 1, 5, "true", "0.5", "x"),
        ("a", 2, 0, 6, "false", "None", "None"),
        ("b", 1, 1, 7, "None", "2.0", "y"),
    ]


@pytest.mark.parametrize(
    "frame", [pa.table, pl.DataFrame, pd.DataFrame], ids=["arrow", "polars", "pandas"]
)
def test_lists_are_bags_in_every_frame(frame: Callable[[Any], Any]) -> None:
    tags = [["p", "q"], None, ["q", None, ""]]
    log = read_impressions(frame({**COLUMNS, "tags": tags}))
    assert plain(log.rows["tags"]) == [["p", "q"], [], ["q"]]


def test_lists_that_polars_hid_are_missing() -> None:
    """Bug: polars leaves values behind a null, and reading them was an IndexError."""
    frame = pl.DataFrame({**COLUMNS, "tags": [["p", "q"], ["r"], ["q", "s"]]})
    hidden = pl.when(pl.col("label") == 1).then(pl.col("tags")).alias("tags")
    log = read_impressions(frame.with_columns(hidden))
    assert plain(log.rows["tags"]) == [["p", "q"], [], ["q", "s"]]


def test_the_callers_frame_is_not_changed() -> None:
    given = pd.DataFrame(COLUMNS)
    before = given.copy(deep=True)
    read_impressions(given, user_columns=["word"])
    pd.testing.assert_frame_equal(given, before)


def test_rows_come_twice_and_stay() -> None:
    """Impressions are no pairs: nothing is merged, dropped or sorted."""
    log = log_of(user=["b", "a", "b"], item=[2, 1, 2], label=[0, 1, 0])
    assert [row[:3] for row in as_rows(log)] == [("b", 2, 0), ("a", 1, 1), ("b", 2, 0)]


def test_one_row_is_a_log() -> None:
    log = log_of(user=["a"], item=[1], label=[0], x=[None])
    assert (len(log), log.positives, plain(log.rows["x"])) == (1, 0, [None])


class TestRoles:
    def test_users_and_items_need_not_be(self) -> None:
        log = log_of(user=None, item=None, x=[1, 2, 3])
        assert (log.users, log.items) == (None, None)
        assert set(log.rows) == {"x"}

    def test_none_makes_fields_of_them(self) -> None:
        log = log_of({"user": "none", "item": "none"})
        assert kinds_of(log) == {"user": "categorical", "item": "numeric"}
        assert (log.users, log.items) == (None, None)

    def test_other_names_are_named(self) -> None:
        log = log_of({"user": "who", "item": "what", "label": "took", "time": "when"},
                     user=None, item=None, label=None,
                     who=["a", "b"], what=["x", "x"], took=[0, 1], when=[2.5, 1.5])  # fmt: skip
        assert as_rows(log) == [("a", "x", 0, 2.5), ("b", "x", 1, 1.5)]

    def test_times_that_are_ignored_are_a_field_only_where_named(self) -> None:
        """Bug: "none" made a number of the day that a model of today has never seen."""
        log = log_of({"time": "none"}, time=[1, None, 3])
        assert log.times is None and "time" not in log.rows
        named = log_of({"time": "none", "kinds": Kinds(numeric=("time",))}, time=[1, None, 3])
        assert (named.times, plain(named.rows["time"])) == (None, [1, None, 3])

    @pytest.mark.parametrize(
        ("options", "columns", "words"),
        [
            ({"user": "item"}, {}, "user and item are the same column.*two columns; got 'item'"),
            ({"user": "usr"}, {}, "no column 'usr'; expected the user column.*mean user"),
            ({}, {"user_id": ["a", "b", "c"], "userid": ["a", "b", "c"], "user": None},
             "2 columns may be the user.*'user_id', 'userid'"),
            ({}, {"user": ["a", None, "b"]}, "column 'user': missing ids.*in row 2"),
            ({}, {"item": [1.5, 1.0, 2.0]}, "column 'item': ids are floating-point.*got 1.5"),
            ({}, {"time": [1, None, 3]}, 'column \'time\': missing times.*time="none"'),
        ],
        ids=["the same", "absent", "two", "no id", "fractions", "no time"],
    )  # fmt: skip
    def test_what_cannot_be_a_role_is_refused(
        self, options: dict[str, Any], columns: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(DataError, match=words):
            log_of(options, **columns)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("time", "'time' is the time, and neither a field nor ignored. Say time='none'"),
            ("user", "'user' is the user, and neither a field nor ignored. Say user='none'"),
            ("label", "'label' is the label, and neither a field nor ignored. Name another label"),
        ],
    )
    def test_what_has_a_role_is_no_field(self, name: str, words: str) -> None:
        """Bug: the name was passed over, and the field was missing without a word."""
        for kinds in (Kinds(categorical=name), Kinds(ignore=name)):
            with pytest.raises(DataError, match=words):
                log_of({"kinds": kinds}, time=[1, 2, 3])


class TestValidParts:
    COLUMNS: ClassVar[dict[str, Any]] = {
        "user": ["a", "b"], "item": ["1", "2"], "label": [0, 1], "code": ["7", "x"],
    }  # fmt: skip

    def test_are_the_last_rows_of_one_log(self) -> None:
        more = pa.table({"code": ["7", "x", "y"], "label": [1, 0, 1], "user": ["c", "a", "c"],
                         "item": ["2", "2", "3"], "beside": [1, 2, 3]})  # fmt: skip
        log = read_impressions(pa.table(self.COLUMNS), valid=more)
        assert (len(log), log.n_valid, kinds_of(log)) == (5, 3, {"code": "categorical"})
        parts = log.parts()
        assert parts is not None
        train, valid = parts
        assert train.n_valid == valid.n_valid == 0
        assert as_rows(train) == [("a", "1", 0, None, "7"), ("b", "2", 1, None, "x")]
        assert [row[:3] for row in as_rows(valid)] == [("c", "2", 1), ("a", "2", 0), ("c", "3", 1)]
        assert train.users is valid.users is log.users

    def test_there_may_be_none(self) -> None:
        log = read_impressions(pa.table(self.COLUMNS))
        assert log.n_valid == 0 and log.parts() is None

    def test_kinds_are_seen_in_both_parts(self, tmp_path: Path) -> None:
        """A column of digits in train alone is of words if valid has words there."""
        train, valid = (
            written(tmp_path / f"{name}.csv", f"user,item,label,code\na,1,0,7\nb,2,1,{code}\n")
            for name, code in (("train", "8"), ("valid", "x"))
        )
        assert kinds_of(read_impressions(train)) == {"code": "numeric"}
        log = read_impressions(train, valid=valid)
        assert kinds_of(log) == {"code": "categorical"}
        assert log.report.source == f"{train} and {valid}"

    @pytest.mark.parametrize(
        ("train", "valid", "kind", "expected"),
        [
            (pa.array([1, 2]), pa.array([1.5, None]), "numeric", [1, 2, 1.5, None]),
            (pa.array([1, 2], pa.int8()), pa.array([300, 2]), "numeric", [1, 2, 300, 2]),
            (pa.array(["a", "b"]), pa.nulls(2), "categorical", ["a", "b", None, None]),
            (pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]), "categorical",
             ["a", "b", "c", "a"]),
            (pa.array([True, False]), pa.array([1, 0]), "numeric", [1, 0, 1, 0]),
        ],
        ids=["fractions", "sizes", "nothing", "coded", "booleans"],
    )  # fmt: skip
    def test_types_with_something_in_common_are_one(
        self, train: Any, valid: Any, kind: str, expected: list[Any]
    ) -> None:
        """Bug: int64 and double, as pandas makes of a column with a null, were two types."""
        one, other = (pa.table({**self.COLUMNS, "code": part}) for part in (train, valid))
        log = read_impressions(one, valid=other)
        assert kinds_of(log) == {"code": kind} and plain(log.rows["code"]) == expected

    def test_a_text_file_and_a_typed_one_are_text(self, tmp_path: Path) -> None:
        train = written(tmp_path / "train.csv", "user,item,label,code\na,1,0,7\nb,2,1,8\n")
        valid = tmp_path / "valid.parquet"
        pq.write_table(pa.table({"user": ["a"], "item": [2], "label": [1], "code": [9]}), valid)
        log = read_impressions(train, valid=valid)
        assert [row[:3] for row in as_rows(log)][2] == ("a", 2, 1)
        assert plain(log.rows["code"]) == [7, 8, 9]

    def test_columns_nobody_reads_may_be_missing(self) -> None:
        one = pa.table({**self.COLUMNS, "note": ["x", "y"], "rating": [1, 2]})
        log = read_impressions(
            one, valid=pa.table(self.COLUMNS), label="label", kinds=Kinds(ignore="note")
        )
        assert set(log.rows) == {"code"} and log.n_valid == 2

    def test_what_changes_between_parts_is_no_column_of_users(self) -> None:
        told = {**self.COLUMNS, "user": ["a", "a"], "code": ["x", "x"]}
        with pytest.raises(DataError, match="the column 'code' changes.*user 'a' has two"):
            read_impressions(pa.table(told), valid=pa.table(self.COLUMNS), user_columns="code")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"code": None}, "pyarrow Table: parts of one log have the same columns, and one is "
                             "missing here; expected 'code'; got .*'label'. Add it, or ignore"),
            ({"code": [1, 2]}, "code: the parts of one log have a column of two types; expected "
                               "string, as in pyarrow Table; got int64. Convert one of them"),
            ({"user": [], "item": [], "label": [], "code": []}, "the valid part is empty"),
            ({"label": [2, 3]}, r"labels are 0 or 1.*got 2 in row 1 of part 2 \(pyarrow Table\)"),
        ],
        ids=["lacking", "of another type", "empty", "labels"],
    )  # fmt: skip
    def test_parts_that_do_not_fit_are_refused(self, change: dict[str, Any], words: str) -> None:
        other = {k: v for k, v in {**self.COLUMNS, **change}.items() if v is not None}
        with pytest.raises(DataError, match=words):
            read_impressions(pa.table(self.COLUMNS), valid=pa.table(other))

    @pytest.mark.parametrize(
        ("train", "valid", "words"),
        [("1", "5", r"labels are 0 or 1.*got 5 in row 2 of part 2 \(.*valid.csv\)"),
         ("5", "1", r"labels are 0 or 1.*got 5 in row 3 of part 1 \(.*train.csv\)"),
         ("1", "", r"missing labels.*1 missing, the first in row 2 of part 2 \(.*valid.csv\)")],
        ids=["valid", "train", "missing"],
    )  # fmt: skip
    def test_rows_are_counted_in_their_own_file(
        self, tmp_path: Path, train: str, valid: str, words: str
    ) -> None:
        """Bug: rows of valid were counted on from those of train."""
        one = written(tmp_path / "train.csv", f"user,item,label\na,1,0\nb,2,{train}\n")
        other = written(tmp_path / "valid.csv", f"user,item,label\na,1,{valid}\nb,2,0\n")
        with pytest.raises(DataError, match=words):
            read_impressions(one, valid=other)


class TestLabels:
    def test_a_threshold_alone_is_of_the_ratings(self) -> None:
        log = log_of({"threshold": 4}, label=None, stars=[5, 3, 4])
        assert log.label is not None and log.label.tolist() == [1, 0, 1]
        assert (log.threshold, log.rows) == (4, {})
        assert log_of().threshold is None

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ({"label": [1, 0, 2]}, "labels are 0 or 1.*got 2 in row 3"),
            ({"label": None, "rating": [1, 2, 3]}, "no column is known to be the label.*threshold"),
            ({"click": [1, 1, 0]}, "2 columns may be the label.*'label', 'click'"),
        ],
        ids=["other", "none", "two"],
    )
    def test_labels_are_asked_for(self, columns: dict[str, Any], words: str) -> None:
        with pytest.raises(DataError, match=words):
            log_of(**columns)

    def test_a_misspelt_label_is_near_another(self) -> None:
        with pytest.raises(DataError, match="no column 'lable'.*Did you mean label"):
            log_of({"label": "lable"})


class TestFields:
    @pytest.mark.parametrize(
        ("kinds", "words"),
        [
            (Kinds(numeric=("prize",)), "no column 'prize' to be a field.*Did you mean price"),
            (Kinds(ignore=("prize",)), "no column 'prize'"),
            (Kinds(numeric=("price",), multi=("price",)), "price: a field is named twice"),
            (Kinds(numeric=("word",)), "column 'word': a numeric field holds .*such as 'x'"),
        ],
        ids=["absent", "nothing ignored", "twice", "text"],
    )
    def test_what_is_said_of_fields_must_be_true(self, kinds: Kinds, words: str) -> None:
        with pytest.raises(DataError, match=words):
            log_of({"kinds": kinds}, price=[1, 2, 3], word=["x", "y", "1"])

    def test_two_columns_of_one_name_are_refused(self, tmp_path: Path) -> None:
        path = written(tmp_path / "log.csv", "user,item,label,x,x\na,1,1,p,q\nb,2,0,q,p\n")
        with pytest.raises(DataError, match="x: two fields of one name; expected one. Rename"):
            read_impressions(path)

    def test_dates_must_be_said_to_be_something(self) -> None:
        days = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
        with pytest.raises(DataError, match="column 'day': this column cannot be a field of words"):
            log_of(day=days)
        assert log_of({"kinds": Kinds(ignore=("day",))}, day=days).rows == {}


class TestInlineSides:
    def test_columns_of_users_and_items_are_kept_once(self) -> None:
        log = log_of(
            {"user_columns": ["job"], "item_columns": ["price", "tags"]},
            job=["nurse", "nurse", "king"], price=[3, 2, 3],
            tags=[["p", "r"], ["q"], ["p", "r"]], hour=["m", "m", "e"],
        )  # fmt: skip
        assert side_of(log, "user", "job") == {"a": "nurse", "b": "king"}
        assert side_of(log, "item", "price") == {1: 3, 2: 2}
        assert side_of(log, "item", "tags") == {1: ["p", "r"], 2: ["q"]}
        assert [(one.name, one.owner) for one in log.fields] == [
            ("job", "user"), ("price", "item"), ("tags", "item"), ("hour", "row"),
        ]  # fmt: skip
        assert set(log.rows) == {"hour"}

    def test_a_value_missing_in_one_row_is_known_from_another(self) -> None:
        log = log_of({"user_columns": ["job"]}, job=[None, "cook", None])
        assert side_of(log, "user", "job") == {"a": "cook", "b": None}

    @pytest.mark.parametrize(
        "values",
        [["cook", "nurse", "king"], [1.5, 2.5, 1], [["p"], ["q"], []], [["p"], ["p", "q"], []]],
    )
    def test_a_column_that_changes_is_of_rows(self, values: list[Any]) -> None:
        """Bug: the last row's value stood for all, those of a test part for rows of train."""
        words = "the column 'job' changes, and cannot be one of the user; .*; got user 'a' has two"
        with pytest.raises(DataError, match=words):
            log_of({"user_columns": ["job"]}, job=values)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"user_columns": ["jop"]}, "no column 'jop' of the user.*Did you mean job"),
            ({"item_columns": ["cost"]}, "no column 'cost' of the item; expected user, item"),
            ({"user_columns": ["job"], "user": "none"},
             "columns of the user in a log without one; got job. Name the user column"),
        ],
        ids=["misspelt", "absent", "nobody's"],
    )  # fmt: skip
    def test_columns_of_nobody_are_refused(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(DataError, match=words):
            log_of(options, job=["cook", "nurse", "king"])

    def test_a_column_has_one_owner(self) -> None:
        """Bug: it was the item's, without a word, and the user went without."""
        with pytest.raises(DataError, match="the column 'job' cannot be both of the user and"):
            log_of({"user_columns": ["job"], "item_columns": ["job"]}, job=["p", "q", "r"])


PEOPLE = pa.table({"id": ["b", "eve", "a"], "age": [30.0, 99.0, 50.0], "job": ["x", "y", None]})


class TestSideFiles:
    def test_a_file_may_know_others_in_any_order(self) -> None:
        log = log_of({"user_features": PEOPLE})
        assert side_of(log, "user", "age") == {"a": 50, "b": 30, "eve": 99}
        assert side_of(log, "user", "job") == {"a": None, "b": "x", "eve": "y"}
        assert log.users is not None and log.users.array.to_pylist() == ["a", "b"]

    def test_a_file_may_lack_ids(self) -> None:
        log = log_of({"user_features": PEOPLE.slice(0, 1)})
        assert side_of(log, "user", "age") == {"b": 30}
        assert log.sides["user"].of(log.users).tolist() == [-1, 0]

    def test_a_file_goes_together_with_columns_of_the_log(self) -> None:
        log = log_of({"user_features": PEOPLE, "user_columns": ["vip"]}, vip=["y", "y", "n"])
        assert side_of(log, "user", "vip") == {"a": "y", "b": "n", "eve": None}
        assert side_of(log, "user", "age") == {"a": 50, "b": 30, "eve": 99}

    def test_columns_of_the_log_are_kept_for_ids_that_the_file_lacks(self) -> None:
        """Bug: a file that does not know a user took away what the log says of them."""
        log = log_of(
            {"user_features": PEOPLE.slice(0, 1), "user_columns": ["vip"]}, vip=["y", "y", "n"]
        )
        assert side_of(log, "user", "vip") == {"a": "y", "b": "n"}
        assert side_of(log, "user", "age") == {"a": None, "b": 30}

    @pytest.mark.parametrize("ids", [["1", "2"], [1.0, 2.0], [1, 2]], ids=str)
    def test_ids_are_found_whatever_their_type(self, ids: list[Any]) -> None:
        log = log_of({"item_features": pa.table({"movie": ids, "n": ["p", "q"]})})
        side = log.sides["item"]
        assert log.items is not None
        assert plain(side.values["n"].take(side.of(log.items))) == ["p", "q"]

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_files_are_read_as_logs_are(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"people.{suffix}"
        if suffix == "csv":
            path.write_text("id,age,job\nb,30,x\neve,99,y\na,50,\n")
        else:
            pq.write_table(PEOPLE, path)
        frames = log_of({"user_features": PEOPLE}), log_of({"user_features": path})
        assert len({side_of(log, "user", "age")["b"] for log in frames}) == 1
        assert side_of(frames[1], "user", "job") == {"a": None, "b": "x", "eve": "y"}

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ({"id": ["a", "b", "a"], "n": [1, 2, 3]},
             "a user with two rows of features; expected one row an id; got 'a'"),
            ({"id": ["a", None], "n": [1, 2]}, "column 'id': missing ids"),
            ({"id": ["a"], "x": [1]}, "x: two fields of one name; expected one. Rename"),
            ({"id": [["a"]], "n": [1]}, "column 'id': this column cannot hold ids"),
        ],
        ids=["two rows", "no id", "a field of the log", "lists"],
    )  # fmt: skip
    def test_what_makes_no_side_is_refused(self, table: dict[str, Any], words: str) -> None:
        with pytest.raises(DataError, match=words):
            log_of({"user_features": pa.table(table)}, x=[1, 2, 3])

    def test_one_name_on_both_sides_is_refused(self) -> None:
        items = pa.table({"id": [1, 2], "age": [3, 4]})
        with pytest.raises(DataError, match="age: two fields of one name"):
            log_of({"user_features": PEOPLE, "item_features": items})

    def test_a_table_without_columns_is_refused(self) -> None:
        """Bug: it was an IndexError."""
        with pytest.raises(DataError, match="there is nothing about users; expected ids"):
            log_of({"user_features": pa.table({})})

    def test_features_of_users_need_users(self) -> None:
        """Bug: they were read, and learning from them was an AssertionError."""
        with pytest.raises(DataError, match="user in a log without one"):
            log_of({"user_features": PEOPLE, "user": "none"})

    def test_kinds_are_said_of_all_sources_at_once(self) -> None:
        kinds = Kinds(categorical=("age",), ignore=("job", "x"))
        log = log_of({"user_features": PEOPLE.set_column(1, "age", pa.array([30, 99, 50])),
                      "kinds": kinds}, x=[1, 2, 3])  # fmt: skip
        assert log.fields == (Field("age", "categorical", "user"),)
        assert side_of(log, "user", "age") == {"a": "50", "b": "30", "eve": "99"}


NOTHING: dict[str, tuple[Any, str]] = {
    "no rows": (
        pa.table({name: pa.array([], pa.string()) for name in ("user", "item", "label")}),
        "there are no impressions; expected rows of data",
    ),
    "no rows without ids": (
        pa.table({"label": pa.array([], pa.int64()), "x": pa.array([], pa.string())}),
        "there are no impressions",
    ),
    "no columns": (pa.table({}), "no column is known to be the label"),
    "a list": ([1, 2], "a list cannot be read"),
    "mixed": (
        pd.DataFrame({"user": ["a", "b"], "item": [1, 2], "label": [0, 1], "x": [1, "b"]}),
        "column 'x': this column holds values of several types",
    ),
}


@pytest.mark.parametrize(("source", "words"), NOTHING.values(), ids=NOTHING)
def test_what_makes_no_log_is_refused(source: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_impressions(source)


def test_files_that_are_not_there_and_formats_of_frames(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no.csv: no such file"):
        read_impressions(tmp_path / "no.csv")
    with pytest.raises(UsageError, match="only files have a format; got format='criteo'"):
        read_impressions(pa.table(COLUMNS), format="criteo")


class TestWhatTellsTheLabel:
    """A model that sees the answer in another column learns nothing else."""

    TABLE = pa.table(
        {"user": [1, 2], "item": [1, 2], "label": [0, 1], "stars": [2, 5], "clicks": [3, 4]}
    )

    def test_ratings_and_labels_beside_the_label_are_no_fields(self) -> None:
        log = read_impressions(self.TABLE)
        assert [one.name for one in log.fields] == ["clicks"]
        (note,) = log.report.notes
        assert note.startswith("Left out, for what they may tell of the label: stars;")
        rated = read_impressions(self.TABLE, threshold=4)
        assert [one.name for one in rated.fields] == ["clicks"]
        assert rated.label is not None and rated.label.tolist() == [0, 1]

    def test_named_they_are(self) -> None:
        log = read_impressions(self.TABLE, kinds=Kinds(numeric=("stars",)))
        assert {one.name for one in log.fields} == {"stars", "clicks"}
        assert log.report.notes == ()


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_is_a_number(threshold: float) -> None:
    with pytest.raises(DataError, match="threshold: the threshold is not finite; .* got (nan|inf)"):
        read_impressions(TestWhatTellsTheLabel.TABLE, threshold=threshold)


def test_features_of_other_ids_are_a_mistake() -> None:
    other = pa.table({"id": [8, 9], "age": [1, 2]})
    words = "features of other ids; expected users such as 1; got 2 ids, none of them in the log"
    with pytest.raises(DataError, match=words):
        read_impressions(TestWhatTellsTheLabel.TABLE, user_features=other)


def test_a_role_is_no_column_of_users() -> None:
    with pytest.raises(DataError, match="the column 'item' cannot be a field. Leave it out"):
        read_impressions(TestWhatTellsTheLabel.TABLE, user_columns="item")


def test_a_name_that_the_log_keeps_to_itself_is_no_field_of_features() -> None:
    """Bug: a rating that was left out of the log, for it tells the label, spoke for a field of that
    name in the test part: an AUC of 1."""
    log = pa.table(
        {"user": [1, 2], "item": [1, 2], "click": [0, 1], "rating": [2, 5], "time": [3, 4]}
    )
    for name in ("rating", "time"):
        features = pa.table({"item": [1, 2], name: [3.5, 4.5]})
        words = (
            f"both the log and the features have a column {name!r}.*rename one of them, or ignore"
        )
        with pytest.raises(DataError, match=f"(?i){words}"):
            read_impressions(log, item_features=features)


def test_columns_without_a_name_and_other_times_are_left_out_and_told() -> None:
    """Bug: the index that pandas writes was learned as a feature of rows."""
    table = pa.table({"": [0, 1], "user": [1, 2], "item": [1, 2], "click": [0, 1],
                      "timestamp": [1, 2], "date": ["x", "y"], "shop": ["a", "b"]})  # fmt: skip
    log = read_impressions(table)
    assert set(log.rows) == {"shop"}
    assert log.report.notes == (
        "Left out, for being times: date; name one to have it.",
        "Left out: a column without a name.",
    )
    assert set(read_impressions(table, kinds=Kinds(categorical="date")).rows) == {"shop", "date"}
