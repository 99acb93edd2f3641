"""`hashrec fit` with an encoder that trains: what it keeps, goes on from, tells and refuses."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import LOG, Done, Run, call, write_csv

from hashrec.recommender import load
from hashrec.training.journal import Journal

FIXED = {
    "recall@20", "ndcg@20", "tie_rate@20", "bytes_per_item", "bytes_per_user", "table_rows",
    "table_bytes", "seconds", "peak_rss_mb", "model_bytes",
}  # fmt: skip


def settings(**options: object) -> list[str]:
    """`encoder__dim=8` as `--set encoder.dim=8`."""
    given = [f"{key.replace('__', '.')}={value}" for key, value in options.items()]
    return [word for one in given for word in ("--set", one)]


TRAINED = settings(
    encoder__name="lightgcn", encoder__dim=8, table__method="graph", table__rows=0.25,
    training__epochs=10,
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A model that was fitted without any interruption."""

    model: Path
    done: Done

    @property
    def arrays(self) -> bytes:
        return arrays(self.model)


def arrays(model: Path) -> bytes:
    return (model / "arrays.safetensors").read_bytes()


def training(model: Path) -> Path:
    return model.with_name(model.name + ".training")


def journal(model: Path) -> list[dict[str, Any]]:
    lines = (training(model) / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def left(model: Path) -> list[str]:
    """What stands beside the model and in the folder of its training."""
    return sorted(
        str(path.relative_to(model.parent))
        for path in model.parent.rglob("*")
        if path.is_file() and model not in path.parents
    )


@pytest.fixture(scope="module")
def made(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    model = tmp_path_factory.mktemp("trained") / "m"
    return Made(model, call("fit", log, "--out", model, "--json", *TRAINED))


# --- what comes out ----------------------------------------------------------------------------


def test_one_json_object_with_the_fixed_keys(made: Made) -> None:
    """32 rows of 8 numbers and an index of 4 bytes an id."""
    assert made.done.code == 0, made.done.err
    result = made.done.json
    assert set(result) >= FIXED
    assert result["table_rows"] == round(0.25 * (LOG.n_users + LOG.n_items)) == 32
    assert result["table_bytes"] == 4 * (32 * 8 + LOG.n_users + LOG.n_items)
    assert set(result["seconds"]) == {"read", "split", "encode", "code", "evaluate", "write"}
    assert (result["held_out"], result["refitted"]) == (True, True)
    assert result["full_precision"]["recall@20"] > 0.6  # 20 of 50 items by chance: less than .5


def test_users_are_stored(made: Made, hashrec: Run, log: Path, tmp_path: Path) -> None:
    assert made.done.json["bytes_per_user"] == 8 * 4
    fitted = load(made.model).fitted
    assert fitted.user_codes is not None
    assert len(fitted.user_codes) == LOG.n_users
    computed = hashrec("fit", log, "--out", tmp_path / "m", "--json", *TRAINED,
                       *settings(users="computed"))  # fmt: skip
    assert computed.json["bytes_per_user"] == 0


def test_a_line_for_people(hashrec: Run, log: Path, tmp_path: Path) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", *TRAINED)
    assert "tables: 32 rows, 1,544 bytes with their index" in done.out
    assert re.search(
        r"training 256 parameters on \d+ interactions, 1 steps an epoch; about \d+ MB", done.err
    )
    assert re.search(r"epoch 5: loss [\d.]+, valid recall@20 0\.\d+, the best so far", done.err)


def test_the_same_bytes_again(made: Made, hashrec: Run, log: Path, tmp_path: Path) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", "--json", *TRAINED)
    assert arrays(tmp_path / "m") == made.arrays
    metrics = [key for key in done.json if "@" in key]
    assert {key: done.json[key] for key in metrics} == {key: made.done.json[key] for key in metrics}
    assert "going on after" not in done.err
    other = hashrec("fit", log, "--out", tmp_path / "n", "--seed", 1, *TRAINED)
    assert other.code == 0
    assert arrays(tmp_path / "n") != made.arrays


SEVERAL = """
import contextlib, io, json, sys
sys.modules["torch"] = None
from hashrec.cli.main import main
said = []
for command in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    said.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(said))
"""


def test_the_model_answers_where_torch_cannot_be_imported(
    made: Made, hashrec: Run, log: Path, tmp_path: Path
) -> None:
    commands: list[list[str]] = [
        ["recommend", str(made.model), "u3", "u5", "-k", "4", "--json"],
        ["recommend", str(made.model), "--history", "i3,i4", "--json"],
        ["similar", str(made.model), "i7", "--json"],
        ["evaluate", str(made.model), "--test", str(log), "--json"],
    ]
    fit = ["fit", str(log), "--out", str(tmp_path / "m"), *TRAINED]
    process = subprocess.run(
        [sys.executable, "-c", SEVERAL], input=json.dumps([*commands, fit]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    *answers, refused = [Done(*said) for said in json.loads(process.stdout)]
    for command, answer in zip(commands, answers, strict=True):
        here = hashrec(*command)
        assert answer.code == here.code == 0, answer.err
        keys = ("rows",) if "rows" in here.json else ("recall@20", "ndcg@20")
        assert [answer.json[key] for key in keys] == [here.json[key] for key in keys]
    assert len(answers[0].json["rows"]) == 8
    assert refused.message == ("hashrec: torch is not installed. Run pip install 'hashrec[train]'.")
    assert list(tmp_path.iterdir()) == []


def test_somebody_unknown_gets_what_their_history_says(made: Made, hashrec: Run) -> None:
    rows = hashrec("recommend", made.model, "--history", "i3,i4", "-k", 50, "--json").json["rows"]
    assert len(rows) == LOG.n_items - 2
    assert not {"i3", "i4"} & {row["item"] for row in rows}


# --- the journal -------------------------------------------------------------------------------


def test_checkpoints_are_gone_and_the_journal_stays(made: Made) -> None:
    assert left(made.model) == ["m.training/journal.jsonl"]


def test_the_journal_tells_the_three_trainings(made: Made) -> None:
    events = journal(made.model)
    told: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in events:
        told.setdefault((event["stage"], event["part"]), []).append(event)
    assert list(told) == [("fit", "choose"), ("fit", "all"), ("everything", "all")]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    best = told["fit", "choose"][-1]["best_epoch"]
    for (_, part), run in told.items():
        first, *middle, last = run
        assert (first["event"], last["event"]) == ("start", "end")
        assert first["encoder"]["name"] == "lightgcn"
        epochs = [event["epoch"] for event in middle if event["event"] == "epoch"]
        watched = [event["epoch"] for event in middle if event["event"] == "evaluation"]
        chosen = part == "all"
        assert epochs == list(range(1, (best if chosen else 10) + 1))
        assert watched == ([] if chosen else [5, 10])
        assert last["epochs"] == len(epochs)
        assert all(math.isfinite(event["loss"]) for event in middle)
    evaluations = [event for event in events if event["event"] == "evaluation"]
    assert best == max(evaluations, key=lambda event: event["recall@20"])["epoch"]
    assert told["everything", "all"][0]["interactions"] == LOG.n_interactions


def test_a_second_fit_adds_to_the_journal(made: Made, hashrec: Run, log: Path) -> None:
    before = journal(made.model)
    assert hashrec("fit", log, "--out", made.model, *TRAINED).code == 0
    after = journal(made.model)
    assert after[: len(before)] == before
    assert len(after) == 2 * len(before)


# --- going on ----------------------------------------------------------------------------------

# Says when it is there, and waits to be killed.
WAITING = """
import json, sys, time
from hashrec.cli.main import main
from hashrec.training.journal import Journal

place, tell = json.loads(sys.argv[1]), Journal.__call__

def wait(self, event):
    tell(self, event)
    if place == [event["stage"], event["part"], event.get("epoch")]:
        print("there", flush=True)
        time.sleep(60)

Journal.__call__ = wait
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    "place", [("fit", "choose", 7), ("everything", "all", 1)], ids=["choosing", "on everything"]
)
def test_a_fit_that_was_killed_goes_on_to_the_same_bytes(
    made: Made, hashrec: Run, log: Path, tmp_path: Path, place: tuple[str, str, int]
) -> None:
    """SIGKILL between two checkpoints: the epochs since the last one are run again."""
    model = tmp_path / "m"
    fit = ["fit", str(log), "--out", str(model), *TRAINED]
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, json.dumps(place), *fit],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "there\n"
        process.kill()
        process.stderr.read()
    assert process.returncode == -signal.SIGKILL
    assert left(model) == ["m.training/fit-choose.safetensors", "m.training/journal.jsonl"]
    assert journal(model)[-1]["epoch"] == place[2]
    done = hashrec(*fit, "--json")
    assert done.code == 0, done.err
    after = 5 if place[0] == "fit" else 10
    assert f"going on after epoch {after}, step 0: {training(model)}" in done.err
    assert arrays(model) == made.arrays
    metrics = [key for key in done.json if "@" in key]
    assert {key: done.json[key] for key in metrics} == {key: made.done.json[key] for key in metrics}
    assert left(model) == ["m.training/journal.jsonl"]


@pytest.fixture
def stopped(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fit that somebody stopped (Ctrl-C) after epoch 7; its model is not there yet."""
    model, tell = tmp_path / "m", Journal.__call__

    def stop(self: Journal, event: Any) -> None:
        tell(self, event)
        if (event["part"], event.get("epoch")) == ("choose", 7):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "__call__", stop)
        done = call("fit", log, "--out", model, *TRAINED)
    assert done.message == "hashrec: interrupted; nothing half-written was left"
    assert left(model) == ["m.training/fit-choose.safetensors", "m.training/journal.jsonl"]
    return model


def test_fresh_starts_again(stopped: Path, made: Made, hashrec: Run, log: Path) -> None:
    before = journal(stopped)
    done = hashrec("fit", log, "--out", stopped, "--fresh", *TRAINED)
    assert done.code == 0, done.err
    assert "going on after" not in done.err
    assert arrays(stopped) == made.arrays
    events = journal(stopped)
    assert events[: len(before)] == before
    assert [events[len(before)][key] for key in ("event", "part")] == ["start", "choose"]
    assert events[len(before) + 1]["epoch"] == 1


OTHERS: dict[str, list[str]] = {
    "rate": settings(training__learning_rate=0.01),
    "more epochs": settings(training__epochs=12),
    "table": settings(table__rows=0.5),
    "seed": ["--seed", "1"],
    "data": ["--no-evaluate"],
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_something_else_is_refused(
    stopped: Path, hashrec: Run, log: Path, other: str
) -> None:
    kept = (training(stopped) / "fit-choose.safetensors").read_bytes()
    done = hashrec("fit", log, "--out", stopped, *TRAINED, *OTHERS[other])
    words = (
        "fit-choose.safetensors: training cannot go on from this file; expected a checkpoint of "
        "this recipe and these data; got another's. Start afresh with --fresh, or write"
    )
    assert words in done.message
    assert (training(stopped) / "fit-choose.safetensors").read_bytes() == kept
    assert not stopped.exists()


def test_a_damaged_checkpoint_is_refused(stopped: Path, hashrec: Run, log: Path) -> None:
    path = training(stopped) / "fit-choose.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    done = hashrec("fit", log, "--out", stopped, *TRAINED)
    assert "cannot go on from this file; expected a checkpoint that can be read" in done.message
    assert hashrec("fit", log, "--out", stopped, "--fresh", *TRAINED).code == 0


def test_a_model_in_the_folder_itself_has_its_training_beside_it(
    made: Made, hashrec: Run, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bug: `--out .` was a traceback, a point having no name to add to."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    done = hashrec("fit", log, "--out", ".", *TRAINED)
    assert done.code == 0, done.err
    assert left(tmp_path / "here") == ["here.training/journal.jsonl"]
    assert arrays(tmp_path / "here") == made.arrays


def test_an_encoder_that_does_not_train_keeps_nothing(
    hashrec: Run, log: Path, tmp_path: Path
) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", "--fresh", "--set", "encoder.dim=8")
    assert done.code == 0
    assert left(tmp_path / "m") == []


# --- listeners ---------------------------------------------------------------------------------


@dataclass
class Board:
    """A stand-in for a board: what it was told."""

    scalars: list[tuple[str, float, int]] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {name for name, _, _ in self.scalars}

    def curve(self, name: str) -> dict[int, float]:
        return {step: value for told, value, step in self.scalars if told == name}


def expected(model: Path, event: str, key: str, stage: str = "fit") -> dict[int, float]:
    return {
        told["epoch"]: told[key]
        for told in journal(model)
        if told["event"] == event and told["stage"] == stage and told["part"] == "choose"
    }


def test_tensorboard_is_told_what_the_journal_is(
    hashrec: Run, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board()

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            board.folders.append(folder)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            board.scalars.append((name, value, step))

        def flush(self) -> None: ...

    fake: Any = ModuleType("torch.utils.tensorboard")
    fake.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    model = tmp_path / "m"
    done = hashrec("fit", log, "--out", model, "--tensorboard", tmp_path / "runs", *TRAINED)
    assert done.code == 0, done.err
    assert board.folders == [str(tmp_path / "runs")]
    assert board.curve("fit/choose/loss") == expected(model, "epoch", "loss")
    for metric in ("recall", "ndcg"):
        found = board.curve(f"fit/choose/{metric}_at_20")
        assert found == expected(model, "evaluation", f"{metric}@20")
    assert "everything/all/loss" in board.names
    assert not {name for name in board.names if name.endswith("/epoch")}


def test_mlflow_is_told_what_the_journal_is(
    hashrec: Run, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board()
    fake: Any = ModuleType("mlflow")
    fake.log_params = board.params.update
    fake.log_metrics = lambda metrics, step: board.scalars.extend(
        (name, value, step) for name, value in metrics.items()
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    model = tmp_path / "m"
    done = hashrec("fit", log, "--out", model, "--mlflow", *TRAINED)
    assert done.code == 0, done.err
    assert board.params["fit.choose.name"] == "lightgcn"
    assert board.params["everything.all.dim"] == 8
    assert board.curve("fit/choose/loss") == expected(model, "epoch", "loss")
    assert board.curve("fit/choose/recall_at_20") == expected(model, "evaluation", "recall@20")


@pytest.mark.parametrize(
    ("options", "absent"),
    [(("--tensorboard", "T"), "tensorboard"), (("--mlflow",), "mlflow")],
    ids=["tensorboard", "mlflow"],
)
def test_a_board_that_is_not_installed_is_named_before_any_work(
    hashrec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...],
    absent: str,
) -> None:  # fmt: skip
    """Bug: it was said only after the data had been read. There are none here."""
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    words = (str(tmp_path / "runs") if word == "T" else word for word in options)
    done = hashrec("fit", tmp_path / "no.csv", "--out", tmp_path / "m", *words, *TRAINED)
    assert done.message == (
        f"hashrec: {absent} is not installed. Run pip install 'hashrec[{absent}]'."
    )
    assert list(tmp_path.iterdir()) == []


# --- features ----------------------------------------------------------------------------------

TOWERS = settings(encoder__name="two-tower", encoder__dim=8, training__epochs=2)


def test_features_of_both_sides_reach_the_towers(hashrec: Run, log: Path, tmp_path: Path) -> None:
    users = write_csv(tmp_path / "u.csv", [(f"u{n}", n, "abc"[n % 3]) for n in range(60)],
                      ("who", "age", "job"))  # fmt: skip
    items = tmp_path / "i.parquet"
    pq.write_table(pa.table({"id": [f"i{n}" for n in range(50)], "price": range(50)}), items)
    names = ("--user-features", users, "--item-features", items)
    seen = []
    for number, options in enumerate([(), names, names, names[:2]]):
        model = tmp_path / f"m{number}"
        done = hashrec("fit", log, "--out", model, "--no-evaluate", *options, *TOWERS)
        assert done.code == 0, done.err
        seen.append(arrays(model))
        if options == names:
            assert f"{users}: 6 features of 80 users, 20 of them not in it" in done.err
            assert f"{items}: 1 features of 50 items, 0 of them not in it" in done.err
    assert seen[1] == seen[2]
    assert len(set(seen)) == 3


def test_features_nobody_takes_are_not_ignored(hashrec: Run, log: Path, tmp_path: Path) -> None:
    """Bug: they were read, and nothing was done with them."""
    path = write_csv(tmp_path / "u.csv", [("u1", 1), ("u2", 2)])
    for encoder in ("lightgcn", "spectral"):
        done = hashrec("fit", log, "--out", tmp_path / "m", "--user-features", path,
                       *settings(encoder__name=encoder))  # fmt: skip
        assert f"encoder {encoder} takes no features; got user. Leave them out" in done.message
    assert not (tmp_path / "m").exists()


def test_boards_of_an_encoder_that_does_not_train_are_refused(
    hashrec: Run, log: Path, tmp_path: Path
) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", "--tensorboard", tmp_path / "runs")
    assert "encoder spectral does not train, so there is nothing to draw" in done.message
    assert not (tmp_path / "m").exists() and not (tmp_path / "runs").exists()


def days(path: Path) -> None:
    days = pa.array([1, 2], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"id": ["u1", "u2"], "born": days}), path)


BAD_FEATURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "none.csv": (lambda path: None, "none.csv: no such file"),
    "empty.csv": (lambda path: path.write_text(""), "empty.csv: the file is empty"),
    "others.csv": (
        lambda path: path.write_text("id,x\nann,1\n"),
        "others.csv: features of other ids; expected ids such as 'u0'; got 1 rows",
    ),
    "twice.csv": (
        lambda path: path.write_text("id,x\nu1,1\nu1,2\n"), "an id with two rows of features",
    ),
    "ids.csv": (lambda path: path.write_text("id\nu1\nu2\n"), "no column but that of the ids"),
    "ragged.csv": (lambda path: path.write_text("id,x\nu1,1,2\n"), "row 2 has 3 fields"),
    "days.parquet": (days, "column 'born': this column cannot be a feature; .*got type date32"),
    "broken.parquet": (lambda path: path.write_text("x"), "not a whole parquet file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FEATURES)
def test_a_bad_file_of_features_is_one_line(
    hashrec: Run, log: Path, tmp_path: Path, name: str
) -> None:
    write, words = BAD_FEATURES[name]
    write(tmp_path / name)
    done = hashrec("fit", log, "--out", tmp_path / "m", "--user-features", tmp_path / name, *TOWERS)
    assert re.search(words, done.message), done.message
    assert done.out == ""
    assert not (tmp_path / "m").exists()


# --- settings ----------------------------------------------------------------------------------

WRONG: dict[str, str] = {
    "training.batch=0": "training.batch: input should be greater than or equal to 1, got 0",
    "training.epochs=0": "training.epochs: .*greater than or equal to 1",
    "training.epoch=3": "unknown key training.epoch, .*did you mean epochs",
    "training.loss.name=bbpr": "unknown loss 'bbpr'; expected one of .*Did you mean bpr",
    "training.loss.temperature=0": "loss.temperature: .*greater than 0, got 0",
    "training.loss={\"name\": \"bpr\", \"sampler\": \"in-batch\"}":
        "the in-batch sampler cannot draw negatives of each positive",
    "training.loss={\"name\": \"bpr\", \"sampler\": \"unifrom\"}":
        "unknown sampler 'unifrom'; .*Did you mean uniform",
    "training.learning_rate=-1": "training.learning_rate: .*greater than 0",
    "training.learning_rate=Infinity": "training.learning_rate: .*finite number",
    "training.warmup=1": "training.warmup: .*less than 1",
    "training.schedule=linear": "training.schedule: input should be 'constant' or 'cosine'",
    "training.valid=1": "training.valid: .*less than 1",
    "training.valid=0.0001": "nothing could be held out to watch training on.*training.valid to 0",
    "training=3": "training: input should be",
    "table.method=full": "table.rows: a full table has a row for each id.*table.method=graph",
    "table.method=grph": "unknown bucket method 'grph'.*Did you mean graph",
    "table.rows=0": "too few rows",
    "table.colour=red": "unknown key table.colour",
    "encoder.layers=-1": "encoder.layers: .*greater than or equal to 0",
    "encoder.layer_weights=[1, 2]": "layer_weights must be 3, one for layer 0 and each above it",
    "encoder.name=lightgnc": "unknown encoder 'lightgnc'.*Did you mean lightgcn",
    "users=kept": "users: input should be 'auto', 'computed' or 'stored', got 'kept'",
}  # fmt: skip


@pytest.mark.parametrize("setting", WRONG)
def test_a_bad_setting_is_one_line_and_leaves_nothing(
    hashrec: Run, log: Path, tmp_path: Path, setting: str
) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", *TRAINED, "--set", setting)
    assert re.search(WRONG[setting], done.message), done.message
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_rows_of_a_full_table_are_refused(hashrec: Run, log: Path, tmp_path: Path) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m",
                   *settings(encoder__name="mf", table__rows=0.25))  # fmt: skip
    assert "table.rows: a full table has a row for each id, whatever the budget" in done.message


@pytest.mark.parametrize(("rate", "ends"), [("1e9", True), ("1e38", False)])
def test_a_rate_beyond_reason_ends_or_is_told(
    hashrec: Run, log: Path, tmp_path: Path, rate: str, ends: bool
) -> None:
    """Ranking does not mind long vectors; what is no number any more is told, and no model."""
    wild = settings(
        encoder__name="mf", encoder__start="normal", encoder__dim=8, training__loss="bpr",
        training__epochs=6, training__learning_rate=rate,
    )  # fmt: skip
    done = hashrec("fit", log, "--out", tmp_path / "m", *wild)
    assert "Traceback" not in done.err
    assert (done.code == 0) == (tmp_path / "m").exists() == ends
    if not ends:
        words = "loss bpr: the loss became (nan|inf).*Take a smaller training.learning_rate than"
        assert re.search(words, done.message), done.message
        assert all("stage" in event for event in journal(tmp_path / "m"))  # valid to the end


def test_a_file_where_the_training_would_be_kept_is_one_line(
    hashrec: Run, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.training").touch()
    done = hashrec("fit", log, "--out", tmp_path / "m", *TRAINED)
    assert "m.training: " in done.message
    assert not (tmp_path / "m").exists()
