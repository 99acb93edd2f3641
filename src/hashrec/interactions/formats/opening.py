"""Opening a file: everything that can be wrong before its format matters."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import pyarrow as pa

from hashrec.component import nearest
from hashrec.errors import DataError
from hashrec.interactions.formats.source import damaged

__all__ = ["check", "check_text", "first_text", "holds", "not_utf8", "stream"]

_SAMPLE = 1 << 18
_BLOCK = 1 << 22
_WHOLE = "check that it is whole"
# What no text begins with, and the suffix of files that do.
_SIGNATURES = {
    b"\x1f\x8b": ("gzip", ".gz"),
    b"PAR1": ("parquet", ".parquet"),
    b"PK\x03\x04": ("zip", ".npz"),
}


def _is_gzip(path: Path) -> bool:
    """Whether the name says that the file is compressed."""
    return path.suffix.lower() == ".gz"


def check(path: Path) -> None:
    """Raises DataError for a file that is absent, unreadable or empty."""
    if not _head(path):
        raise DataError("the file is empty", name=str(path), expected="interactions", got="0 bytes")


def check_text(path: Path) -> None:
    """Raises DataError for a file that is no text, or is compressed and its name hides it."""
    head = _head(path)
    if _is_gzip(path):
        if not head.startswith(b"\x1f\x8b"):
            raise DataError(
                "the file is not compressed",
                name=str(path),
                expected="gzip, as its name says",
                fix=f"rename it to {path.stem}",
            )
        return
    for signature, (kind, suffix) in _SIGNATURES.items():
        if head.startswith(signature):
            raise DataError(
                f"the content of this file is {kind}",
                name=str(path),
                expected="text",
                got=f"{kind} bytes",
                fix=f"rename it to {path.name if kind == 'gzip' else path.stem}{suffix}",
            )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except FileNotFoundError as fault:
        raise _absent(path) from fault
    except OSError as fault:
        raise DataError(
            "the file cannot be opened",
            name=str(path),
            got=fault.strerror or str(fault),
            fix="check that it is a file and that you may read it",
        ) from fault


def _absent(path: Path) -> DataError:
    folder = path.parent
    if not folder.is_dir():
        return DataError("no such file", name=str(path), got=f"no folder {str(folder)!r} either")
    there = sorted(entry.name for entry in folder.iterdir())
    near = nearest(path.name, there)
    listed = ", ".join(there[:10]) + (", ..." if len(there) > 10 else "")
    return DataError("no such file", name=str(path), fix=near or f"in that folder are: {listed}")


def stream(path: Path) -> Any:
    """The bytes of a file, unpacked: an Arrow input stream to be used in a `with`."""
    packing: Any = "gzip" if _is_gzip(path) else None
    return pa.input_stream(str(path), compression=packing)


def first_text(path: Path) -> tuple[str, bool]:
    """The first part of a text file, without a byte order mark, and whether that is all of it.

    If it is not all, it ends with a whole line. Raises DataError where it is not UTF-8.
    """
    with (
        damaged(str(path), "the file cannot be read", _WHOLE),
        stream(path) as file,
    ):
        sample = file.read(_SAMPLE)
        whole = len(sample) < _SAMPLE
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(sample, final=whole)
    except UnicodeDecodeError as fault:
        raise not_utf8(str(path), f"byte 0x{sample[fault.start]:02x}") from fault
    return (text, True) if whole else (text[: text.rfind("\n") + 1] or text, False)


def holds(path: Path, mark: bytes) -> bool:
    """Whether the one byte `mark` stands anywhere in a file."""
    with damaged(str(path), "the file cannot be read", _WHOLE), stream(path) as file:
        while block := file.read(_BLOCK):
            if mark in block:
                return True
    return False


def not_utf8(name: str, got: str) -> DataError:
    """The error for text in another encoding."""
    return DataError(
        "the file is not UTF-8 text",
        name=name,
        expected="UTF-8",
        got=got,
        fix="save it again as UTF-8, e.g. iconv -f latin1 -t utf-8",
    )
