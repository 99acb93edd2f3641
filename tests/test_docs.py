"""What the pages under docs/ tell the reader to type is typed here."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hashrec as hr
from hashrec.bucketing import METHODS
from hashrec.cli.main import main

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "buckets.md").read_text(encoding="utf-8")
SOURCE = Path(hr.__file__).parent
TORCH = "hr.HashedEmbedding", "hr.compress"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def here(text: str) -> str:
    """With a method that is there, where `graph` is not."""
    if "graph" in METHODS:
        return text
    return text.replace('"graph"', '"modulo"').replace("--method graph", "--method modulo")


def can_run(block: str) -> bool:
    """Blocks on what the room `training` offers run where it does."""
    return all(hasattr(hr, name.removeprefix("hr.")) for name in TORCH if name in block)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that the page's Python blocks leave behind, run in order in an empty folder."""
    folder = tmp_path_factory.mktemp("page")
    names: dict[str, Any] = {"folder": folder}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number, block in enumerate(blocks("python")):
            if can_run(block):
                exec(compile(here(block), f"buckets.md, Python block {number}", "exec"), names)
    return names


def test_what_was_saved_is_what_was_made(page: dict[str, Any]) -> None:
    made = hr.buckets(page["log"], method=here('"graph"').strip('"'), rows=0.25, seed=0)
    assert page["b"].fingerprint() == made.fingerprint()
    assert page["b"].rows <= round(0.25 * (page["log"].n_users + page["log"].n_items))


def test_a_lookup_by_raw_id_is_the_row_of_the_assignment(page: dict[str, Any]) -> None:
    items, table = page["b"].items, page["table"].weight.detach().numpy()
    found = page["lookup"](["perl", "python3"]).detach().numpy()
    factors = np.ones((2, items.ways)) if items.weights is None else items.weights
    places = items.positions(["perl", "python3"])
    expected = [
        sum(factors[at, way] * table[items.buckets[place, way]] for way in range(items.ways))
        for at, place in enumerate(places)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_remapper_finds_known_ids_and_sets_unknown_ones_apart(
    page: dict[str, Any], tmp_path: Path
) -> None:
    import torch

    log = hr.planted(60, 40, communities=3, degree=6, noise=0.1, seed=0).interactions
    path = tmp_path / "b.parquet"
    made = hr.buckets(log, "random", rows=0.5, seed=1)
    hr.save_buckets(made, path)
    remap = page["Remap"](str(path), "item", made.items.rows)
    raw = torch.tensor([3, -1, 39, 10**12, 0])
    rows = made.items.buckets[[3, 39, 0], 0].tolist()
    none = made.items.rows
    assert remap(raw).tolist() == [rows[0], none, rows[1], none, rows[2]]
    assert set(remap.state_dict()) == {"ids", "buckets"}


def test_merges_give_each_event_its_row(page: dict[str, Any]) -> None:
    items = page["b"].items
    for frame, column in ((page["merged"], "item_row"), (page["joined"], "bucket")):
        assert len(frame) == 3 * items.ways
        rows = np.asarray(frame[column]).reshape(3, items.ways)
        assert (rows == items.buckets[items.positions(["perl", "python3", "perl"])]).all()
        assert np.asarray(frame["weight"]).sum() == pytest.approx(3, abs=1e-5)


def test_a_new_id_gets_a_bucket_and_the_old_ones_stay(page: dict[str, Any]) -> None:
    before, after = page["b"].users, page["longer"].users
    assert len(after) == len(before) + 1
    assert (after.buckets[: len(before)] == before.buckets).all()
    assert after.find(["my-app"])[0] == len(before)
    loaded = hr.load_buckets(page["folder"] / "longer.parquet")
    assert loaded.fingerprint() == page["longer"].fingerprint()


def test_a_drift_is_small_where_nothing_has_changed(page: dict[str, Any]) -> None:
    assert page["report"].lost < 0.05
    assert page["report"].pays() is False


def test_tied_sides_share_their_buckets(page: dict[str, Any]) -> None:
    rooms = page["rooms"]
    assert (rooms.users.buckets == rooms.items.buckets).all()


def database(log: Any, path: Path) -> sqlite3.Connection:
    """The log and the file as the page supposes them."""
    file = pq.read_table(path)
    users = log.users.take(log.matrix.row_of_entry).to_pylist()
    items = log.items.take(log.matrix.indices).to_pylist()
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE log (user, item)")
    base.execute("CREATE TABLE buckets (side, id, bucket, weight)")
    base.executemany("INSERT INTO log VALUES (?, ?)", zip(users, items, strict=True))
    rows = zip(*(file[name].to_pylist() for name in file.column_names), strict=True)
    base.executemany("INSERT INTO buckets VALUES (?, ?, ?, ?)", rows)
    base.execute("CREATE INDEX by_id ON buckets (side, id)")
    base.execute("ANALYZE")
    return base


def test_the_sql_runs(page: dict[str, Any]) -> None:
    join, fullest = blocks("sql")
    b, log = page["b"], page["log"]
    base = database(log, page["folder"] / "buckets.parquet")
    try:
        found = base.execute(join).fetchall()
        assert len(found) == log.n_interactions * b.users.ways * b.items.ways
        user, item, user_row, item_row = found[0]
        assert user_row in b.users.buckets[b.users.positions([user])[0]]
        assert item_row in b.items.buckets[b.items.positions([item])[0]]
        counts = base.execute(fullest).fetchall()
    finally:
        base.close()
    assert len(counts) == 10
    side, bucket, ids = counts[0]
    assert ids == max(b.users.sizes.max(), b.items.sizes.max())
    assert {"user": b.users, "item": b.items}[side].sizes[bucket] == ids


COMMANDS = re.findall(r"^    (hashrec buckets .*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(
    command: str, page: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hr.save_buckets(page["b"], tmp_path / "buckets.parquet")  # `--extend` wants one
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(here(command))[1:]) == 0


def test_there_are_commands_and_blocks_to_run() -> None:
    """Guards the guard: a changed layout must not leave nothing to test."""
    assert len(COMMANDS) == 3
    assert (len(blocks("python")), len(blocks("sql"))) == (10, 2)


def table_keys(head: str) -> set[str]:
    """What stands in backquotes in the first column of the table whose head begins so."""
    (body,) = re.findall(rf"^\| {head} \|.*\n\|-.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return {key for row in body.splitlines() for key in re.findall(r"`(.+?)`", row.split("|")[1])}


def test_every_field_of_the_files_is_explained(page: dict[str, Any]) -> None:
    folder = page["folder"]
    content = json.loads((folder / "buckets.json").read_text(encoding="utf-8"))
    sides = {f"sides.{side}" for side in content.pop("sides")}
    assert table_keys("key") >= set(content) | sides
    assert table_keys("key of a side") == set(
        json.loads((folder / "buckets.json").read_text(encoding="utf-8"))["sides"]["user"]
    )
    assert table_keys("column") == set(pq.read_schema(folder / "buckets.parquet").names)


def test_every_warning_has_its_place_on_the_page() -> None:
    codes = {
        code
        for path in SOURCE.rglob("*.py")
        for code in re.findall(r'\[([a-z]+(?:-[a-z]+)+)\]",?$', path.read_text("utf-8"), re.M)
    }
    assert codes
    assert {f"[{code}]" for code in codes} <= table_keys("code")


def test_every_option_on_the_page_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["buckets", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert table_keys("option")
    named = {word for key in table_keys("option") for word in re.findall(r"--[a-z-]+", key)}
    assert named <= known


def test_a_page_of_other_kinds_of_ids_would_be_text(tmp_path: Path) -> None:
    """`id`: where users and items are of different types, both as text."""
    log = hr.read(pa.table({"user": [1, 2], "item": ["a", "b"]}))
    hr.save_buckets(hr.buckets(log, "full", rows=4), tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet")["id"].to_pylist() == ["1", "2", "a", "b"]


def test_links_between_pages_lead_somewhere() -> None:
    for path in DOCS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (DOCS / link).exists(), (path.name, link)
