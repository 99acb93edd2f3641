"""The model folder: a manifest, arrays, ids and seen items, written whole or not at all.

    manifest.json       format, version, header, and size and sha256 of every other file
    arrays.safetensors  named arrays, memory-mapped on opening
    seen.safetensors    each user's training items: offsets and indices
    ids.parquet         raw ids, columns user and item, the shorter padded with nulls

The format knows nothing of recipes or encoders: the header is whatever JSON the caller puts in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashrec.folder import Arrays, Kind, map_arrays, write_arrays

__all__ = [
    "FORMAT_VERSION",
    "StoredModel",
    "check_target",
    "is_model",
    "open_model",
    "read_ids",
    "write_ids",
    "write_model",
]

FORMAT_VERSION = 1
_MODEL = Kind(
    noun="model",
    format="hashrec-model",
    version=FORMAT_VERSION,
    files=("arrays.safetensors", "ids.parquet", "seen.safetensors"),
    maker="`hashrec fit --out`",
    again="fit again",
)


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
    return _MODEL.stands_at(path)


def check_target(path: str | Path) -> None:
    """Refuses, before any work is done, a place where a model must not or cannot be written."""
    _MODEL.check_target(path)


def write_model(
    path: str | Path,
    header: Mapping[str, Any],
    arrays: Arrays,
    seen: Arrays,
    users: Any,
    items: Any,
) -> dict[str, int]:
    """Writes the folder; returns each file's bytes. Raises OutputError, and nothing has changed."""
    return _MODEL.write(
        path,
        header,
        {
            "arrays.safetensors": lambda place: write_arrays(place, arrays),
            "seen.safetensors": lambda place: write_arrays(place, seen),
            "ids.parquet": lambda place: write_ids(place, users, items),
        },
    )


def open_model(path: str | Path, *, verify: bool = False) -> StoredModel:
    """Opens a folder: sizes are checked before anything is mapped, checksums if `verify`.

    Raises ModelError, one for each way a folder can be wrong.
    """
    folder = Path(path)
    header, sizes = _MODEL.open(folder, verify=verify)
    try:
        users, items = read_ids(folder / "ids.parquet", _MODEL)
        arrays = map_arrays(folder / "arrays.safetensors", _MODEL)
        seen = map_arrays(folder / "seen.safetensors", _MODEL)
    except (KeyError, TypeError, ValueError) as fault:
        raise _MODEL.ill_formed(folder, fault) from fault
    return StoredModel(header, arrays, seen, users, items, sizes)


def write_ids(path: Path, users: Any, items: Any) -> None:
    """Raw ids of both sides, Arrow arrays in ascending order, as one parquet file."""
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


def read_ids(path: Path, kind: Kind) -> tuple[Any, Any]:
    """What `write_ids` wrote. Raises ModelError for a file that parquet cannot read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        columns = [table[name].combine_chunks() for name in ("user", "item")]
    except (pa.ArrowException, OSError, KeyError) as fault:
        raise kind.damaged(path, "ids that parquet can read", str(fault)) from fault
    return columns[0].drop_null(), columns[1].drop_null()
