"""`hashrec buckets`: what it writes, prints and draws, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import LOG, TRAIN, Run, pairs, write_csv

from hashrec.bucketing import Assignment, Buckets, buckets, load_buckets
from hashrec.bucketing.balanced import Balanced
from hashrec.bucketing.full import Full
from hashrec.bucketing.rules import Reserved
from hashrec.cli import buckets as command
from hashrec.cli.drawing import draw
from hashrec.cli.listening import listener, warnings_as_notes
from hashrec.errors import HashrecWarning
from hashrec.interactions import Interactions, planted, read

FIXED = {"table_rows", "table_bytes", "seconds", "peak_rss_mb"}
ENDS = ("b.json", "b.parquet", "b.safetensors")


def words(line: str) -> list[str]:
    return line.split()


# --- what comes out ----------------------------------------------------------------------------


def test_the_files_are_those_of_the_library(hashrec: Run, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.parquet"
    done = hashrec("buckets", log, "--method", "modulo", "--rows", "0.5", "--out", out)
    assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == list(ENDS)
    found, expected = load_buckets(out), buckets(read(log), "modulo", 0.5)
    assert found.fingerprint() == expected.fingerprint()
    assert found.users.ids.equals(expected.users.ids)
    table = pq.read_table(out)
    assert table.num_rows == LOG.n_users + LOG.n_items
    assert set(table["id"].to_pylist()) == {name for pair in pairs(LOG) for name in pair}


def test_a_table_for_people(hashrec: Run, log: Path, tmp_path: Path) -> None:
    """80 users and 50 items at half: 40 and 25 rows of two ids each, a byte an id."""
    options = ("--method", "modulo", "--rows", "50%", "--out", tmp_path / "b.parquet")
    head, *rows = hashrec("buckets", log, *options).out.splitlines()
    assert re.split("  +", head) == [
        "side", "ids", "rows", "largest bucket", "median bucket", "index bytes",
    ]  # fmt: skip
    assert [words(row) for row in rows] == [
        ["user", "80", "40", "2", "2", "80"],
        ["item", "50", "25", "2", "2", "50"],
    ]
    head, *rows = hashrec("buckets", log, *options, "--dim", 16).out.splitlines()
    assert head.endswith("  table bytes")
    assert [words(row)[-1] for row in rows] == ["2560", "1600"]


def test_one_json_object_with_the_fixed_keys(hashrec: Run, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.parquet"
    done = hashrec("buckets", log, "--method", "modulo", "--rows", 65, "--out", out, "--json")
    result = done.json
    assert set(result) >= FIXED
    assert (result["table_rows"], result["table_bytes"], result["dim"]) == (65, 65 * 64 * 4, 64)
    assert set(result["seconds"]) == {"read", "assign", "write"}
    assert result["method"]["name"] == "modulo"
    assert result["fingerprint"] == load_buckets(out).fingerprint()
    assert result["files"] == {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert result["sides"]["item"]["rows"] + result["sides"]["user"]["rows"] == 65
    assert result["facts"] == load_buckets(out).facts
    smaller = hashrec("buckets", log, "--method", "modulo", "--dim", 8, "--out", out, "--json").json
    assert smaller["table_bytes"] == smaller["table_rows"] * 8 * 4


def test_a_quarter_of_the_ids_unless_rows_are_given(
    hashrec: Run, log: Path, tmp_path: Path
) -> None:
    out = ("--method", "modulo", "--out", tmp_path / "b.parquet", "--json")
    assert hashrec("buckets", log, *out).json["table_rows"] == round(130 / 4)
    sides = hashrec("buckets", log, "--user-rows", 7, "--item-rows", "20%", *out).json["sides"]
    assert (sides["user"]["rows"], sides["item"]["rows"]) == (7, 10)
    by_bytes = hashrec("buckets", log, "--rows", "2kB", "--dim", 10, *out).json
    assert (by_bytes["table_rows"], by_bytes["table_bytes"]) == (50, 2000)


def test_the_seed_and_the_options_of_the_method_arrive(
    hashrec: Run, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[Any] = []

    def spy(*arguments: Any, **options: Any) -> Any:
        got.append((arguments[1:], options))
        return buckets(arguments[0], "modulo", 0.5)

    monkeypatch.setattr(command, "buckets", spy)
    done = hashrec(
        "buckets", log, "--method", "balanced", "--set", "second=both", "--set", "largest=0.5",
        "--rows", "9", "--item-rows", "4", "--dim", 6, "--half-life", "2.5", "--tied",
        "--seed", 11, "--explain",
    )  # fmt: skip
    assert done.code == 0, done.err
    (((method, rows), options),) = got
    assert method == Balanced(second="both", largest=0.5)
    assert rows == "9"
    del options["progress"]
    assert options == {
        "user_rows": None, "item_rows": "4", "dim": 6, "half_life": 2.5, "tied": True, "seed": 11,
    }  # fmt: skip


def test_facts_are_shown(
    hashrec: Run, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    facts = {"gamma": 1.25, "modularity": 0.123456789, "runs": [{"gamma": 1, "modularity": 0.5}]}
    monkeypatch.setattr(
        command, "buckets", lambda log, *_, **__: replace(buckets(log, "modulo", 0.5), facts=facts)
    )
    shown = hashrec("buckets", log, "--out", tmp_path / "b.parquet").out.splitlines()
    assert shown[3:] == ["gamma 1.25, modularity 0.12346"]
    assert load_buckets(tmp_path / "b.parquet").facts == facts
    plot = tmp_path / "p.svg"
    assert hashrec("buckets", log, "--explain", "--plot", plot).code == 0
    assert "Modularity by resolution" in plot.read_text(encoding="utf-8")


def test_only_the_train_part_of_a_folder_is_looked_at(
    hashrec: Run, parts: Path, tmp_path: Path
) -> None:
    """Ids that the test part alone has met have no bucket."""
    folder = tmp_path / "parts"
    folder.mkdir()
    write_csv(folder / "train.csv", pairs(TRAIN))
    write_csv(folder / "test.csv", [("stranger", "i1"), ("u1", "novelty")])
    options = ("--method", "modulo", "--json", "--out", tmp_path / "b.parquet")
    done = hashrec("buckets", folder, *options)
    assert "only the train part is used; left alone: test" in done.err
    alone = hashrec("buckets", folder / "train.csv", *options)
    assert "left alone" not in alone.err
    assert done.json["fingerprint"] == alone.json["fingerprint"]
    ids = load_buckets(tmp_path / "b.parquet")
    assert not {"stranger", "novelty"} & {*ids.users.ids.to_pylist(), *ids.items.ids.to_pylist()}


def test_cleaning_and_columns(hashrec: Run, tmp_path: Path) -> None:
    rows = [(item, user, 5 if user < 6 else 1) for user in range(9) for item in "abc" if user != 0]
    log = write_csv(tmp_path / "log.csv", [*rows, ("d", 1, 5)], ("film", "who", "stars"))
    names = ("--user", "who", "--item", "film", "--rating", "stars")
    base = ("buckets", log, *names, "--method", "full", "--explain", "--json")
    whole = hashrec(*base).json["sides"]
    assert (whole["user"]["ids"], whole["item"]["ids"]) == (8, 4)
    rated = hashrec(*base, "--min-rating", 4, "--core", 2).json["sides"]
    assert (rated["user"]["ids"], rated["item"]["ids"]) == (5, 3)


# --- explaining --------------------------------------------------------------------------------


def test_explain_names_the_rooms(hashrec: Run, log: Path) -> None:
    done = hashrec("buckets", log, "--method", "full", "--explain")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    at = lines.index("ids in a bucket  user rows  item rows")
    assert words(lines[at + 1]) == ["1", "80", "50"]
    assert "largest user buckets" in lines
    assert f"  0: u0 ({LOG.matrix.lengths[0]})" in lines
    assert lines[-1] == "  none"  # one user and one item are no room
    said = hashrec("buckets", log, "--method", "full", "--explain", "--json").json["explain"]
    assert said["histograms"] == {"user": [[1, 80]], "item": [[1, 50]]}


def by_community(log: Interactions, *_: Any, **__: Any) -> Buckets:
    """The truth: one bucket for each of the four communities that were planted."""
    truth = planted(80, 50, communities=4, degree=12, noise=0.15, seed=5)
    sides: list[Any] = []
    for name, ids, labels in (
        ("user", log.users, truth.user_communities),
        ("item", log.items, truth.item_communities),
    ):
        numbers = [int(raw[1:]) for raw in ids.array.to_pylist()]
        column = labels[numbers].astype(np.int32)[:, None]
        sides.append(Assignment(cast(Any, name), ids.array, column, 4, (Reserved(0),)))
    return Buckets(*sides, Full())


def test_blocks_are_shown_with_both_their_sides(
    hashrec: Run, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "buckets", by_community)
    said = hashrec("buckets", log, "--explain", "--json").json["explain"]["densest"]
    assert sorted(block["users"]["bucket"] for block in said) == [0, 1, 2, 3]
    assert all(block["users"]["bucket"] == block["items"]["bucket"] for block in said)
    block = said[0]
    lines = hashrec("buckets", log, "--explain").out.splitlines()
    at = lines.index("densest pairs of a user and an item bucket that belong together") + 1
    users, items = block["users"], block["items"]
    assert lines[at] == (
        f"  {users['size']} users x {items['size']} items: {block['edges']} interactions, "
        f"{100 * block['density']:.1f}% of all pairs"
    )
    for line, room in ((lines[at + 1], users), (lines[at + 2], items)):
        (first, count), more = room["names"][0], room["size"] - len(room["names"])
        assert line.startswith(f"    {room['side']} {room['bucket']}: {first} ({count}), ")
        assert line.endswith(f", and {more} more")


def test_sizes_are_shown_by_doubling(hashrec: Run, log: Path) -> None:
    lines = hashrec("buckets", log, "--method", "modulo", "--rows", 2, "--explain").out.splitlines()
    sizes = [line for line in lines if line.startswith(("32-63", "64-127"))]
    assert [words(line) for line in sizes] == [["32-63", "0", "1"], ["64-127", "1", "0"]]


def test_a_plot_is_a_picture_with_its_axes_named(hashrec: Run, log: Path, tmp_path: Path) -> None:
    plot = tmp_path / "p.svg"
    done = hashrec("buckets", log, "--method", "modulo", "--explain", "--plot", plot)
    assert f"written to {plot}" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["p.svg"]
    root = ElementTree.fromstring(plot.read_text(encoding="utf-8"))
    said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Sizes of buckets", "ids in a bucket", "buckets of that size", "users", "items"} <= set(
        said
    )
    assert "Modularity by resolution" not in said


SVG = "{http://www.w3.org/2000/svg}"


def circles(picture: str) -> list[tuple[float, float]]:
    found = ElementTree.fromstring(picture).iter(f"{SVG}circle")
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in found]


def test_points_stand_where_their_logarithms_say() -> None:
    """Sizes 1, 10, 100: even steps to the right; a tenth of the rows: one step down."""
    points = circles(draw({"user": [(0, 5), (1, 1000), (10, 100), (100, 10)]}))[:3]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    assert x0 < x1
    assert y0 < y1  # pixels count from above


def test_all_that_is_drawn_lies_inside_the_picture() -> None:
    curve = [(0.01, 0.9), (1, 0.6), (50, -0.1)]
    for histogram in ([(1, 1)], [(0, 9)], [(7, 3), (100_000, 1), (8, 500_000)]):
        picture = draw({"user": histogram, "item": [(3, 2)]}, curve)
        root = ElementTree.fromstring(picture)
        height, width = float(root.attrib["height"]), float(root.attrib["width"])
        assert len(root.findall(f"{SVG}g")) == 2
        assert all(0 < x < width / 2 and 0 < y < height for x, y in circles(picture))
        for text in root.iter(f"{SVG}text"):
            assert 0 < float(text.attrib["x"]) < width / 2
            assert 0 < float(text.attrib["y"]) < height
    assert "users (9 rows empty)" in draw({"user": [(0, 9)]})


def test_a_curve_of_one_point_is_drawn() -> None:
    assert len(circles(draw({"user": [(2, 1)]}, [(1.0, 0.4)]))) == 3


# --- warnings and errors -----------------------------------------------------------------------


def test_a_warning_is_one_line(log: Path, tmp_path: Path) -> None:
    """In a process of its own, whose warnings no test runner handles."""
    done = subprocess.run(
        [sys.executable, "-m", "hashrec", "buckets", str(log), "--method", "full",
         "--rows", "9999", "--out", str(tmp_path / "b.parquet")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = [line for line in done.stderr.splitlines() if "warning" in line.lower()]
    assert line.startswith("hashrec: warning: rows: 9,999 rows for 130 ids")
    assert line.endswith(" [full-table]")
    assert "warnings.warn" not in done.stderr


def test_a_warning_of_somebody_else_is_left_to_python(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="theirs"), warnings_as_notes(listener()):
        warnings.warn("ours [code]", HashrecWarning, stacklevel=1)
        warnings.warn("theirs", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "hashrec: warning: ours [code]\n"


OUT = ("--out", "O/b.parquet")
WRONG: dict[tuple[str, ...], str] = {
    ("T", "--method", "full", "--rows", "0", *OUT): "rows: too few rows; expected at least 2",
    ("T", "--method", "full", "--rows", "-3", *OUT): "too few rows.*-3",
    ("T", "--method", "full", "--rows", "1.5", *OUT): r"a share out of range.*\(0, 1\]; got 1.5",
    ("T", "--method", "full", "--rows", "many", *OUT): "cannot be read as rows.*'many'",
    ("T", "--method", "full", "--rows", "4MB", *OUT): "bytes mean nothing without a dimension",
    ("T", "--method", "full", "--user-rows", "4", *OUT): "half a budget; expected rows, or",
    ("T", "--method", "full", "--user-rows", "4", "--item-rows", "4", "--rows", "9", *OUT):
        "the budgets contradict each other; .*got 4 \\+ 4 and 9",
    ("T", "--method", "modullo", *OUT): "unknown bucket method 'modullo'.*Did you mean modulo",
    ("T", "--method", "modulo", "--set", "dept=2", *OUT): "unknown key bucket method.dept",
    ("T", "--method", "modulo", "--set", "depth", *OUT): "cannot read the setting 'depth'",
    ("T", "--method", "full", "--half-life", "3", *OUT): "half-life needs times",
    ("T", "--method", "full", "--tied", *OUT): "tied sides must have the same ids",
    ("T", "--method", "full", "--core", "0", *OUT): "--core: expected a whole number from 1 on",
    ("T", "--method", "full", "--core", "999", *OUT): "cleaning leaves nothing",
    ("T", "--method", "full", "--min-rating", "3", *OUT): "no rating column",
    ("T", "--method", "full", "--min-rating", "nan", *OUT): "min_rating: .*finite number",
    ("T", "--method", "full", "--dim", "0", *OUT): "--dim: expected a whole number from 1 on",
    ("E", "--method", "full", *OUT): "empty.csv: there are no interactions; expected rows of data",
    ("debain", "--method", "full", *OUT): "debain: neither a file.*Did you mean debian",
    ("no", "--out", "none/b.parquet"): "none: the folder does not exist. Make it first",
    ("no", "--out", "O/b.csv"): "b.csv: .*a name ending in .parquet; got '.csv'",
    ("no", "--out", "O"): "a name ending in .parquet; got no ending",
    ("no",): "nothing would be kept; expected --out FILE.parquet, or --explain to look only",
    ("no", "--json"): "nothing would be kept",
    ("no", "--explain", "--plot", "O/p.png"): "p.png: only SVG is drawn; .*ending in .svg",
    ("no", "--explain", "--plot", "none/p.svg"): "none: the folder does not exist",
    ("T", "U", *OUT): "unrecognized arguments: U",
    (): "required: DATA",
}  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_is_one_line_and_writes_nothing(
    hashrec: Run, log: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    out, empty = tmp_path / "out", write_csv(tmp_path / "empty.csv", [])
    out.mkdir()
    names = {"T": log, "E": empty, "O": out, "O/b.parquet": out / "b.parquet"}
    names |= {f"O/{name}": out / name for name in ("b.csv", "p.png")}
    done = hashrec("buckets", *(names.get(word, word) for word in arguments))
    assert re.search(WRONG[arguments], done.message, re.IGNORECASE), done.message
    assert done.out == ""
    assert list(out.iterdir()) == []


def test_the_log_itself_is_not_overwritten(hashrec: Run, tmp_path: Path) -> None:
    import pyarrow as pa

    log = tmp_path / "b.parquet"
    pq.write_table(pa.table({"user": [1, 1], "item": [2, 3]}), log)
    before = log.read_bytes()
    done = hashrec("buckets", log, "--method", "full", "--out", log)
    assert "b.parquet: something that is no file of buckets stands there" in done.message
    assert log.read_bytes() == before


def test_help_says_what_there_is(hashrec: Run) -> None:
    assert "buckets" in hashrec("--help").out
    done = hashrec("buckets", "--help")
    assert done.code == 0
    for option in ("--method", "--rows", "--explain", "--plot", "--json", "--seed", "--threads"):
        assert option in done.out


def test_json_of_a_run_is_all_that_stands_on_stdout(
    hashrec: Run, log: Path, tmp_path: Path
) -> None:
    done = hashrec(
        "buckets", log, "--method", "modulo", "--explain", "--plot", tmp_path / "p.svg", "--json"
    )
    assert set(json.loads(done.out)) >= {*FIXED, "explain", "sides", "facts", "fingerprint"}


def test_without_rows_a_method_that_needs_none_gets_none(
    hashrec: Run, log: Path, tmp_path: Path
) -> None:
    """The default share would otherwise merge what a given resolution found."""
    out = ("--set", "gamma=3", "--out", tmp_path / "b.parquet", "--json")
    free = hashrec("buckets", log, *out).json
    assert free["facts"]["gamma"] == 3.0
    bound = hashrec("buckets", log, "--rows", "20", *out).json
    assert bound["table_rows"] in (19, 20)
    assert free["table_rows"] != bound["table_rows"]


def test_explain_tells_the_curve_and_levels(hashrec: Run, log: Path) -> None:
    graph = hashrec("buckets", log, "--rows", "0.3", "--explain", "--json").json
    curve = graph["explain"]["curve"]
    assert [point["gamma"] for point in curve] == sorted(point["gamma"] for point in curve)
    assert curve[0]["modularity"] > curve[-1]["modularity"]
    shown = hashrec("buckets", log, "--method", "pyramid", "--rows", "0.5", "--explain").out
    assert "level 1: gamma" in shown
    assert "level 2: gamma" in shown
    assert "modularity over the resolution" in shown
    hashed = hashrec("buckets", log, "--method", "modulo", "--explain", "--json").json
    assert hashed["explain"]["curve"] == []


def test_extend_places_new_ids_and_tells_the_drift(hashrec: Run, log: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    assert hashrec("buckets", log, "--rows", "0.3", "--out", first).code == 0
    more = tmp_path / "more.csv"
    text = log.read_text()
    one = text.splitlines()[1]
    more.write_text(text + "999999," + one.split(",", 1)[1] + "\n")
    done = hashrec("buckets", more, "--extend", first, "--out", second, "--json").json
    assert done["drift"]["new_users"] == 1
    assert done["drift"]["new_items"] == 0
    assert done["drift"]["modularity_now"] > 0
    old, new = load_buckets(first), load_buckets(second)
    assert len(new.users) == len(old.users) + 1
    assert (new.users.buckets[:-1] == old.users.buckets).all()
    said = hashrec("buckets", more, "--extend", first, "--out", second).out
    assert "1 users and 0 items placed; modularity" in said
