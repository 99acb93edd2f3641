"""What the pages under docs/ tell the reader to type is typed here."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hashrec as hr
from hashrec.bucketing import METHODS
from hashrec.cli.main import main
from hashrec.component import Component
from hashrec.ctr import MODELS, CtrRecipe, CtrTraining
from hashrec.encoders import ENCODERS, Mf
from hashrec.hashing import CODES, LearnedCoder
from hashrec.impressions import TRANSFORMS, Fields
from hashrec.learning import LOSSES, SAMPLERS, Table, Training
from hashrec.search import ENGINES

DOCS = Path(__file__).parents[1] / "docs"
SOURCE = Path(hr.__file__).parent
TORCH = "hr.HashedEmbedding", "hr.compress"


@dataclass(frozen=True)
class Page:
    """A page under docs/ that is tested."""

    name: str

    @cached_property
    def text(self) -> str:
        return (DOCS / self.name).read_text(encoding="utf-8")

    def blocks(self, kind: str) -> list[str]:
        return re.findall(rf"^```{kind}\n(.*?)^```", self.text, re.DOTALL | re.MULTILINE)

    @property
    def commands(self) -> list[str]:
        return re.findall(r"^    (hashrec .*)$", self.text, re.MULTILINE)

    def table(self, head: str) -> list[list[str]]:
        """The rows of the table whose head begins so, as cells."""
        found = re.findall(rf"^\| {head} \|.*\n\|-.*\n((?:\|.*\n)+)", self.text, re.MULTILINE)
        (body,) = found
        return [[cell.strip() for cell in row.split("|")[1:-1]] for row in body.splitlines()]

    def keys(self, head: str, column: int = 0) -> set[str]:
        """What stands in backquotes in that column of the table."""
        return {key for row in self.table(head) for key in quoted(row[column])}

    def run(self, names: dict[str, Any]) -> dict[str, Any]:
        """The names that the Python blocks leave behind, run in order where we are."""
        for number, block in enumerate(self.blocks("python")):
            if can_run(block):
                exec(compile(here(block), f"{self.name}, Python block {number}", "exec"), names)
        return names


def quoted(text: str) -> list[str]:
    return re.findall(r"`(.+?)`", text)


BUCKETS, TRAINING = Page("buckets.md"), Page("training.md")
CODES_PAGE = Page("codes.md")
SEARCH = Page("search.md")
CTR = Page("ctr.md")
PAGES = (BUCKETS, TRAINING, CODES_PAGE, SEARCH, CTR)
KINDS = ("python", "sql", "toml")


def here(text: str) -> str:
    """With a method that is there, where `graph` is not."""
    if "graph" in METHODS:
        return text
    return text.replace('"graph"', '"modulo"').replace("--method graph", "--method modulo")


def can_run(block: str) -> bool:
    """Blocks on what the room `training` offers run where it does."""
    return all(hasattr(hr, name.removeprefix("hr.")) for name in TORCH if name in block)


def test_there_are_commands_and_blocks_to_run() -> None:
    """Guards the guard: a changed layout must not leave nothing to test."""
    counts = {
        page.name: [len(page.commands), *(len(page.blocks(kind)) for kind in KINDS)]
        for page in PAGES
    }
    assert counts == {
        "buckets.md": [3, 10, 2, 0], "training.md": [8, 3, 0, 1], "codes.md": [10, 1, 0, 0],
        "search.md": [4, 5, 0, 0], "ctr.md": [9, 3, 0, 0],
    }  # fmt: skip
    blocks = sum(len(re.findall("^```[a-z]+$", page.text, re.MULTILINE)) for page in PAGES)
    assert blocks == sum(sum(found[1:]) for found in counts.values())


def called(command: str) -> int:
    return main(shlex.split(here(command))[1:])


@pytest.mark.parametrize("any_page", PAGES, ids=lambda page: page.name)
def test_every_flag_on_a_page_is_one(any_page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    for command in set(re.findall(r"(?:^    |`)hashrec ([a-z-]+)", any_page.text, re.MULTILINE)):
        with pytest.raises(SystemExit):
            main([command, "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", any_page.text))
    assert len(named) >= 3
    assert named <= known


# --- buckets.md --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Python blocks of buckets.md leave behind, run in an empty folder."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return BUCKETS.run({"folder": folder})


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
    join, fullest = BUCKETS.blocks("sql")
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


@pytest.mark.parametrize("command", BUCKETS.commands)
def test_the_commands_on_buckets_run(
    command: str, page: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hr.save_buckets(page["b"], tmp_path / "buckets.parquet")  # `--extend` wants one
    monkeypatch.chdir(tmp_path)
    assert called(command) == 0


def test_every_field_of_the_files_is_explained(page: dict[str, Any]) -> None:
    folder = page["folder"]
    content = json.loads((folder / "buckets.json").read_text(encoding="utf-8"))
    sides = {f"sides.{side}" for side in content.pop("sides")}
    assert BUCKETS.keys("key") >= set(content) | sides
    assert BUCKETS.keys("key of a side") == set(
        json.loads((folder / "buckets.json").read_text(encoding="utf-8"))["sides"]["user"]
    )
    assert BUCKETS.keys("column") == set(pq.read_schema(folder / "buckets.parquet").names)


def test_every_warning_has_its_place_on_the_page() -> None:
    codes = {
        code
        for path in SOURCE.rglob("*.py")
        for code in re.findall(r'\[([a-z]+(?:-[a-z]+)+)\]",?$', path.read_text("utf-8"), re.M)
    }
    assert codes
    assert {f"[{code}]" for code in codes} <= BUCKETS.keys("code")


def test_a_page_of_other_kinds_of_ids_would_be_text(tmp_path: Path) -> None:
    """`id`: where users and items are of different types, both as text."""
    log = hr.read(pa.table({"user": [1, 2], "item": ["a", "b"]}))
    hr.save_buckets(hr.buckets(log, "full", rows=4), tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet")["id"].to_pylist() == ["1", "2", "a", "b"]


# --- training.md -------------------------------------------------------------------------------


def small_files(folder: Path) -> Path:
    """The files that the page speaks of: a small planted log, features, and its recipe."""
    log = hr.planted(90, 60, communities=5, degree=12, noise=0.1, seed=0).interactions
    pairs = zip(log.matrix.row_of_entry, log.matrix.indices, strict=True)
    files = {
        "events.csv": ["user,item", *(f"u{user},i{item}" for user, item in pairs)],
        "users.csv": ["user,age,job", *(f"u{n},{20 + n},{'abc'[n % 3]}" for n in range(80))],
        "items.csv": ["item,price", *(f"i{n},{n % 7}" for n in range(60))],
        "recipe.toml": TRAINING.blocks("toml"),
    }
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard and MLflow, which listen and say nothing."""
    tensorboard, mlflow = (MagicMock(spec=ModuleType) for _ in range(2))
    tensorboard.SummaryWriter = MagicMock()
    mlflow.log_params, mlflow.log_metrics = MagicMock(), MagicMock()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", tensorboard)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)


@pytest.mark.parametrize("command", TRAINING.commands)
def test_the_commands_on_training_run(
    command: str, boards: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_files(tmp_path))
    assert called(command) == 0
    assert hr.load("model").recommend(["u1"], k=3).num_rows == 3
    assert {key for event in events_of("model.training") for key in event} <= TRAINING.keys("key")


def events_of(folder: str) -> list[dict[str, Any]]:
    lines = (Path(folder) / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the Python blocks of training.md leave behind, run among the files it speaks of."""
    folder = small_files(tmp_path_factory.mktemp("training"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return TRAINING.run({"folder": folder})


def test_the_python_on_training_trains(learned: dict[str, Any]) -> None:
    assert learned["report"].metrics["recall@20"] > 0.4  # a third of the items by chance
    assert learned["facts"]["table_rows"] <= round(0.25 * 150)
    assert learned["facts"]["epochs"] in {entry["epoch"] for entry in learned["facts"]["history"]}
    ages = learned["ages"]
    assert (ages.names, ages.missing) == (("age", "age=?", "job=a", "job=b", "job=c", "job=?"), 10)
    told = [event["loss"] for event in learned["events"] if event["event"] == "epoch"]
    assert learned["losses"] == told
    assert len(told) == 3


def test_the_toml_on_training_is_a_whole_recipe(tmp_path: Path) -> None:
    recipe = hr.Recipe.from_toml(small_files(tmp_path) / "recipe.toml")
    assert (recipe.encoder.name, recipe.table.method.name) == ("lightgcn", "graph")
    assert recipe.training.loss.to_dict()["negatives"] == 2


def test_every_event_of_the_journal_is_explained(learned: dict[str, Any], tmp_path: Path) -> None:
    folder = learned["folder"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert called(TRAINING.commands[0]) == 0
    common = {"time", "stage", "part", "event"}
    found: dict[str, set[str]] = {}
    for event in events_of(str(folder / "model.training")):
        found.setdefault(event["event"], set()).update(set(event) - common)
    on_the_page = {
        quoted(event)[0]: set(quoted(keys)) for event, _, keys in TRAINING.table("event")
    }
    assert on_the_page == found
    assert TRAINING.keys("key") == common.union(*found.values())


def in_json(value: Any) -> str:
    """As one would write it after `--set key=`."""
    named = value["name"] if isinstance(value, dict) else value
    return named if isinstance(named, str) else json.dumps(named)


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("option", Training().to_dict()),
        ("option of a table", Table().to_dict()),
        ("option of every encoder here", Mf().to_dict()),
    ],
    ids=["training", "table", "encoder"],
)
def test_every_option_and_its_default_is_on_the_page(head: str, options: dict[str, Any]) -> None:
    rows = {quoted(key)[0]: quoted(default)[0] for key, default, _ in TRAINING.table(head)}
    assert rows == {key: in_json(value) for key, value in options.items() if key != "name"}


def own_options(kind: type[Component]) -> set[str]:
    """Of an encoder, those that not all trained encoders have."""
    return set(kind.model_fields) - set(Mf.model_fields)


@pytest.mark.parametrize(
    ("head", "registry", "leave"),
    [("encoder", ENCODERS, {"spectral"}), ("loss", LOSSES, set()), ("sampler", SAMPLERS, set())],
    ids=["encoder", "loss", "sampler"],
)
def test_every_method_and_its_options_are_on_the_page(
    head: str, registry: Any, leave: set[str]
) -> None:
    rows = {quoted(name)[0]: set(quoted(options)) for name, _, options in TRAINING.table(head)}
    assert rows == {name: own_options(registry[name]) for name in registry if name not in leave}


# --- codes.md ----------------------------------------------------------------------------------


def test_every_learned_code_and_its_options_are_on_the_page() -> None:
    rows = {quoted(name)[0]: set(quoted(options)) for name, _, options in CODES_PAGE.table("code")}
    learned = {name: CODES[name] for name in CODES if issubclass(CODES[name], LearnedCoder)}
    common = set(LearnedCoder.model_fields)
    assert rows == {name: set(kind.model_fields) - common for name, kind in learned.items()}
    assert CODES_PAGE.keys("option of every learned code") == common


def test_the_block_on_codes_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    names = CODES_PAGE.run({})
    assert set(names["found"]) == {"sign", "ste", "hashlgn"}
    assert min(names["found"].values()) > 0.1


# --- search.md ---------------------------------------------------------------------------------


def test_every_engine_is_on_the_page() -> None:
    assert SEARCH.keys("engine") == set(ENGINES)
    exact = {quoted(name)[0]: answers for name, _, answers, _ in SEARCH.table("engine")}
    assert {name for name, answers in exact.items() if answers == "exact"} == {
        name for name, engine in ENGINES.items() if engine.exact
    }


def test_the_blocks_on_search_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = SEARCH.run({})
    assert names["in_stock"][names["best"].positions].all()
    assert names["in_stock"][names["few"].positions].all()
    assert names["found"].counts.min() == 10
    assert names["recall"][names["enough"].probes - 1] >= 0.95
    assert (np.diff(names["hits"].offsets) <= 100).all()


def test_the_commands_on_search_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    log = hr.planted(60, 40, communities=3, degree=6, noise=0.1, seed=0).interactions
    users = ["ann", "bob", *(f"u{n}" for n in range(58))]
    pairs = {
        "user": [users[user] for user in log.matrix.row_of_entry],
        "item": [f"i{item}" for item in log.matrix.indices],
    }
    hr.Recommender(hr.Recipe(encoder=hr.Spectral(dim=8))).fit(hr.read(pa.table(pairs))).save(
        "model"
    )
    (tmp_path / "in-stock.txt").write_text("i1\ni2\ni3\n", encoding="utf-8")
    for command in SEARCH.commands:
        if not command.startswith("hashrec bench"):
            assert called(command.split("#")[0]) == 0
    assert "engine" in capsys.readouterr().out


# --- all pages ---------------------------------------------------------------------------------


def test_links_between_pages_lead_somewhere() -> None:
    for path in DOCS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (DOCS / link).exists(), (path.name, link)


# --- ctr.md ------------------------------------------------------------------------------------


def clicks_folder(folder: Path) -> None:
    """The files that the page's commands name."""
    rng = np.random.default_rng(0)
    users, items = [f"u{at}" for at in range(20)], [f"i{at}" for at in range(15)]
    rows = [
        f"{rng.choice(users)},{rng.choice(items)},{hour},{int(hour > 11) ^ (rng.random() < 0.3)}"
        for hour in rng.integers(0, 24, 500)
    ]
    for name, part in (("log.csv", rows), ("later.csv", rows[:50])):
        (folder / name).write_text("\n".join(["user,item,hour,label", *part]) + "\n")
    (folder / "candidates.csv").write_text("user,item,hour\nu1,i2,9\nnew,i3,10\n")
    (folder / "yesterday.csv").write_text("user,item\nnew,i1\nnew,i2\n")
    everything = [f"{user},{item}" for user in ("ann", *users) for item in items[:8]]
    (folder / "met.csv").write_text("\n".join(["user,item", *everything]) + "\n")


def test_the_commands_on_clicks_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clicks_folder(tmp_path)
    assert called("hashrec fit met.csv --out model --no-evaluate --set encoder.dim=8") == 0
    benches = [command for command in CTR.commands if command.startswith("hashrec bench")]
    for command in CTR.commands:
        if command not in benches:
            assert called(command) == 0, command
    assert (tmp_path / "clicks.onnx").is_file() and (tmp_path / "scores.parquet").is_file()


def test_the_python_on_clicks_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = CTR.run({})
    assert set(names["report"]) == {
        "auc", "log_loss", "calibration_error", "predicted_over_true",
    }  # fmt: skip
    assert set(names["report"]) <= set(re.findall(r"\w+", CTR.text))
    assert names["scores"].column_names == ["user", "item", "score"]
    again = names["again"].score(names["shown"])
    assert again["score"].to_pylist() == pytest.approx(names["scores"]["score"].to_pylist())
    assert names["grown"].fitted.made.users.find([900])[0] >= 0
    assert names["best"]["rank"].to_pylist() == [1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize(
    ("head", "options"),
    [("option of fields", Fields()), ("option of training", CtrTraining()),
     ("option of a recipe", CtrRecipe())],
    ids=["fields", "training", "recipe"],
)  # fmt: skip
def test_every_option_of_clicks_and_its_default_is_on_the_page(head: str, options: Any) -> None:
    rows = {quoted(key)[0]: quoted(default) for key, default, _ in CTR.table(head)}
    assert set(rows) == set(type(options).model_fields)
    for key, shown in rows.items():
        value = getattr(options, key)
        if isinstance(value, Component):
            plain = value.method.name if isinstance(value, Table) else value.name
            assert shown in ([], [plain]), key
        else:
            assert shown == [json.dumps(value).strip('"')], key


def test_every_model_of_clicks_and_its_options_are_on_the_page() -> None:
    rows = {quoted(name)[0]: set(quoted(options)) for name, _, options in CTR.table("model")}
    assert rows == {name: set(MODELS[name].model_fields) for name in MODELS}
    assert set(TRANSFORMS) <= set(quoted(CTR.text))
