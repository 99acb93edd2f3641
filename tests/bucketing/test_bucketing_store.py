"""Buckets to disk and back: every byte, every type of id, and each way of being wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashrec.bucketing import (
    METHODS,
    Assignment,
    Buckets,
    buckets,
    load_buckets,
    save_buckets,
    store,
    trio,
)
from hashrec.bucketing.full import Full
from hashrec.bucketing.rules import Numbered, Reserved, Rule
from hashrec.errors import HashrecWarning, ModelError, OutputError, UsageError
from hashrec.interactions import Interactions, planted, read

LOG = planted(40, 30, communities=3, degree=6, noise=0.1, seed=2).interactions


def side(name: Any, ids: Any, rows: list[list[int]], n: int, **more: Any) -> Assignment:
    rules: tuple[Rule, ...] = tuple(Reserved(way % n) for way in range(len(rows[0])))
    return Assignment(name, ids, np.array(rows, dtype=np.int32), n, rules, **more)


NUMBERS, LETTERS = pa.array([3, 5, 9]), pa.array(["a", "b", "c"])


def by_hand(users: Any = NUMBERS, items: Any = LETTERS) -> Buckets:
    """Users with one row each; items with two, weighted."""
    weights = np.array([[1, 0], [0.25, 0.75], [-2, 0.5]], dtype=np.float32)
    return Buckets(
        side("user", users, [[0], [1], [0]], 2),
        side("item", items, [[0, 1], [2, 2], [1, 0]], 4, combiner="weighted", weights=weights),
        Full(),
        seed=7,
        facts={"gamma": 1.5, "runs": [{"gamma": 1.0, "modularity": 0.25}], "what": "日本"},
    )


def same(one: Buckets, other: Buckets) -> None:
    """Everything, not only what the fingerprint covers."""
    assert one.fingerprint() == other.fingerprint()
    assert (one.method, one.seed, one.facts) == (other.method, other.seed, other.facts)
    for left, right in ((one.users, other.users), (one.items, other.items)):
        assert left.side == right.side
        assert left.ids.type == right.ids.type
        assert left.ids.equals(right.ids)
        assert left.buckets.dtype == right.buckets.dtype == np.int32
        assert (left.buckets == right.buckets).all()
        assert (left.rows, left.combiner) == (right.rows, right.combiner)
        assert left.dim_share == right.dim_share
        assert (left.weights is None) == (right.weights is None)
        if left.weights is not None and right.weights is not None:
            assert right.weights.dtype == np.float32
            assert (left.weights == right.weights).all()
        assert [type(rule) for rule in left.rules] == [type(rule) for rule in right.rules]
        for mine, theirs in zip(left.rules, right.rules, strict=True):
            assert mine.scalars() == theirs.scalars()
            one_arrays, other_arrays = mine.arrays(), theirs.arrays()
            assert set(one_arrays) == set(other_arrays)
            for name, array in one_arrays.items():
                assert array.dtype == other_arrays[name].dtype
                assert np.array_equal(array, other_arrays[name])


def round_trip(given: Buckets, folder: Path) -> Buckets:
    save_buckets(given, folder / "b.parquet")
    return load_buckets(folder / "b.parquet")


# --- what is written ---------------------------------------------------------------------------


def test_the_parquet_is_a_row_for_each_way_of_each_id(tmp_path: Path) -> None:
    save_buckets(by_hand(pa.array(["x", "y", "z"])), tmp_path / "b.parquet")
    table = pq.read_table(tmp_path / "b.parquet")
    assert [(name, str(table[name].type)) for name in table.column_names] == [
        ("side", "string"), ("id", "string"), ("bucket", "int32"), ("weight", "float"),
    ]  # fmt: skip
    rows = list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
    assert rows == [
        ("user", "x", 0, 1.0), ("user", "y", 1, 1.0), ("user", "z", 0, 1.0),
        ("item", "a", 0, 1.0), ("item", "a", 1, 0.0), ("item", "b", 2, 0.25),
        ("item", "b", 2, 0.75), ("item", "c", 1, -2.0), ("item", "c", 0, 0.5),
    ]  # fmt: skip


def test_the_weights_of_a_mean_are_equal_shares_so_that_every_vector_is_a_sum(
    tmp_path: Path,
) -> None:
    mean = side("user", pa.array([1]), [[0, 1]], 2, combiner="mean")
    one = side("item", pa.array([1]), [[0, 1]], 2)
    given = Buckets(mean, one, Full())
    same(given, round_trip(given, tmp_path))
    table = pq.read_table(tmp_path / "b.parquet")
    assert table["weight"].to_pylist() == [0.5, 0.5, 1.0, 1.0]


def test_the_json_says_what_the_buckets_are(tmp_path: Path) -> None:
    given = by_hand()
    sizes = save_buckets(given, tmp_path / "b.parquet")
    assert sizes == {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"b.parquet", "b.json", "b.safetensors"}
    content = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert (content["format"], content["format_version"]) == ("hashrec-buckets", 1)
    assert (content["method"], content["seed"]) == ({"name": "full"}, 7)
    assert content["facts"] == given.facts
    assert content["fingerprint"] == given.fingerprint()
    users, items = content["sides"]["user"], content["sides"]["item"]
    assert users["rules"] == [{"kind": "reserved", "scalars": {"row": 0}}]
    assert users["sizes"] == {"min": 1, "median": 1.5, "max": 2, "empty": 0}
    assert items["sizes"] == {"min": 0, "median": 1.5, "max": 2, "empty": 1}
    assert items["fingerprint"] == given.items.fingerprint()
    about = {key: items[key] for key in ("ids", "rows", "ways", "combiner", "dim_share")}
    assert about == {"ids": 3, "rows": 4, "ways": 2, "combiner": "weighted", "dim_share": 1.0}
    assert (users["id_type"], items["id_type"]) == ("int64", "string")
    assert (users["index_bytes"], items["index_bytes"]) == (3, 30)
    for suffix in ("parquet", "safetensors"):
        path = tmp_path / f"b.{suffix}"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert content["files"][suffix] == {"bytes": path.stat().st_size, "sha256": digest}


def test_the_same_buckets_are_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        save_buckets(by_hand(), tmp_path / f"{name}.parquet")
        contents.append([(tmp_path / f"{name}{end}").read_bytes() for end in ENDS])
    assert contents[0] == contents[1]


# --- and back ----------------------------------------------------------------------------------

ENDS = (".parquet", ".safetensors", ".json")

INT64 = pa.array([-(2**63), 0, 2**63 - 1])
UINT64 = pa.array([0, 2**63, 2**64 - 1], type=pa.uint64())
TEXT = pa.array(["007", "7", "ü, 日本"])


@pytest.mark.parametrize("users", [INT64, UINT64, TEXT], ids=["int64", "uint64", "text"])
@pytest.mark.parametrize("items", [INT64, UINT64, TEXT], ids=["int64", "uint64", "text"])
def test_ids_of_every_type_come_back_as_they_were(tmp_path: Path, users: Any, items: Any) -> None:
    given = by_hand(users, items)
    same(given, round_trip(given, tmp_path))
    stored = pq.read_schema(tmp_path / "b.parquet").field("id").type
    assert stored == (users.type if users.type == items.type else pa.string())


def test_a_share_of_the_dimensions_and_large_rules_come_back(tmp_path: Path) -> None:
    users = Assignment(
        "user", pa.array([4]), np.array([[1]], np.int32), 3, (Numbered(2, 3, 1),), dim_share=0.3
    )
    given = Buckets(users, by_hand().items, Full())
    same(given, round_trip(given, tmp_path))


class Homes:
    """A rule with arrays, as a registry may hold tomorrow."""

    kind = "homes"

    def __init__(self, step: int, homes: Any, shares: Any) -> None:
        self.step, self.homes, self.shares = step, homes, shares

    def place(self, arrivals: Any) -> Any:
        return self.homes[: len(arrivals)]

    def scalars(self) -> dict[str, Any]:
        return {"step": self.step}

    def arrays(self) -> dict[str, Any]:
        return {"homes": self.homes, "shares": self.shares}

    @classmethod
    def restore(cls, scalars: Any, arrays: Any) -> Homes:
        return cls(scalars["step"], arrays["homes"], arrays["shares"])


def test_the_arrays_of_rules_come_back_to_their_own_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Way 1 must not get the arrays of way 10 or of the other side."""
    monkeypatch.setattr(store, "RULES", {**store.RULES, "homes": Homes})

    def rules(first: int) -> tuple[Any, ...]:
        return tuple(
            Homes(way, np.arange(first, first + way, dtype=np.int32), np.ones(way)[::-1])
            for way in range(1, 12)
        )

    bucket = np.zeros((1, 11), dtype=np.int32)
    given = Buckets(
        Assignment("user", pa.array([1]), bucket, 1, rules(0)),
        Assignment("item", pa.array([1]), bucket, 1, rules(50)),
        Full(),
    )
    same(given, round_trip(given, tmp_path))


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.filterwarnings("ignore::hashrec.errors.HashrecWarning")
def test_what_each_method_finds_comes_back_and_goes_on(tmp_path: Path, name: str) -> None:
    """Also after new ids came, which the restored rules must place as the old ones would."""
    features = np.random.default_rng(0).standard_normal((40, 3))
    found = buckets(LOG, name, rows=40, user_features=features, item_features=features[:30], seed=3)
    again = round_trip(found, tmp_path)
    same(found, again)
    more = read(pa.table({"user": [1, 1, 900, 901, 901], "item": [2, 800, 2, 2, 800]}))
    assert isinstance(more, Interactions)
    longer = found.extend(more)
    assert len(longer.users) == 42
    same(longer, again.extend(more))
    same(longer, round_trip(longer, tmp_path))


def test_the_name_may_change_if_it_changes_for_all_three(tmp_path: Path) -> None:
    save_buckets(by_hand(), tmp_path / "b.parquet")
    for end in ENDS:
        (tmp_path / f"b{end}").rename(tmp_path / f"of.today{end}")
    same(by_hand(), load_buckets(str(tmp_path / "of.today.parquet")))


# --- what cannot be read -----------------------------------------------------------------------


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the JSON as somebody would who also mends its checksum."""
    path = folder / "b.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    content["checksum"] = trio._digest_of(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def retable(folder: Path, column: str, change: Callable[[list[Any]], list[Any]]) -> None:
    """Changes the parquet, and what the JSON says of its bytes."""
    path = folder / "b.parquet"
    table = pq.read_table(path)
    values = pa.array(change(table[column].to_pylist()), type=table[column].type)
    at = table.column_names.index(column)
    pq.write_table(table.set_column(at, column, values), path)
    described = trio._described(path)
    edit(folder, lambda content: content["files"].update(parquet=described))


def flip(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return change


def drop(*path: str) -> Callable[[Path], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return lambda folder: edit(folder, change)


def change(*path: Any) -> Callable[[Path], None]:
    """Sets the value that comes last at the keys before it."""

    def set_it(content: dict[str, Any]) -> None:
        *keys, last, value = path
        for key in keys:
            content = content[key]
        content[last] = value

    return lambda folder: edit(folder, set_it)


def newer(folder: Path) -> None:
    change("format_version", 2)(folder)


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no parquet": (lambda f: (f / "b.parquet").unlink(), "b.parquet: a file .* is missing"),
    "no json": (lambda f: (f / "b.json").unlink(), "b.json: a file of these buckets is missing"),
    "no arrays": (lambda f: (f / "b.safetensors").unlink(), "b.safetensors: a file .* is missing"),
    "no JSON in it": (lambda f: (f / "b.json").write_text("{"), "b.json: .*damaged.*expected JSON"),
    "a foreign JSON": (
        lambda f: (f / "b.json").write_text('{"format": "x"}'),
        "b.json: this describes no buckets; expected \"format\": \"hashrec-buckets\"; got 'x'",
    ),
    "a list": (lambda f: (f / "b.json").write_text("[1]"), r"describes no buckets.*got \[1\]"),
    "newer": (newer, "another format; expected format version 1; got 2. Install"),
    "parquet flipped": (flip("b.parquet"), "b.parquet: .*damaged.*expected sha256"),
    "arrays flipped": (flip("b.safetensors"), "b.safetensors: .*damaged.*expected sha256"),
    "a value changed": (
        lambda f: (f / "b.json").write_text((f / "b.json").read_text().replace("1.5", "1.6")),
        "b.json: .*damaged.*expected checksum",
    ),
    "cut short": (
        lambda f: (f / "b.parquet").write_bytes((f / "b.parquet").read_bytes()[:-1]),
        "b.parquet: .*damaged.*bytes; got .* bytes",
    ),
    "a bucket too high": (
        lambda f: retable(f, "bucket", lambda rows: [*rows[:-1], 4]),
        "expected item buckets from 0 to 3; got 4",
    ),
    "a bucket below zero": (
        lambda f: retable(f, "bucket", lambda rows: [-1, *rows[1:]]),
        "expected user buckets from 0 to 1; got -1",
    ),
    "another bucket": (
        lambda f: retable(f, "bucket", lambda rows: [1, *rows[1:]]), "expected user fingerprint",
    ),
    "another weight": (
        lambda f: retable(f, "weight", lambda rows: [*rows[:-1], 9.0]), "item fingerprint",
    ),
    "a weight that is none": (
        lambda f: retable(f, "weight", lambda rows: [*rows[:-1], float("nan")]), "finite float32",
    ),
    "an id twice": (
        lambda f: retable(f, "id", lambda rows: ["5", *rows[1:]]), "distinct user ids; got repeat",
    ),
    "ways apart": (
        lambda f: retable(f, "id", lambda rows: [*rows[:-2], "x", "c"]), "2 rows of each item",
    ),
    "an id of another type": (
        lambda f: retable(f, "id", lambda rows: ["x", *rows[1:]]), "as the format describes",
    ),
    "a row of the wrong side": (
        lambda f: retable(f, "side", lambda rows: ["item", *rows[1:]]), "3 rows of users; got 2",
    ),
    "another method": (
        change("method", {"name": "dhe"}),
        "a method that this version does not know; expected one of full.*got unknown .*'dhe'",
    ),
    "another option": (
        change("method", {"name": "full", "depth": 3}), "does not know; .*got unknown key .*depth",
    ),
    "another rule": (
        change("sides", "item", "rules", 0, "kind", "oracle"),
        "this version knows no rule 'oracle'; expected one of .*reserved",
    ),
    "a rule of other numbers": (
        change("sides", "user", "rules", 0, "scalars", {"column": 1}), "as the format describes",
    ),
    "a rule too few": (drop("sides", "item", "rules"), "as the format describes.*'rules'"),
    "another fingerprint": (change("fingerprint", "0" * 64), "expected fingerprint 0000"),
    "no sides": (drop("sides"), "as the format describes them; got KeyError"),
    "no files": (drop("files"), "b.json: .*expected `files` with bytes and sha256"),
}  # fmt: skip


@pytest.mark.parametrize("damage", WRONG)
def test_what_is_wrong_is_refused_and_named(tmp_path: Path, damage: str) -> None:
    save_buckets(by_hand(), tmp_path / "b.parquet")
    spoil, words = WRONG[damage]
    spoil(tmp_path)
    with pytest.raises(ModelError, match=words):
        load_buckets(tmp_path / "b.parquet")


def test_nothing_there_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="b.json: a file of these buckets is missing"):
        load_buckets(tmp_path / "b.parquet")


@pytest.mark.parametrize("name", ["b", "b.csv", "b.json"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    for verb in (load_buckets, lambda path: save_buckets(by_hand(), path)):
        with pytest.raises(UsageError, match=f"{name}: .*a name ending in .parquet"):
            verb(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# --- writing -----------------------------------------------------------------------------------


def test_buckets_replace_buckets(tmp_path: Path) -> None:
    save_buckets(by_hand(), tmp_path / "b.parquet")
    other = by_hand(pa.array(["x", "y", "z"]))
    same(other, round_trip(other, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"b{end}" for end in ENDS)


@pytest.mark.parametrize("end", ENDS)
def test_what_is_no_buckets_is_not_replaced(tmp_path: Path, end: str) -> None:
    """`hashrec buckets log.parquet --out log.parquet` must not cost somebody their log."""
    path = tmp_path / f"b{end}"
    if end == ".parquet":
        pq.write_table(pa.table({"user": [1], "item": [2]}), path)
    else:
        path.write_text('{"mine": 1}')
    before = path.read_bytes()
    with pytest.raises(OutputError, match=f"b{end}: something that is no file of buckets"):
        save_buckets(by_hand(), tmp_path / "b.parquet")
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == {path.name: before}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="none: the folder does not exist. Make it first"):
        save_buckets(by_hand(), tmp_path / "none" / "b.parquet")


@pytest.mark.parametrize("step", ["_write_parquet", "_write_safetensors", "_to_disk"])
def test_a_disk_without_room_leaves_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    save_buckets(by_hand(), tmp_path / "b.parquet")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(path: Path, *more: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trio, step, full)
    with pytest.raises(OutputError, match="could not be written; got No space left on device"):
        save_buckets(by_hand(pa.array(["x", "y", "z"])), tmp_path / "b.parquet")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("renamed", [1, 2])
def test_stopped_between_two_renames_is_seen_and_mended_by_writing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    given, other = by_hand(), by_hand(pa.array(["x", "y", "z"]))
    save_buckets(given, tmp_path / "b.parquet")
    monkeypatch.setattr(store, "_rule_arrays", lambda *sides: {"a": np.ones(1)})
    done: list[Path] = []
    rename = Path.replace

    def stop(path: Path, target: Path) -> Path:
        if len(done) == renamed:
            raise KeyboardInterrupt
        done.append(target)
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        save_buckets(other, tmp_path / "b.parquet")
    monkeypatch.undo()
    assert ".json" not in {target.suffix for target in done}  # it vouches for the others
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"b{end}" for end in ENDS)
    with pytest.raises(ModelError, match="damaged, or their files are not of one writing"):
        load_buckets(tmp_path / "b.parquet")
    same(other, round_trip(other, tmp_path))


def test_facts_that_json_cannot_hold_change_nothing(tmp_path: Path) -> None:
    odd = Buckets(by_hand().users, by_hand().items, Full(), 0, {"modularity": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        save_buckets(odd, tmp_path / "b.parquet")
    assert list(tmp_path.iterdir()) == []


def test_ids_of_an_odd_type_are_refused(tmp_path: Path) -> None:
    odd = by_hand(pa.array([1, 2, 3], type=pa.int32()))
    with pytest.raises(UsageError, match="user ids of a type.*expected int64, uint64, string; got"):
        save_buckets(odd, tmp_path / "b.parquet")


def test_the_public_names_do_the_same(tmp_path: Path) -> None:
    import hashrec as hr

    with pytest.warns(HashrecWarning, match=r"\[full-table\]"):
        found = hr.buckets(LOG, "full", rows=70_000)
    hr.save_buckets(found, tmp_path / "b.parquet")
    assert hr.load_buckets(tmp_path / "b.parquet").fingerprint() == found.fingerprint()
