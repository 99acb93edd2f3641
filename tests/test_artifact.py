"""The model folder: what is written is what is read, and a damaged one is never read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashrec import artifact, folder, swap
from hashrec.artifact import FORMAT_VERSION, check_target, is_model, open_model, write_model
from hashrec.errors import ModelError, OutputError

FILES = ("arrays.safetensors", "ids.parquet", "manifest.json", "seen.safetensors")
USERS = pa.array(["", " ", '"quoted", twice', "007", "7", "ann", "Ünï", "日本", "😀"])
ITEMS = pa.array([-(2**63), -1, 0, 7, 2**63 - 1], pa.int64())
ARRAYS: dict[str, Any] = {
    "item_codes": np.arange(10, dtype=np.uint8).reshape(5, 2),
    "item_scales": np.array([0.5, 1, 2, 4, 8], np.float32),
}
SEEN: dict[str, Any] = {
    "offsets": np.array([0, 2, 2, 3, 3, 3, 3, 3, 3, 3], np.uint32),
    "indices": np.array([0, 4, 1], np.uint16),
}
HEADER: dict[str, Any] = {"recipe": {"seed": 1}, "note": "naïve"}


def write(path: Path, header: dict[str, Any] = HEADER, users: Any = USERS) -> Path:
    write_model(path, header, ARRAYS, SEEN, users, ITEMS)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir())}


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def edit_manifest(model: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A manifest that says something else, its own checksum made right again."""
    path = model / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    manifest.pop("checksum", None)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**manifest, "checksum": digest}), encoding="utf-8")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model")


# --- what is written is what is read ----------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [
        USERS,
        ITEMS,
        pa.array([0, 2**63, 2**64 - 1], pa.uint64()),
        pa.array([f"id-{number:07}" for number in range(3000)]),
        pa.array(["only"]),
    ],
    ids=["text", "int64", "uint64", "many", "one"],
)
def test_ids_come_back_exactly(tmp_path: Path, ids: Any) -> None:
    for users, items in ((ids, ITEMS), (USERS, ids)):
        write_model(tmp_path / "m", {}, ARRAYS, SEEN, users, items)
        stored = open_model(tmp_path / "m", verify=True)
        assert stored.users.equals(users)
        assert stored.items.equals(items)


def test_the_header_comes_back_and_the_formats_own_keys_do_not(model: Path) -> None:
    assert open_model(model).header == HEADER


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i4", "i8", "f2", "f4"])
def test_arrays_of_every_stored_type_come_back(tmp_path: Path, dtype: str) -> None:
    array = np.array([[0, 1, 2], [100, 101, 127]], np.dtype(dtype))
    write_model(tmp_path / "m", {}, {"a": array, "none": array[:0]}, SEEN, USERS, ITEMS)
    stored = open_model(tmp_path / "m", verify=True).arrays
    assert stored["a"].dtype == array.dtype
    assert np.array_equal(stored["a"], array)
    assert stored["none"].shape == (0, 3)


def test_a_transposed_array_is_stored_as_it_reads(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_model(tmp_path / "m", {}, {"a": array}, SEEN, USERS, ITEMS)
    assert np.array_equal(open_model(tmp_path / "m").arrays["a"], array)


def test_arrays_are_mapped_and_cannot_be_written(model: Path) -> None:
    stored = open_model(model)
    for array in (*stored.arrays.values(), *stored.seen.values()):
        base: Any = array
        while isinstance(base.base, np.ndarray):
            base = base.base
        assert isinstance(base, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_the_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    sizes = write_model(tmp_path / "m", HEADER, ARRAYS, SEEN, USERS, ITEMS)
    assert sizes == {name: (tmp_path / "m" / name).stat().st_size for name in FILES}
    assert open_model(tmp_path / "m").sizes == sizes


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    assert contents(write(tmp_path / "a")) == contents(write(tmp_path / "b"))


def test_every_file_may_be_read_by_whom_the_umask_allows(model: Path) -> None:
    """Bug: safetensors made files that only their owner could read, whatever the umask."""
    modes = {name: stat.S_IMODE((model / name).stat().st_mode) for name in FILES}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == dict.fromkeys(FILES, 0o666 & ~umask)


# --- golden: read without this library ---------------------------------------------------------


def test_the_folder_as_the_format_page_says(model: Path) -> None:
    """Each file read by other means than ours, and each checksum computed here."""
    assert names(model) == sorted(FILES)
    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest) == ["format", "format_version", *HEADER, "files", "checksum"]
    assert (manifest["format"], manifest["format_version"]) == ("hashrec-model", 1)
    for name in FILES:
        if name != "manifest.json":
            content = (model / name).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            assert manifest["files"][name] == {"bytes": len(content), "sha256": digest}
    checksum = manifest.pop("checksum")
    assert checksum == hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()

    content = (model / "arrays.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    described, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    assert described["item_codes"]["dtype"] == "U8"
    assert described["item_codes"]["shape"] == [5, 2]
    start, end = described["item_codes"]["data_offsets"]
    assert body[start:end] == bytes(range(10))
    start, end = described["item_scales"]["data_offsets"]
    assert body[start:end] == struct.pack("<5f", 0.5, 1, 2, 4, 8)

    table = pq.read_table(model / "ids.parquet")
    assert table.column_names == ["user", "item"]
    assert table["user"].to_pylist() == USERS.to_pylist()
    assert table["item"].to_pylist() == [*ITEMS.to_pylist(), *[None] * 4]


def test_no_file_is_a_pickle(model: Path) -> None:
    starts = {name: content[:4] for name, content in contents(model).items()}
    assert starts["ids.parquet"] == b"PAR1"
    assert starts["manifest.json"] == b"{\n  "
    assert not any(start.startswith(b"\x80") for name, start in starts.items() if "json" in name)
    for name in ("arrays.safetensors", "seen.safetensors"):
        assert (model / name).read_bytes()[8:9] == b"{"  # a JSON header follows its length


def test_the_format_version_is_pinned() -> None:
    assert FORMAT_VERSION == 1


# --- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_a_flipped_byte_is_refused_with_the_name_of_its_file(
    model: Path, name: str, where: float
) -> None:
    path = model / name
    content = bytearray(path.read_bytes())
    last = len(content) - (3 if name == "manifest.json" else 1)  # past it is only white space
    content[int(where * last)] ^= 0x04
    path.write_bytes(content)
    with pytest.raises(ModelError, match=name):
        open_model(model, verify=True)


def test_a_manifest_flipped_anywhere_is_refused_even_unverified(model: Path) -> None:
    path = model / "manifest.json"
    whole = path.read_bytes()
    for at in range(len(whole.rstrip())):
        for bit in (0x01, 0x80):
            content = bytearray(whole)
            content[at] ^= bit
            path.write_bytes(content)
            with pytest.raises(ModelError, match="manifest.json|format version"):
                open_model(model)


@pytest.mark.parametrize("name", ["arrays.safetensors", "seen.safetensors", "ids.parquet"])
def test_an_unverified_flip_is_a_model_error_or_a_value_never_a_crash(
    model: Path, name: str
) -> None:
    path = model / name
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 3):
        content = bytearray(whole)
        content[at] ^= 0x11
        path.write_bytes(content)
        try:
            open_model(model)
        except ModelError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 1, 9, -1])
def test_a_truncated_file_is_refused(model: Path, name: str, left: int) -> None:
    path = model / name
    content = path.read_bytes().rstrip() if name == "manifest.json" else path.read_bytes()
    path.write_bytes(content[:left])
    with pytest.raises(ModelError, match=f"{name}: the model is damaged; expected .*; got"):
        open_model(model)


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_a_file_with_more_than_was_written_is_refused(model: Path, name: str) -> None:
    with (model / name).open("ab") as file:
        file.write(b"x")
    size = (model / name).stat().st_size
    with pytest.raises(ModelError, match=rf"{name}: .*expected {size - 1} bytes; got {size} bytes"):
        open_model(model)


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: .*expected a file of \d+ bytes; got none"):
        open_model(model)


def test_the_data_of_another_model_are_refused(model: Path, tmp_path: Path) -> None:
    """Of the same size, so that only the checksum can tell."""
    write_model(
        tmp_path / "other", HEADER, {**ARRAYS, "item_codes": ARRAYS["item_codes"] + np.uint8(1)},
        SEEN, USERS, ITEMS,
    )  # fmt: skip
    shutil.copy(tmp_path / "other" / "arrays.safetensors", model)
    open_model(model)
    with pytest.raises(ModelError, match=r"arrays.safetensors: .*expected sha256 \w{64}; got"):
        open_model(model, verify=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no model folder; expected a folder with manifest.json; got nothing"),
        (lambda path: path.mkdir(), "no model folder; .*got a folder without it"),
        (lambda path: path.write_text("x"), "no model folder; .*got a file"),
    ],
    ids=["nothing", "empty folder", "file"],
)
def test_what_is_no_model_is_said_to_be_none(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "m")
    with pytest.raises(ModelError, match=words):
        open_model(tmp_path / "m")
    assert not is_model(tmp_path / "m")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged; expected JSON; got"),
        ("", "damaged; expected JSON; got"),
        ("\udcff", "damaged; expected JSON; got"),
        ("[]", 'no hashrec model; expected "format": "hashrec-model"; got'),
        ('{"name": "my-app"}', 'no hashrec model; expected "format": "hashrec-model"; got None'),
        ('{"format": "hashrec-model"}', "another format; expected format version 1; got None"),
    ],
)
def test_a_manifest_that_is_none_of_ours(model: Path, text: str, words: str) -> None:
    (model / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=words):
        open_model(model)


@pytest.mark.parametrize("version", [2, 0, "1", None, 1.5])
def test_another_format_version_is_refused_before_anything_else(
    model: Path, version: object
) -> None:
    edit_manifest(model, lambda manifest: manifest.update(format_version=version))
    (model / "ids.parquet").unlink()
    words = f"another format; expected format version 1; got {version!r}. Install the hashrec"
    with pytest.raises(ModelError, match=words):
        open_model(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("files"),
        lambda manifest: manifest.update(files=[]),
        lambda manifest: manifest["files"].pop("ids.parquet"),
        lambda manifest: manifest["files"]["ids.parquet"].pop("bytes"),
        lambda manifest: manifest["files"].update({"ids.parquet": 3}),
    ],
)
def test_a_manifest_with_parts_missing_is_one_clear_error(
    model: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """Bug: a manifest with a right checksum and without `files` was a KeyError."""
    edit_manifest(model, change)
    with pytest.raises(ModelError, match="model is damaged; expected parts as the format"):
        open_model(model)


def test_ids_without_their_columns_are_refused(model: Path) -> None:
    pq.write_table(pa.table({"who": USERS}), model / "ids.parquet")
    size = (model / "ids.parquet").stat().st_size
    edit_manifest(model, lambda manifest: manifest["files"]["ids.parquet"].update(bytes=size))
    with pytest.raises(ModelError, match="ids.parquet: .*expected ids that parquet can read"):
        open_model(model)


# --- where it may be written -------------------------------------------------------------------


def test_what_is_no_model_is_never_overwritten(tmp_path: Path) -> None:
    for name, make in (("file", Path.touch), ("folder", Path.mkdir)):
        make(tmp_path / name)
    (tmp_path / "folder" / "thesis.tex").write_text("years of work", encoding="utf-8")
    for name in ("file", "folder"):
        with pytest.raises(OutputError, match=f"{name}: something that is no model stands there"):
            check_target(tmp_path / name)
        with pytest.raises(OutputError, match="choose another name|Choose another name"):
            write(tmp_path / name)
    assert (tmp_path / "folder" / "thesis.tex").read_text(encoding="utf-8") == "years of work"
    assert names(tmp_path) == ["file", "folder"]


def test_an_empty_folder_and_a_deep_new_path_are_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "a" / "b" / "model"):
        assert open_model(write(place), verify=True).header == HEADER


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write there; expected a folder that may be"):
        check_target(tmp_path / "file" / "model")


def test_a_folder_that_may_not_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(OutputError, match="m: cannot write there; .*change its permissions"):
        check_target(tmp_path / "m")


@pytest.mark.parametrize("exchange", [True, False], ids=["one call", "two renames"])
def test_a_model_is_replaced_whole(
    model: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    (model / "left over from an older format").touch()
    write(model, {"new": True})
    assert open_model(model, verify=True).header == {"new": True}
    assert names(model) == sorted(FILES)
    assert names(model.parent) == ["model"]


def test_a_reader_of_the_old_model_goes_on_reading_it(model: Path) -> None:
    """Mapped files outlive their names."""
    old = open_model(model)
    write_model(model, {}, {"item_codes": np.zeros((1, 1), np.uint8)}, SEEN, USERS, ITEMS)
    assert np.array_equal(old.arrays["item_codes"], ARRAYS["item_codes"])


def test_a_damaged_model_can_be_replaced(model: Path) -> None:
    (model / "ids.parquet").unlink()
    assert is_model(model)
    assert open_model(write(model), verify=True).header == HEADER


def test_a_link_to_a_model_stays_a_link(model: Path) -> None:
    """Bug: the link was exchanged for a folder, and left behind under a hidden name."""
    link = model.parent / "current"
    link.symlink_to("model")
    write(link, {"new": True})
    assert link.is_symlink()
    assert open_model(model).header == open_model(link).header == {"new": True}
    assert names(model.parent) == ["current", "model"]


# --- writing that fails ------------------------------------------------------------------------

NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (artifact, "write_arrays"),
        (artifact, "write_ids"),
        (folder, "_to_disk"),
        (folder, "swap_in"),
    ],
)
@pytest.mark.parametrize("there", [True, False], ids=["over a model", "at a new name"])
@pytest.mark.parametrize("fault", [NO_ROOM, KeyboardInterrupt()], ids=["no room", "interrupt"])
def test_a_write_that_fails_changes_nothing(
    tmp_path: Path, module: Any, step: str, there: bool, fault: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    target = tmp_path / "model"
    before = contents(write(target)) if there else None

    def fail(*arguments: object) -> None:
        raise fault

    monkeypatch.setattr(module, step, fail)
    if isinstance(fault, OSError):
        words = "model: the model could not be written, what stood there before still stands; "
        with pytest.raises(OutputError, match=words + "got No space left on device. Make room"):
            write(target, {"new": True})
    else:
        with pytest.raises(KeyboardInterrupt):
            write(target, {"new": True})
    assert names(tmp_path) == (["model"] if there else [])
    if there:
        assert contents(target) == before


def test_what_json_cannot_hold_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write(tmp_path / "m", {"loss": float("nan")})
    assert names(tmp_path) == []


LIMITED = """
import resource, signal, sys
import numpy as np, pyarrow as pa
from pathlib import Path
from hashrec.artifact import write_model
from hashrec.errors import OutputError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
seen = {"offsets": np.zeros(2, np.uint32), "indices": np.zeros(0, np.uint16)}
big = {"item_codes": np.zeros((1000, 100), np.uint8)}
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_model(Path(sys.argv[1]), {}, big, seen, pa.array(["a"]), pa.array(["b"]))
except OutputError as fault:
    print(fault)
"""


def test_a_real_lack_of_room_is_one_message(model: Path) -> None:
    """Bug: safetensors has an error of its own for a full disk, and it escaped as a traceback."""
    before = contents(model)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(model)], capture_output=True, text=True, check=True
    )
    assert "the model could not be written" in done.stdout
    assert "File too large" in done.stdout
    assert contents(model) == before
    assert names(model.parent) == ["model"]


SLOW = """
import sys, time
from pathlib import Path
import numpy as np, pyarrow as pa
from hashrec import artifact

def slow(path, users, items):
    print("half written", flush=True)
    time.sleep(60)

artifact.write_ids = slow
seen = {"offsets": np.zeros(2, np.uint32), "indices": np.zeros(0, np.uint16)}
arrays = {"item_codes": np.zeros((1, 1), np.uint8)}
artifact.write_model(Path(sys.argv[1]), {}, arrays, seen, pa.array(["a"]), pa.array(["b"]))
"""


def test_a_process_killed_outright_leaves_the_old_model_and_the_next_one_tidies(
    model: Path,
) -> None:
    before = contents(model)
    command = [sys.executable, "-c", SLOW, str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half written\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    left = f".model.{process.pid}.writing"
    assert names(model.parent) == [left, "model"]
    assert contents(model) == before
    open_model(model, verify=True)
    write(model, {"new": True})
    assert names(model.parent) == ["model"]


@pytest.mark.parametrize("name", ["model", "m[1]", "m.v2"])
def test_left_overs_go_and_the_work_of_others_stays(tmp_path: Path, name: str) -> None:
    """Bug: `m[1]` was read as a pattern, so its left-overs stayed for ever."""
    dead = 2**22 + 1  # beyond the largest process id Linux gives
    stale, living = f".{name}.{dead}.writing", f".{name}.{os.getppid()}.writing"
    foreign = [f".other.{dead}.writing", f".{name}.notes.writing"]
    for left in (stale, living, *foreign):
        (tmp_path / left).mkdir()
    write(tmp_path / name)
    assert names(tmp_path) == sorted([name, living, *foreign])


def test_a_left_over_of_our_own_process_id_is_no_obstacle(tmp_path: Path) -> None:
    """Bug: in a container every run has the same process id, and a left-over stopped the next."""
    left = tmp_path / f".model.{os.getpid()}.writing"
    left.mkdir()
    (left / "arrays.safetensors").touch()
    assert open_model(write(tmp_path / "model"), verify=True).header == HEADER
    assert names(tmp_path) == ["model"]
