"""Indexes on disk: a folder that is mapped when it is opened, so that opening copies nothing and
processes share what they read.

    manifest.json       engine, what the codes are, checksums
    arrays.safetensors  items_codes and all that decodes them; of inverted lists also order, offsets
                        and the centres
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hashrec.codes import Codes, arrays_of, codes_from, describe
from hashrec.errors import RecipeError, UsageError
from hashrec.folder import Arrays, Kind, map_arrays, write_arrays
from hashrec.search.engines import open_index
from hashrec.search.index import Index
from hashrec.search.ivf import IvfIndex, Lists

__all__ = ["load_index", "save_index"]

_FILE = "arrays.safetensors"
_INDEX = Kind(
    noun="index",
    format="hashrec-index",
    version=1,
    files=(_FILE,),
    maker="hashrec.save_index",
    again="save it again",
)


def save_index(index: Index, path: str | Path) -> dict[str, int]:
    """Writes the folder whole or not at all; returns the bytes of each file. Raises OutputError."""
    header: dict[str, Any] = {
        "codes": describe(index.codes), "items": len(index.codes), "lists": None
    }  # fmt: skip
    arrays = arrays_of("items", index.codes)
    if isinstance(index, IvfIndex):
        lists = index.lists
        header["lists"] = {"centres": describe(lists.centres), "probes": index.probes}
        arrays |= arrays_of("centres", lists.centres)
        arrays |= {"order": lists.order, "offsets": lists.offsets}
    return _INDEX.write(path, header, {_FILE: lambda place: write_arrays(place, arrays)})


def load_index(path: str | Path, engine: str = "auto", *, verify: bool = False) -> Index:
    """Opens a folder over the mapped file; `verify` reads it whole and checks its checksum first.

    Args:
        engine: of flat codes, as for `open_index`. A folder of inverted lists is `ivf`.

    Raises ModelError where the folder is foreign, cut short or damaged, RecipeError or ValueError
    for an engine that does not read what it holds.
    """
    folder = Path(path)
    header, _ = _INDEX.open(folder, verify=verify)
    try:
        arrays = map_arrays(folder / _FILE, _INDEX)
        codes = codes_from("items", header["codes"], arrays)
        if len(codes) != header["items"]:
            raise ValueError(f"{header['items']} items in the manifest, {len(codes)} codes")
        index = _inverted(codes, header["lists"], arrays) if header["lists"] else None
    except (KeyError, TypeError, ValueError, UsageError) as fault:
        raise _INDEX.ill_formed(folder, fault) from fault
    if (engine == IvfIndex.name) != (index is not None) and engine != "auto":
        holds = "inverted lists" if index is not None else "flat codes"
        raise RecipeError(
            f"{folder} holds {holds}", expected="auto or an engine that reads them", got=engine
        )
    return open_index(codes, engine) if index is None else index


def _inverted(codes: Codes, described: dict[str, Any], arrays: Arrays) -> IvfIndex:
    centres = codes_from("centres", described["centres"], arrays)
    lists = Lists(codes, arrays["order"], arrays["offsets"], centres)
    return IvfIndex(codes, lists, probes=described["probes"])
