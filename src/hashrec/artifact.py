"""The model folder: a manifest, arrays, ids and seen items, written whole or not at all.

    manifest.json       format, version, header, and size and sha256 of every other file
    arrays.safetensors  named arrays, memory-mapped on opening
    seen.safetensors    each user's training items: offsets and indices
    ids.parquet         raw ids, columns user and item, the shorter padded with nulls

The format knows nothing of recipes or encoders: the header is whatever JSON the caller puts in.
A folder is written beside its place and swapped in whole, so a reader sees the old or the new.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.errors import HashrecError, ModelError, OutputError
from hashrec.swap import swap_in

__all__ = ["FORMAT_VERSION", "StoredModel", "check_target", "is_model", "open_model", "write_model"]

FORMAT = "hashrec-model"
FORMAT_VERSION = 1
_MANIFEST = "manifest.json"
_FILES = ("arrays.safetensors", "ids.parquet", "seen.safetensors")

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class StoredModel:
    """What a folder holds.

    Attributes:
        header: the caller's JSON.
        arrays, seen: by name; read-only views of the mapped files.
        users, items: raw ids as Arrow arrays.
        sizes: bytes of each file.
    """

    header: dict[str, Any]
    arrays: Arrays
    seen: Arrays
    users: Any
    items: Any
    sizes: dict[str, int]


def is_model(path: str | Path) -> bool:
    """Whether a manifest of ours stands there, damaged or not."""
    try:
        return FORMAT in (Path(path) / _MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def check_target(path: str | Path) -> None:
    """Refuses, before any work is done, a place where a model must not or cannot be written."""
    target = Path(path)
    if target.exists() and not is_model(target):
        empty = target.is_dir() and not any(target.iterdir())
        if not empty:
            raise OutputError(
                "something that is no model stands there",
                name=str(path),
                expected="a new name, an empty folder or a model to replace",
                fix="choose another name or move it away",
            )
    parent = next(place for place in target.absolute().parents if place.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError(
            "cannot write there",
            name=str(path),
            expected=f"a folder that may be written at {parent}",
            fix="choose another place or change its permissions",
        )


def write_model(
    path: str | Path,
    header: Mapping[str, Any],
    arrays: Arrays,
    seen: Arrays,
    users: Any,
    items: Any,
) -> dict[str, int]:
    """Writes the folder; returns each file's bytes. Raises OutputError, and nothing has changed."""
    target = Path(path).resolve()  # a link stays a link, what it points to is replaced
    check_target(target)
    with _staging(target) as folder:
        _write_safetensors(folder / "arrays.safetensors", arrays)
        _write_safetensors(folder / "seen.safetensors", seen)
        _write_ids(folder / "ids.parquet", users, items)
        files = {name: _described(folder / name) for name in _FILES}
        manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, **header, "files": files}
        manifest["checksum"] = _digest_of(manifest)
        text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / _MANIFEST).write_text(text + "\n", encoding="utf-8")
        for name in (*_FILES, _MANIFEST):
            shutil.copymode(folder / _MANIFEST, folder / name)  # safetensors makes private files
            _to_disk(folder / name)
        sizes = {name: (folder / name).stat().st_size for name in (*_FILES, _MANIFEST)}
        swap_in(folder, target)
    return sizes


def open_model(path: str | Path, *, verify: bool = False) -> StoredModel:
    """Opens a folder: sizes are checked before anything is mapped, checksums if `verify`.

    Raises ModelError, one for each way a folder can be wrong.
    """
    folder = Path(path)
    manifest = _read_manifest(folder)
    header = {
        key: value
        for key, value in manifest.items()
        if key not in ("format", "format_version", "files", "checksum")
    }
    try:
        sizes = _check_files(folder, manifest, verify=verify)
        users, items = _read_ids(folder / "ids.parquet")
        arrays = _map_safetensors(folder / "arrays.safetensors")
        seen = _map_safetensors(folder / "seen.safetensors")
    except (KeyError, TypeError, ValueError) as fault:
        raise _damaged(folder, "parts as the format describes them", repr(fault)) from fault
    return StoredModel(header, arrays, seen, users, items, sizes)


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A folder beside the target that is gone afterwards, whatever happens."""
    staging = target.with_name(f".{target.name}.{os.getpid()}.writing")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(target)
        staging.mkdir()
        yield staging
    except OSError as fault:
        raise OutputError(
            "the model could not be written, what stood there before still stands",
            name=str(target),
            got=fault.strerror or str(fault),
            fix="make room or choose another place",
        ) from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_left_overs(target: Path) -> None:
    """Staging folders of processes that were killed outright and could not tidy up."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.writing"):
        owner = left.name.split(".")[-2]
        gone = Path("/proc").exists() and not Path(f"/proc/{owner}").exists()
        if owner.isdigit() and (gone or int(owner) == os.getpid()):  # containers reuse ids
            shutil.rmtree(left, ignore_errors=True)


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _described(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(manifest: Mapping[str, Any]) -> str:
    """sha256 of the manifest's content, however it is laid out, without the digest itself."""
    content = {key: value for key, value in manifest.items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _write_safetensors(path: Path, arrays: Arrays) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    except SafetensorError as fault:  # what it makes of a disk without room
        raise OSError(str(fault)) from fault


def _write_ids(path: Path, users: Any, items: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    length = max(len(users), len(items))
    columns = {
        name: pa.concat_arrays([ids, pa.nulls(length - len(ids), ids.type)])
        for name, ids in (("user", users), ("item", items))
    }
    # Ids are sorted, so each is written as what differs from the one before.
    encodings = {
        name: "DELTA_BYTE_ARRAY" if pa.types.is_string(ids.type) else "DELTA_BINARY_PACKED"
        for name, ids in columns.items()
    }
    pq.write_table(
        pa.table(columns),
        path,
        compression="zstd",
        compression_level=9,
        use_dictionary=False,
        column_encoding=encodings,
        write_statistics=False,
    )


def _read_ids(path: Path) -> tuple[Any, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        columns = [table[name].combine_chunks() for name in ("user", "item")]
    except (pa.ArrowException, OSError, KeyError) as fault:
        raise _damaged(path, "ids that parquet can read", str(fault)) from fault
    return columns[0].drop_null(), columns[1].drop_null()


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    if not path.is_file():
        found = (
            "a folder without it" if folder.is_dir() else "a file" if folder.exists() else "nothing"
        )
        raise ModelError(
            "this is no model folder",
            name=str(folder),
            expected=f"a folder with {_MANIFEST}",
            got=found,
            fix="give the folder that `hashrec fit --out` wrote",
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as fault:
        raise _damaged(path, "JSON", str(fault)) from fault
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(
            "this is no hashrec model",
            name=str(path),
            expected=f'"format": "{FORMAT}"',
            got=repr(manifest.get("format")) if isinstance(manifest, dict) else repr(manifest)[:40],
        )
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(
            "the model is of another format",
            name=str(folder),
            expected=f"format version {FORMAT_VERSION}",
            got=repr(version),
            fix="install the hashrec that wrote it, or fit again",
        )
    if manifest.get("checksum") != _digest_of(manifest):
        raise _damaged(path, f"checksum {manifest.get('checksum')}", _digest_of(manifest))
    return manifest


def _check_files(folder: Path, manifest: Mapping[str, Any], *, verify: bool) -> dict[str, int]:
    sizes = {_MANIFEST: (folder / _MANIFEST).stat().st_size}
    for name in _FILES:
        path, described = folder / name, manifest["files"][name]
        if not path.is_file():
            raise _damaged(path, f"a file of {described['bytes']} bytes", "none")
        sizes[name] = path.stat().st_size
        if sizes[name] != described["bytes"]:
            raise _damaged(path, f"{described['bytes']} bytes", f"{sizes[name]} bytes")
        if verify and (digest := _sha256(path)) != described["sha256"]:
            raise _damaged(path, f"sha256 {described['sha256']}", digest)
    return sizes


def _map_safetensors(path: Path) -> Arrays:
    """Views into the mapped file; the safetensors library checks the header first."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as fault:
        raise _damaged(path, "a safetensors file", str(fault)) from fault
    content: npt.NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
    (length,) = struct.unpack("<Q", content[:8].tobytes())
    described = json.loads(content[8 : 8 + length].tobytes())
    described.pop("__metadata__", None)
    body = content[8 + length :]
    return {name: _view(body, entry) for name, entry in described.items()}


_DTYPES = {"U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "I32": np.int32, "I64": np.int64,
           "F16": np.float16, "F32": np.float32}  # fmt: skip


def _view(body: npt.NDArray[np.uint8], entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    start, end = entry["data_offsets"]
    return body[start:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])


def _damaged(path: Path, expected: str, got: str) -> HashrecError:
    return ModelError(
        "the model is damaged",
        name=str(path),
        expected=expected,
        got=got,
        fix="restore it from a copy or fit again",
    )
