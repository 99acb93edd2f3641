"""Indexes on disk: a folder that is mapped when it is opened, so that opening copies nothing and
processes share what they read.

    manifest.json       engine, what the codes are, checksums
    arrays.safetensors  items_codes and all that decodes them; of inverted lists also order, offsets
                        and the centres
"""

from __future__ import annotations

from pathlib import Path

from hashrec.codes import arrays_of, codes_from, describe
from hashrec.errors import RecipeError
from hashrec.folder import Kind, map_arrays, write_arrays
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
    header = {"codes": describe(index.codes), "items": len(index.codes)}
    arrays = arrays_of("items", index.codes)
    if isinstance(index, IvfIndex):
        lists = index.lists
        header |= {"lists": describe(lists.centres), "probes": index.probes}
        arrays |= arrays_of("centres", lists.centres)
        arrays |= {"order": lists.order, "offsets": lists.offsets}
    return _INDEX.write(path, header, {_FILE: lambda place: write_arrays(place, arrays)})


def load_index(path: str | Path, engine: str = "auto", *, verify: bool = False) -> Index:
    """Opens a folder over the mapped file; `verify` reads it whole and checks its checksum first.

    Args:
        engine: of flat codes, as for `open_index`. A folder of inverted lists is `ivf`.

    Raises ModelError where the folder is foreign, cut short or damaged.
    """
    folder = Path(path)
    header, _ = _INDEX.open(folder, verify=verify)
    try:
        arrays = map_arrays(folder / _FILE, _INDEX)
        codes = codes_from("items", header["codes"], arrays)
        if len(codes) != header["items"]:
            raise ValueError(f"{header['items']} items in the manifest, {len(codes)} codes")
        if "lists" not in header:
            return open_index(codes, engine)
        order, offsets = arrays["order"], arrays["offsets"]
        lists = Lists(codes, order, offsets, codes_from("centres", header["lists"], arrays))
        lists.require_whole()
    except (KeyError, TypeError, ValueError) as fault:
        raise _INDEX.ill_formed(folder, fault) from fault
    if engine not in ("auto", IvfIndex.name):
        raise RecipeError(
            f"{folder} holds inverted lists", expected="engine auto or ivf", got=engine,
            fix="save an index of flat codes for other engines",
        )  # fmt: skip
    return IvfIndex(codes, lists, probes=header["probes"])
