"""Folders that are written whole or not at all: a manifest, and files whose sums it holds.

    manifest.json   format, version, header, and size and sha256 of every other file

A folder is written beside its place and swapped in whole, so a reader sees the old or the new. What
the files hold is the caller's affair; arrays are safetensors, mapped when they are read.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.errors import HashrecError, ModelError, OutputError
from hashrec.swap import swap_in

__all__ = [
    "Arrays",
    "Kind",
    "check_training_folder",
    "map_arrays",
    "training_folder",
    "write_arrays",
]

_MANIFEST = "manifest.json"

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Kind:
    """What a folder is.

    Attributes:
        noun: in messages. format, version: in the manifest. files: beside it.
        maker: what writes such folders. again: how to make one anew.
    """

    noun: str
    format: str
    version: int
    files: tuple[str, ...]
    maker: str
    again: str

    def stands_at(self, path: str | Path) -> bool:
        """Whether a manifest of this kind stands there, damaged or not."""
        try:
            return self.format in (Path(path) / _MANIFEST).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False

    def check_target(self, path: str | Path) -> None:
        """Refuses, before any work is done, a place where nothing must or can be written."""
        target = Path(path)
        if target.exists() and not self.stands_at(target):
            empty = target.is_dir() and not any(target.iterdir())
            if not empty:
                raise OutputError(
                    f"something that is no {self.noun} stands there",
                    name=str(path),
                    expected=f"a new name, an empty folder or {self._a_noun} to replace",
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

    def write(
        self,
        path: str | Path,
        header: Mapping[str, Any],
        writers: Mapping[str, Callable[[Path], object]],
    ) -> dict[str, int]:
        """Writes the folder, each of `files` by its writer; returns each file's bytes.

        Raises OutputError, and nothing has changed.
        """
        target = Path(path).resolve()  # a link stays a link, what it points to is replaced
        self.check_target(target)
        with self._staging(target) as folder:
            for name in self.files:
                writers[name](folder / name)
            files = {name: _described(folder / name) for name in self.files}
            top = {"format": self.format, "format_version": self.version}
            manifest = {**top, **header, "files": files}
            manifest["checksum"] = _digest_of(manifest)
            text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
            (folder / _MANIFEST).write_text(text + "\n", encoding="utf-8")
            for name in (*self.files, _MANIFEST):
                shutil.copymode(folder / _MANIFEST, folder / name)  # safetensors makes private ones
                _to_disk(folder / name)
            sizes = {name: (folder / name).stat().st_size for name in (*self.files, _MANIFEST)}
            swap_in(folder, target)
        return sizes

    def open(
        self, path: str | Path, *, verify: bool = False
    ) -> tuple[dict[str, Any], dict[str, int]]:
        """The header, and the bytes of each file: sizes are checked, checksums if `verify`.

        Raises ModelError, one for each way a folder can be wrong.
        """
        folder = Path(path)
        manifest = self._manifest(folder)
        ours = ("format", "format_version", "files", "checksum")
        header = {key: value for key, value in manifest.items() if key not in ours}
        try:
            return header, self._check_files(folder, manifest, verify=verify)
        except (KeyError, TypeError, ValueError) as fault:
            raise self.ill_formed(folder, fault) from fault

    def damaged(self, path: Path, expected: str, got: str) -> HashrecError:
        """The error for a part that is not what it was."""
        return ModelError(
            f"the {self.noun} is damaged",
            name=str(path),
            expected=expected,
            got=got,
            fix=f"restore it from a copy or {self.again}",
        )

    def ill_formed(self, path: Path, fault: Exception) -> HashrecError:
        """The error for parts that are whole and make no sense."""
        return self.damaged(path, "parts as the format describes them", repr(fault))

    @property
    def _a_noun(self) -> str:
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"

    @contextmanager
    def _staging(self, target: Path) -> Iterator[Path]:
        """A folder beside the target that is gone afterwards, whatever happens."""
        staging = target.with_name(f".{target.name}.{os.getpid()}.writing")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_left_overs(target)
            staging.mkdir()
            yield staging
        except OSError as fault:
            raise OutputError(
                f"the {self.noun} could not be written, what stood there before still stands",
                name=str(target),
                got=fault.strerror or str(fault),
                fix="make room or choose another place",
            ) from fault
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _manifest(self, folder: Path) -> dict[str, Any]:
        path = folder / _MANIFEST
        if not path.is_file():
            found = (
                "a folder without it"
                if folder.is_dir()
                else "a file"
                if folder.exists()
                else "nothing"
            )
            raise ModelError(
                f"this is no {self.noun} folder",
                name=str(folder),
                expected=f"a folder with {_MANIFEST}",
                got=found,
                fix=f"give the folder that {self.maker} wrote",
            )
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as fault:
            raise self.damaged(path, "JSON", str(fault)) from fault
        if not isinstance(manifest, dict) or manifest.get("format") != self.format:
            raise ModelError(
                f"this is no hashrec {self.noun}",
                name=str(path),
                expected=f'"format": "{self.format}"',
                got=repr(manifest.get("format"))
                if isinstance(manifest, dict)
                else repr(manifest)[:40],
            )
        version = manifest.get("format_version")
        if version != self.version:
            raise ModelError(
                f"the {self.noun} is of another format",
                name=str(folder),
                expected=f"format version {self.version}",
                got=repr(version),
                fix=f"install the hashrec that wrote it, or {self.again}",
            )
        if manifest.get("checksum") != _digest_of(manifest):
            raise self.damaged(path, f"checksum {manifest.get('checksum')}", _digest_of(manifest))
        return manifest

    def _check_files(
        self, folder: Path, manifest: Mapping[str, Any], *, verify: bool
    ) -> dict[str, int]:
        sizes = {_MANIFEST: (folder / _MANIFEST).stat().st_size}
        for name in self.files:
            path, described = folder / name, manifest["files"][name]
            if not path.is_file():
                raise self.damaged(path, f"a file of {described['bytes']} bytes", "none")
            sizes[name] = path.stat().st_size
            if sizes[name] != described["bytes"]:
                raise self.damaged(path, f"{described['bytes']} bytes", f"{sizes[name]} bytes")
            if verify and (digest := _sha256(path)) != described["sha256"]:
                raise self.damaged(path, f"sha256 {described['sha256']}", digest)
        return sizes


def training_folder(out: Path) -> Path:
    """Beside a model to be written: where training keeps checkpoints and its journal."""
    named = out.name not in ("", "..")
    out = out if named else out.resolve()
    return out.with_name(out.name + ".training")


def check_training_folder(folder: Path | None) -> None:
    """Raises OutputError, before any work, where there can be no such folder."""
    if folder is not None and folder.exists() and not folder.is_dir():
        raise OutputError(
            "checkpoints and the journal of training are kept there", name=str(folder),
            expected="a folder, or nothing yet", got="a file",
            fix="move it away, or choose another name for the model",
        )  # fmt: skip


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


def write_arrays(path: Path, arrays: Arrays) -> None:
    """As safetensors."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    except SafetensorError as fault:  # what it makes of a disk without room
        raise OSError(str(fault)) from fault


def map_arrays(path: Path, kind: Kind) -> Arrays:
    """Read-only views into the mapped file; the safetensors library checks the header first."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as fault:
        raise kind.damaged(path, "a safetensors file", str(fault)) from fault
    content: npt.NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
    (length,) = struct.unpack("<Q", content[:8].tobytes())
    described = json.loads(content[8 : 8 + length].tobytes())
    described.pop("__metadata__", None)
    body = content[8 + length :]
    return {name: _view(body, entry) for name, entry in described.items()}


_DTYPES = {"U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "I32": np.int32, "I64": np.int64,
           "F16": np.float16, "F32": np.float32, "F64": np.float64}  # fmt: skip


def _view(body: npt.NDArray[np.uint8], entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    start, end = entry["data_offsets"]
    return body[start:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
