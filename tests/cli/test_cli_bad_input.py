"""Whatever is wrong is one line with the name, what came and what to do; exit status 2."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import SMALL, TRAIN, Run, call, pairs, write_csv

from hashrec import artifact
from hashrec.cli import main as cli

ROWS = pairs(TRAIN)
TEXT = "user,item\n" + "".join(f"{user},{item}\n" for user, item in ROWS)


def whole_parquet(path: Path) -> bytes:
    users, items = zip(*ROWS, strict=True)
    pq.write_table(pa.table({"user": users, "item": items}), path)
    return path.read_bytes()


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# --- data that cannot be read ------------------------------------------------------------------

BAD_FILES: dict[str, tuple[str, bytes | str, str]] = {
    "a missing column": (
        "log.csv", "who,what\na,b\n",
        "no column is known to be the user; got the columns 'who', 'what'.*--user",
    ),
    "an empty file": ("log.csv", "", "the file is empty; expected interactions; got 0 bytes"),
    "a header alone": ("log.csv", "user,item\n", "there are no interactions; expected rows"),
    "one user with one item": (
        "log.csv", "user,item\na,x\n",
        "nothing could be held out.*got 1 interactions of 1 users.*--test.*--no-evaluate",
    ),
    "NaN ratings": (
        "log.csv", "user,item,rating\na,x,5\na,y,nan\nb,x,4\n",
        "column 'rating': missing ratings; .*got 1 missing, the first in row 3",
    ),
    "a rating of words": ("log.csv", "user,item,rating\na,x,good\nb,x,4\n", "'rating'.*'good'"),
    "ragged lines": (
        "log.csv", "user,item\na,x\na,y,extra\nb,z\n",
        "row 3 has 3 fields; expected 2, as in the first row; got 'a,y,extra'",
    ),
    "a short line": ("log.csv", "user,item\na,x\nb\n", "row 3 has 1 field.*expected 2"),
    "gzip named csv": (
        "log.csv", gzip.compress(TEXT.encode(), mtime=0),
        "the content of this file is gzip; expected text; .*Rename it to log.csv.gz",
    ),
    "csv named gzip": ("log.csv.gz", TEXT, "not compressed; expected gzip.*rename it to log.csv"),
    "half a gzip": ("log.csv.gz", gzip.compress(TEXT.encode(), mtime=0)[:-20], "log.csv.gz"),
    "latin-1": ("log.csv", "user,item\nren\xe9,x\n".encode("latin-1"), "not UTF-8.*iconv"),
    "csv named parquet": ("log.parquet", TEXT, "not a whole parquet file"),
    "an unknown ending": ("log.xlsx", "x", "format cannot be told from the name.*--format"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.parametrize("role", ["DATA", "--test"])
def test_a_file_that_cannot_be_read(
    hashrec: Run, tmp_path: Path, name: str, content: bytes | str, words: str, role: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if role == "DATA":
        done = hashrec("fit", path, "--out", tmp_path / "m", *SMALL)
    else:
        good = write_csv(tmp_path / "good.csv", ROWS)
        done = hashrec("fit", good, "--test", path, "--out", tmp_path / "m", *SMALL)
        if "one user with one item" in words or "held out" in words:
            words = "no user of the model has test items; got 1 test users, all unknown"
    assert _matches(words, done.message)
    assert done.out == ""
    assert not (tmp_path / "m").exists()


def _matches(words: str, message: str) -> bool:
    import re

    assert re.search(words, message, re.IGNORECASE), message
    return True


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_parquet(hashrec: Run, tmp_path: Path, share: float) -> None:
    path = tmp_path / "log.parquet"
    content = whole_parquet(path)
    path.write_bytes(content[: int(share * len(content))])
    done = hashrec("fit", path, "--out", tmp_path / "m", *SMALL)
    assert _matches("log.parquet: (this is not a whole parquet|the file is empty)", done.message)
    assert files(tmp_path) == ["log.parquet"]


def test_a_truncated_parquet_of_a_test_part(hashrec: Run, tmp_path: Path) -> None:
    content = whole_parquet(tmp_path / "train.parquet")
    (tmp_path / "test.parquet").write_bytes(content[:-9])
    done = hashrec("fit", tmp_path, "--out", tmp_path / "m")
    assert _matches("test.parquet: this is not a whole parquet", done.message)


def test_one_user_with_enough_items_is_a_model(hashrec: Run, tmp_path: Path) -> None:
    """Odd and yet well defined: one user's items, one held out, and none left to recommend."""
    log = write_csv(tmp_path / "log.csv", [("ann", item) for item in "abcde"])
    assert hashrec("fit", log, "--out", tmp_path / "m", *SMALL).code == 0
    assert hashrec("recommend", tmp_path / "m", "ann", "--json").json == {"rows": []}


def test_a_test_part_without_items(hashrec: Run, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", ROWS)
    write_csv(tmp_path / "test.csv", [])
    done = hashrec("fit", tmp_path, "--out", tmp_path / "m")
    assert _matches("test.csv: there are no interactions", done.message)


def test_test_users_that_the_model_does_not_know(hashrec: Run, model: Path, tmp_path: Path) -> None:
    test = write_csv(tmp_path / "test.csv", [("stranger", "i1")])
    done = hashrec("evaluate", model, "--test", test)
    assert _matches("no user of the model has test items; got 1 test users", done.message)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("gowala", "gowala: neither a file nor built-in data; .*one of: debian"),
        ("debain", "debain: neither a file.*Did you mean debian"),
        ("no/such/log.csv", "log.csv: no such file; got no folder 'no/such' either"),
    ],
)
def test_data_that_is_nowhere(hashrec: Run, tmp_path: Path, data: str, words: str) -> None:
    assert _matches(words, hashrec("fit", data, "--out", tmp_path / "m").message)


def test_two_test_parts(hashrec: Run, parts: Path, tmp_path: Path) -> None:
    done = hashrec("fit", parts, "--test", parts / "test.csv", "--out", tmp_path / "m")
    assert _matches("there are two test parts; .*leave --test out", done.message)


def test_a_folder_without_parts(hashrec: Run, tmp_path: Path, model: Path) -> None:
    done = hashrec("fit", tmp_path, "--out", tmp_path / "m")
    assert _matches("this folder has no train part; .*got an empty folder", done.message)
    write_csv(tmp_path / "train.csv", ROWS)
    done = hashrec("evaluate", model, "--test", tmp_path)
    assert _matches("the folder has no test part", done.message)


# --- models that cannot be opened --------------------------------------------------------------

COMMANDS = {
    "inspect": ("inspect", "M"),
    "recommend": ("recommend", "M", "u3"),
    "similar": ("similar", "M", "i3"),
    "evaluate": ("evaluate", "M", "--test", "T"),
}


def newer(model: Path) -> None:
    path = model / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, "format_version": 2}), encoding="utf-8")


def flip(name: str) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        content = bytearray((model / name).read_bytes())
        content[len(content) // 2] ^= 1
        (model / name).write_bytes(content)

    return change


def empty(model: Path) -> None:
    shutil.rmtree(model)
    model.mkdir()


def plain(model: Path) -> None:
    shutil.rmtree(model)
    model.write_text("no folder")


BAD_MODELS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (shutil.rmtree, "m: this is no model folder; .*got nothing"),
    "an empty folder": (empty, "m: this is no model folder; .*got a folder without it"),
    "a file": (plain, "m: this is no model folder; .*got a file"),
    "a newer format": (newer, "another format; expected format version 1; got 2. Install"),
    "no arrays": (
        lambda model: (model / "arrays.safetensors").unlink(), "arrays.safetensors: .*got none",
    ),
    "a manifest that is no JSON": (
        lambda model: (model / "manifest.json").write_text("{"), "manifest.json: .*expected JSON",
    ),
    "arrays flipped": (flip("arrays.safetensors"), "arrays.safetensors: .*damaged; .*sha256"),
    "ids flipped": (flip("ids.parquet"), "ids.parquet: .*damaged; .*sha256"),
    "seen flipped": (flip("seen.safetensors"), "seen.safetensors: .*damaged; .*sha256"),
    "manifest flipped": (flip("manifest.json"), "manifest.json: .*damaged"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", BAD_MODELS)
def test_a_model_that_cannot_be_opened(
    hashrec: Run, model: Path, parts: Path, tmp_path: Path, command: str, damage: str
) -> None:
    place = tmp_path / "m"
    shutil.copytree(model, place)
    change, words = BAD_MODELS[damage]
    change(place)
    names = {"M": place, "T": parts / "test.csv"}
    done = hashrec(*(names.get(word, word) for word in COMMANDS[command]))
    assert _matches(words, done.message)
    assert done.out == ""


# --- writing that fails ------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False], ids=["over a model", "at a new name"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "could not be written.*No space left"),
        (KeyboardInterrupt(), "interrupted; nothing half-written was left"),
    ],
    ids=["no room", "interrupt"],
)
def test_a_write_that_fails(
    hashrec: Run, model: Path, log: Path, tmp_path: Path, there: bool, fault: BaseException,
    words: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    place = tmp_path / "m"
    if there:
        shutil.copytree(model, place)

    def fail(*arguments: object) -> None:
        raise fault

    monkeypatch.setattr(artifact, "write_ids", fail)
    done = hashrec("fit", log, "--out", place, "--no-evaluate", *SMALL)
    assert _matches(words, done.message)
    assert files(tmp_path) == (["m"] if there else [])
    if there:
        assert hashrec("inspect", place).code == 0
        assert [(place / name).read_bytes() for name in files(place)] == [
            (model / name).read_bytes() for name in files(model)
        ]


SLOW = """
import sys, time
from hashrec import artifact
from hashrec.cli.main import main

def slow(path, users, items):
    print("half written", flush=True)
    time.sleep(60)

artifact.write_ids = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_a_signal_in_the_middle_of_writing(log: Path, tmp_path: Path, which: int) -> None:
    command = [sys.executable, "-c", SLOW, "fit", str(log), "--out", str(tmp_path / "m")]
    with subprocess.Popen(
        [*command, "--no-evaluate", *SMALL],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "half written\n"
        assert len(files(tmp_path)) == 1
        process.send_signal(which)
        error = process.stderr.read()
    assert process.returncode == 2
    assert error.splitlines()[-1] == "hashrec: interrupted; nothing half-written was left"
    assert "Traceback" not in error
    assert files(tmp_path) == []


def test_a_reader_that_goes_away_is_no_fault(model: Path) -> None:
    """`hashrec ... | head -1`: no traceback and no message."""
    command = [sys.executable, "-m", "hashrec", "recommend", str(model), "-k", "40", "--json"]
    with subprocess.Popen(
        [*command, *[f"u{n}" for n in range(80)] * 5],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "{\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["file", "folder"])
def test_what_is_no_model_is_not_replaced(
    hashrec: Run, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is said before the data are even opened: there are none here."""
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file", tmp_path / "folder" / "kept"):
        path.touch()
    done = hashrec("fit", tmp_path / "no.csv", "--out", tmp_path / name)
    assert _matches(f"{name}: something that is no model stands there", done.message)


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("x.json", "x.json: cannot tell the format from the name; expected .parquet or .csv"),
        ("none/x.csv", "none: the folder does not exist. Make it first"),
        ("folder.csv", "folder.csv: a folder stands there; expected the name of a file"),
    ],
)
@pytest.mark.parametrize(
    "command", [("recommend", "u3"), ("recommend", "--all"), ("similar", "i3")]
)
def test_a_table_that_cannot_be_written_is_refused_before_the_model_is_opened(
    hashrec: Run, tmp_path: Path, out: str, words: str, command: tuple[str, str]
) -> None:
    """Bug: an ending that no writer knows was found out after all users were computed."""
    (tmp_path / "folder.csv").mkdir()
    verb, whom = command
    done = hashrec(verb, tmp_path / "no model", whom, "--out", tmp_path / out)
    assert _matches(words, done.message)


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_table_that_fails_halfway_leaves_the_old_one(
    hashrec: Run, model: Path, tmp_path: Path, fault: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "t.parquet"
    out.write_text("old")

    def fail(table: object, path: Path) -> None:
        path.write_text("half")
        raise fault

    monkeypatch.setattr(pq, "write_table", fail)
    done = hashrec("recommend", model, "u3", "--out", out)
    words = "t.parquet: the result could not be written; got No space left|interrupted"
    assert _matches(words, done.message)
    assert (files(tmp_path), out.read_text()) == (["t.parquet"], "old")


# --- words and numbers that make no sense ------------------------------------------------------

WRONG: dict[tuple[str, ...], str] = {
    ("recommend", "M"): "for whom.; expected USER ids, or --history, or --all: one of them",
    ("recommend", "M", "u3", "--all"): "for whom",
    ("recommend", "M", "u3", "--history", "i3"): "for whom",
    ("recommend", "M", "--all"): "--all needs a file to write to. Add --out FILE.parquet",
    ("recommend", "M", "u333"): "1 unknown user: 'u333'; expected one of the 80.*Did you mean u",
    ("recommend", "M", "--history", "i3,i333"): "1 unknown item: 'i333'.*Did you mean i",
    ("recommend", "M", "--history", ""): "--history names no item; expected ITEM,ITEM",
    ("recommend", "M", "u3", "-k", "0"): "-k: expected a whole number from 1 on, got '0'",
    ("recommend", "M", "u3", "-k", "ten"): "-k: expected a whole number from 1 on, got 'ten'",
    ("recommend", "M", "u3", "--threshold", "nan"): "threshold is not a number",
    ("recommend", "M", "u3", "--threshold", "x"): "--threshold: invalid float value: 'x'",
    ("recommend", "M", "u3", "--threads", "99999"): "threads out of range; expected 1 to .*99999",
    ("recommend", "M", "u3", "--threads", "0"): "--threads: expected a whole number from 1 on",
    ("recommend", "M", "u3", "--seed", "-1"): "--seed: expected a whole number from 0 on, got '-1'",
    ("recommend", "M", "u3", "--unknown", "guess"): "--unknown: invalid choice: 'guess'",
    ("similar", "M", "i333"): "1 unknown item: 'i333'",
    ("similar", "M"): "the following arguments are required: ITEM",
    ("evaluate", "M", "--test", "T", "--protocol", "x"): "unknown protocol 'x'; expected one of",
    ("evaluate", "M", "--test", "T", "--user", "who"): "who",
    ("evaluate", "M"): "required: --test",
    ("bench", "propagat"): "unknown benchmark 'propagat'; .*Did you mean propagate",
    ("bench", "x"): "unknown benchmark 'x'; expected one of propagate, spectral",
    ("bench", "propagate", "nowhere", "--out", "none/x.json"): "none: the folder does not exist",
    ("bench", "graphhash", "nowhere", "--store", "none/x"): "none: the folder does not exist",
    ("bench", "graphhash", "nowhere", "--store", "."): "a folder stands there",
    ("bench", "propagate", "nowhere"): "nowhere: neither a file nor built-in data",
    ("fit", "T", "--out", "O", "--set", "codes.bit=2"): "unknown key codes.bit.*did you mean bits",
    ("fit", "T", "--out", "O", "--set", "codes.bits"): "cannot read the setting 'codes.bits'",
    ("fit", "T", "--out", "O", "--set", "encoder.dim=0"): "encoder.dim: .*got 0",
    ("fit", "T", "--out", "O", "--recipe", "no.toml"): "no.toml: the recipe cannot be read",
    ("fit", "T", "--out", "O", "--format", "cvs"): "unknown format 'cvs'.*Did you mean csv",
    ("fit", "T", "--out", "O", "--protocol", "x"): "unknown protocol 'x'",
    ("fit", "T", "--out", "O", "--set", "data.min_rating=4"): "no rating column.*--rating",
    ("fit", "T", "--out", "O", "--set", "holdout=time"): "needs times",
    ("fit", "T", "--out", "O", "--holdout"): "unrecognized arguments: --holdout",
    ("fit", "T", "other.csv", "--out", "O"): "unrecognized arguments: other.csv",
    ("recommend", "M", "u3", "--jsn"): "unrecognized arguments: --jsn",
    ("recommend", "M", "u3", "-k", "2", "u4", "--jsn"): "unrecognized arguments: u4 --jsn",
    ("fit", "T"): "required: --out",
    ("fot",): "invalid choice: 'fot'",
    (): "required: COMMAND",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_usage(
    hashrec: Run, model: Path, parts: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    names = {"M": model, "T": parts / "test.csv", "O": tmp_path / "out"}
    done = hashrec(*(names.get(word, word) for word in words))
    assert _matches(WRONG[words], done.message)
    assert done.out == ""
    assert files(tmp_path) == []


def test_threads_are_set_before_the_work(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("hashrec.threads.set_threads", asked.append)
    assert call("recommend", model, "u3", "--threads", 1).code == 0
    assert asked == [1]


def test_a_fault_of_the_system_is_a_message(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/root/x")

    monkeypatch.setattr(cli, "_prepare", broken)
    assert call("inspect", model).message == "hashrec: /root/x: Permission denied."


def test_a_fault_of_ours_is_not_dressed_up(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the caller's mistakes are messages; a bug escapes, and python exits with 1."""

    def broken(options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(cli, "_prepare", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        call("inspect", model)
