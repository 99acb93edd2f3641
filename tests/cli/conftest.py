"""The command line, called in process, and a small model that no test changes."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hashrec.cli.main import main
from hashrec.interactions import Interactions, UserSplit, planted

SMALL = ("--set", "encoder.dim=16")


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def message(self) -> str:
        """The one line of an error, which is the last, and that there is no traceback."""
        assert self.code == 2, (self.code, self.err)
        assert "Traceback" not in self.err
        *_, last = self.err.splitlines()
        assert last.startswith("hashrec")
        return last


Run = Callable[..., Done]


def call(*arguments: object) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:  # argparse
            code = int(exit_.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _own_handler_of_termination() -> Iterator[None]:
    """`main` takes SIGTERM over; afterwards it is pytest's again."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def hashrec() -> Run:
    return call


def pairs(log: Interactions) -> list[tuple[str, str]]:
    users = log.users.take(log.matrix.row_of_entry).to_pylist()
    items = log.items.take(log.matrix.indices).to_pylist()
    return [(f"u{user}", f"i{item}") for user, item in zip(users, items, strict=True)]


def write_csv(path: Path, rows: list[tuple[Any, ...]], head: tuple[str, ...] = ()) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head or ("user", "item"), *rows])
    return path


LOG = planted(80, 50, communities=4, degree=12, noise=0.15, seed=5).interactions
TRAIN, TEST = LOG.split(UserSplit(test=0.25, seed=0))


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv and test.csv."""
    folder = tmp_path_factory.mktemp("parts")
    write_csv(folder / "train.csv", pairs(TRAIN))
    write_csv(folder / "test.csv", pairs(TEST))
    return folder


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same log in one file."""
    return write_csv(tmp_path_factory.mktemp("log") / "log.csv", pairs(LOG))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, parts: Path) -> Path:
    """Fitted on the train part; tests read it only."""
    folder = tmp_path_factory.mktemp("models") / "model"
    done = call("fit", parts, "--out", folder, "--no-evaluate", *SMALL)
    assert done.code == 0, done.err
    return folder
