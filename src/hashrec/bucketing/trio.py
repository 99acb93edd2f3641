"""Three files that belong together: NAME.parquet, NAME.json and NAME.safetensors.

Each is written beside its place and renamed, the JSON last. It holds the size and sha256 of the
other two, so a mixture of old and new files, which a machine that stops between two renames can
leave, is seen when it is read, and refused. Nothing here knows what the files are about.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from hashrec.errors import HashrecError, ModelError, OutputError, UsageError

__all__ = ["FORMAT", "FORMAT_VERSION", "Trio", "check_place", "damaged", "read_trio", "write_trio"]

FORMAT = "hashrec-buckets"
FORMAT_VERSION = 1
_DATA = (".parquet", ".safetensors")
_JSON = ".json"
_OWN_KEYS = ("format", "format_version", "files", "checksum")

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Trio:
    """What the files hold: the caller's JSON, a pyarrow table, and arrays by name."""

    header: dict[str, Any]
    table: Any
    arrays: Arrays


def check_place(path: str | Path) -> None:
    """Refuses, before any work is done, a place where the files cannot or must not be written.

    Raises UsageError for another ending than .parquet, OutputError for a folder that does not
    exist and for files that are not ours: a log lying there must not be replaced by its buckets.
    """
    target = _named(path)
    if not target.parent.is_dir():
        raise OutputError("the folder does not exist", name=str(target.parent), fix="make it first")
    for suffix in (*_DATA, _JSON):
        place = target.with_suffix(suffix)
        if place.exists() and not _is_ours(place):
            raise OutputError(
                "something that is no file of buckets stands there",
                name=str(place),
                expected="a new name, or buckets to replace",
                fix="choose another name or move it away",
            )


def write_trio(
    path: str | Path, header: Mapping[str, Any], table: Any, arrays: Arrays
) -> dict[str, int]:
    """Writes the files; returns the bytes of each by name. Raises as `check_place`, and OutputError
    where the disk refuses."""
    target = _named(path)
    check_place(target)
    with _staging(target) as staged:
        _write_parquet(staged[".parquet"], table)
        _write_safetensors(staged[".safetensors"], arrays)
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **header}
        content["files"] = {suffix[1:]: _described(staged[suffix]) for suffix in _DATA}
        content["checksum"] = _digest_of(content)
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        staged[_JSON].write_text(text + "\n", encoding="utf-8")
        for place in staged.values():
            shutil.copymode(staged[_JSON], place)  # safetensors makes private files
            _to_disk(place)
        sizes = {target.with_suffix(end).name: f.stat().st_size for end, f in staged.items()}
        for suffix in (*_DATA, _JSON):
            staged[suffix].replace(target.with_suffix(suffix))
    return sizes


def read_trio(path: str | Path) -> Trio:
    """Reads the files and checks every byte. Raises ModelError, one for each way of being wrong."""
    target = _named(path)
    content = _read_json(target.with_suffix(_JSON))
    for suffix in _DATA:
        _check_file(target.with_suffix(suffix), content)
    header = {key: value for key, value in content.items() if key not in _OWN_KEYS}
    parquet, safetensors = (target.with_suffix(suffix) for suffix in _DATA)
    return Trio(header, _read_parquet(parquet), _read_safetensors(safetensors))


def damaged(path: Path, expected: str, got: str) -> ModelError:
    """The error for files whose content is not what it was when they were written."""
    return ModelError(
        "the buckets are damaged, or their files are not of one writing",
        name=str(path),
        expected=expected,
        got=got,
        fix="copy all three files again or make the buckets again",
    )


def _named(path: str | Path) -> Path:
    target = Path(path)
    if target.suffix != ".parquet":
        raise UsageError(
            "buckets are named by their parquet file",
            name=str(path),
            expected="a name ending in .parquet",
            got=repr(target.suffix) if target.suffix else "no ending",
        )
    return target


def _is_ours(place: Path) -> bool:
    """Whether this file says that it is one of ours; a damaged one may not."""
    from safetensors import SafetensorError, safe_open

    try:
        if place.suffix == ".parquet":
            return FORMAT.encode() in (pq.read_metadata(place).metadata or {})
        if place.suffix == _JSON:
            return _has_format(json.loads(place.read_text(encoding="utf-8")))
        with safe_open(place, framework="numpy") as file:
            return FORMAT in (file.metadata() or {})
    except (OSError, ValueError, pa.ArrowException, SafetensorError):
        return False


def _has_format(content: Any) -> bool:
    return isinstance(content, dict) and content.get("format") == FORMAT


@contextmanager
def _staging(target: Path) -> Iterator[dict[str, Path]]:
    """A path beside each of the files; nothing is left at them afterwards, whatever happens."""
    staged = {
        suffix: target.with_name(f".{target.stem}{suffix}.{os.getpid()}.writing")
        for suffix in (*_DATA, _JSON)
    }
    try:
        yield staged
    except OSError as fault:
        raise OutputError(
            "the buckets could not be written",
            name=str(target),
            got=fault.strerror or str(fault),
            fix="make room or choose another place",
        ) from fault
    finally:
        for place in staged.values():
            place.unlink(missing_ok=True)


def _write_parquet(path: Path, table: Any) -> None:
    """Plain types inside, whatever Arrow makes of them, so that any reader can read them."""
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({FORMAT: str(FORMAT_VERSION)})


def _write_safetensors(path: Path, arrays: Arrays) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    try:
        save_file(whole, path, metadata={FORMAT: str(FORMAT_VERSION)})
    except SafetensorError as fault:  # what it makes of a disk without room
        raise OSError(str(fault)) from fault


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _digest_of(content: Mapping[str, Any]) -> str:
    """sha256 of the JSON's content, however it is laid out, without the digest itself."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    """The checked content of the JSON."""
    if not path.is_file():
        raise _missing(path)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise damaged(path, "JSON", str(fault)) from fault
    if not _has_format(content):
        raise ModelError(
            "this describes no buckets",
            name=str(path),
            expected=f'"format": "{FORMAT}"',
            got=repr(content.get("format") if isinstance(content, dict) else content)[:60],
            fix="give the file that `hashrec buckets --out` wrote",
        )
    if content.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            "the buckets are of another format",
            name=str(path),
            expected=f"format version {FORMAT_VERSION}",
            got=repr(content.get("format_version")),
            fix="install the hashrec that wrote them, or make the buckets again",
        )
    if content.get("checksum") != (digest := _digest_of(content)):
        raise damaged(path, f"checksum {content.get('checksum')}", digest)
    return content


def _missing(path: Path) -> HashrecError:
    return ModelError(
        "a file of these buckets is missing",
        name=str(path),
        expected="NAME.parquet, NAME.json and NAME.safetensors beside one another",
        fix="copy all three files, or give the name that `hashrec buckets --out` wrote",
    )


def _check_file(path: Path, content: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise _missing(path)
    try:
        wanted = content["files"][path.suffix[1:]]
        size, digest = wanted["bytes"], wanted["sha256"]
    except (KeyError, TypeError) as fault:
        raise damaged(path.with_suffix(_JSON), "`files` with bytes and sha256", "none") from fault
    found = path.stat().st_size
    if found != size:
        raise damaged(path, f"{size} bytes", f"{found} bytes")
    if (got := _described(path)["sha256"]) != digest:
        raise damaged(path, f"sha256 {digest}", got)


def _read_parquet(path: Path) -> Any:
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as fault:
        raise damaged(path, "a parquet file", str(fault)) from fault


def _read_safetensors(path: Path) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: Arrays = load_file(path)
    except (SafetensorError, OSError) as fault:
        raise damaged(path, "a safetensors file", str(fault)) from fault
    return arrays
