"""Buckets on disk: one parquet that anyone can read, and beside it what makes them buckets again.

    NAME.parquet       side ("user", "item"), id, bucket (int32), weight (float32): a row for each
                       way of each id; the ways of one id stand together, in order
    NAME.json          method, seed, sizes, rules, facts, fingerprints, checksums
    NAME.safetensors   the arrays of the rules that have any, as `user.0.homes`

The vector of an id is the sum over its rows of weight x table[bucket], whatever the combiner.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.bucketing.assignment import Assignment, SideName
from hashrec.bucketing.buckets import METHODS, Buckets
from hashrec.bucketing.method import BucketMethod
from hashrec.bucketing.rules import RULES, Rule
from hashrec.bucketing.trio import Arrays, Trio, damaged, read_trio, write_trio
from hashrec.errors import ModelError, RecipeError, UsageError

__all__ = ["describe_side", "load_buckets", "save_buckets"]

_ID_TYPES = {"int64": pa.int64(), "uint64": pa.uint64(), "string": pa.string()}


def save_buckets(buckets: Buckets, path: str | Path) -> dict[str, int]:
    """Writes NAME.parquet, NAME.json and NAME.safetensors; returns the bytes of each by name.

    Args:
        path: NAME.parquet, in a folder that exists.

    Raises UsageError for another ending and for ids of an odd type, OutputError where files that
    are no buckets stand or the disk refuses.
    """
    sides = (buckets.users, buckets.items)
    header = {
        "method": buckets.method.to_dict(),
        "seed": buckets.seed,
        "fingerprint": buckets.fingerprint(),
        "sides": {side.side: _stored_side(side) for side in sides},
        "facts": buckets.facts,
    }
    return write_trio(path, header, _table(*sides), _rule_arrays(*sides))


def load_buckets(path: str | Path) -> Buckets:
    """What `save_buckets` wrote to `path`, every byte of it checked.

    Raises ModelError for files that are missing, foreign, damaged or of a newer version.
    """
    target = Path(path)
    trio = read_trio(target)
    header = trio.header
    try:
        users, items = (_side(trio, side, target) for side in ("user", "item"))
        method = _method(header["method"], target)
        loaded = Buckets(users, items, method, header["seed"], header["facts"])
        wanted = header["fingerprint"]
    except (KeyError, TypeError, ValueError, IndexError, pa.ArrowException) as fault:
        raise damaged(target, "parts as the format describes them", repr(fault)) from fault
    if loaded.fingerprint() != wanted:
        raise damaged(target, f"fingerprint {wanted}", loaded.fingerprint())
    return loaded


def describe_side(side: Assignment) -> dict[str, Any]:
    """JSON-ready: what there is to say of one side without listing it."""
    sizes = side.sizes
    return {
        "ids": len(side),
        "rows": side.rows,
        "ways": side.ways,
        "combiner": side.combiner,
        "dim_share": side.dim_share,
        "id_type": _id_type(side),
        "index_bytes": side.index_bytes,
        "sizes": {
            "min": int(sizes.min()),
            "median": float(np.median(sizes)),
            "max": int(sizes.max()),
            "empty": int(np.count_nonzero(sizes == 0)),
        },
        "fingerprint": side.fingerprint(),
    }


def _stored_side(side: Assignment) -> dict[str, Any]:
    rules = [{"kind": rule.kind, "scalars": rule.scalars()} for rule in side.rules]
    return {**describe_side(side), "rules": rules}


def _id_type(side: Assignment) -> str:
    kind = str(side.ids.type)
    if kind not in _ID_TYPES:
        raise UsageError(
            f"{side.side} ids of a type that cannot be stored",
            expected=", ".join(_ID_TYPES),
            got=kind,
            fix="cast them first",
        )
    return kind


def _table(users: Assignment, items: Assignment) -> Any:
    """Users and then items, a row for each way. Ids of different types both become text."""
    kind = users.ids.type if users.ids.type == items.ids.type else pa.string()
    sides = (users, items)
    which = np.repeat(np.arange(2, dtype=np.int8), [side.buckets.size for side in sides])
    columns: dict[str, Any] = {
        "side": pa.DictionaryArray.from_arrays(which, pa.array(["user", "item"])),
        "id": pa.chunked_array([_repeated(side).cast(kind) for side in sides], type=kind),
        "bucket": np.concatenate([side.buckets.ravel() for side in sides]),
        "weight": np.concatenate([_factors(side).ravel() for side in sides]),
    }
    return pa.table(columns)


def _repeated(side: Assignment) -> Any:
    """Each id once for each of its ways."""
    if side.ways == 1:
        return side.ids
    return side.ids.take(pa.array(np.repeat(np.arange(len(side)), side.ways)))


def _factors(side: Assignment) -> npt.NDArray[np.float32]:
    """(n, ways) float32 that make every combiner a sum: so a reader needs no cases."""
    if side.weights is not None:
        return side.weights
    one = 1 / side.ways if side.combiner == "mean" else 1.0
    return np.full(side.buckets.shape, one, dtype=np.float32)


def _rule_arrays(*sides: Assignment) -> Arrays:
    return {
        f"{side.side}.{way}.{name}": array
        for side in sides
        for way, rule in enumerate(side.rules)
        for name, array in rule.arrays().items()
    }


def _side(trio: Trio, name: SideName, path: Path) -> Assignment:
    """The assignment of one side. Raises ModelError, or what a wrong part raises by itself."""
    about = trio.header["sides"][name]
    rows = trio.table.filter(pc.equal(trio.table["side"], pa.scalar(name)))
    n, ways = about["ids"], about["ways"]
    if len(rows) != n * ways:
        raise damaged(path, f"{n * ways} rows of {name}s", f"{len(rows)}")
    buckets = rows["bucket"].to_numpy().reshape(n, ways)
    _check_range(name, buckets, about["rows"], path)
    weighted = about["combiner"] == "weighted"
    found = Assignment(
        side=name,
        ids=_ids(rows["id"], name, about, path),
        buckets=buckets,
        rows=about["rows"],
        rules=tuple(_rule(trio, name, way, rule) for way, rule in enumerate(about["rules"])),
        combiner=about["combiner"],
        weights=rows["weight"].to_numpy().reshape(n, ways) if weighted else None,
        dim_share=about["dim_share"],
    )
    if found.fingerprint() != about["fingerprint"]:
        raise damaged(path, f"{name} fingerprint {about['fingerprint']}", found.fingerprint())
    return found


def _check_range(name: str, buckets: npt.NDArray[np.int32], rows: int, path: Path) -> None:
    wrong = buckets[(buckets < 0) | (buckets >= rows)]
    if len(wrong):
        raise damaged(path, f"{name} buckets from 0 to {rows - 1}", f"{wrong[0]}")


def _ids(column: Any, name: str, about: Mapping[str, Any], path: Path) -> Any:
    """(n,) pa.Array of the type the side had when it was stored."""
    kind, ways = _ID_TYPES[about["id_type"]], about["ways"]
    each = column.cast(kind)
    each = each.combine_chunks() if each.num_chunks != 1 else each.chunk(0)
    ids = each.take(pa.array(np.arange(0, len(each), ways)))
    if ways > 1 and not each.equals(ids.take(pa.array(np.repeat(np.arange(len(ids)), ways)))):
        raise damaged(path, f"the {ways} rows of each {name} beside one another", "other rows")
    if pc.count_distinct(ids, mode="all").as_py() != len(ids) or ids.null_count:
        raise damaged(path, f"distinct {name} ids", "repeated or missing ones")
    return ids


def _rule(trio: Trio, side: str, way: int, about: Mapping[str, Any]) -> Rule:
    if about["kind"] not in RULES:
        raise ModelError(
            f"this version knows no rule {about['kind']!r}",
            expected="one of " + ", ".join(RULES),
            fix="install the hashrec that wrote these buckets",
        )
    prefix = f"{side}.{way}."
    arrays = {
        name.removeprefix(prefix): array
        for name, array in trio.arrays.items()
        if name.startswith(prefix)
    }
    return RULES[about["kind"]].restore(about["scalars"], arrays)


def _method(options: Mapping[str, Any], path: Path) -> BucketMethod:
    try:
        return METHODS.parse(options)
    except RecipeError as fault:
        raise ModelError(
            "the buckets were made by a method that this version does not know",
            name=str(path),
            expected="one of " + ", ".join(METHODS),
            got=fault.problem,
            fix="install the hashrec that wrote them, or make the buckets again",
        ) from fault
