"""Reading: whatever the caller has, as interactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import scipy.sparse

from hashrec.component import nearest
from hashrec.errors import DataError, UsageError
from hashrec.interactions.building import build
from hashrec.interactions.builtin import BUILTIN, open_builtin
from hashrec.interactions.cleaning import Cleaning
from hashrec.interactions.columns import Wanted
from hashrec.interactions.formats import Source, open_path, suffixes, true_suffix
from hashrec.interactions.formats.frame import open_frame
from hashrec.interactions.formats.sparse import open_sparse
from hashrec.interactions.log import Interactions

__all__ = ["Parts", "open_source", "part_files", "read", "read_parts"]

_PART_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "val", "validation"),
    "test": ("test",),
}


@dataclass(frozen=True, eq=False)
class Parts:
    """A log that came split. All parts share one `users` and one `items`."""

    train: Interactions
    valid: Interactions | None = None
    test: Interactions | None = None


def read(
    source: Any,
    *,
    user: str | None = None,
    item: str | None = None,
    rating: str | None = None,
    time: str | None = None,
    format: str | None = None,
    cleaning: Cleaning | None = None,
) -> Interactions:
    """Interactions from a file, a data frame, a sparse matrix, or built-in data.

    Args:
        source: a path to csv, tsv, txt, parquet, RecBole `.inter`, LightGCN text, MovieLens
            `.dat` or SciPy `.npz`, the texts also gzipped; a pandas, polars or Arrow table; a
            SciPy sparse matrix; or the name of built-in data.
        user, item, rating, time: columns, where their names do not tell; `rating="none"` and
            `time="none"` ignore those columns.
        format: the name of the format, where neither the file's name nor its content tells.
        cleaning: what to drop; nothing by default.

    Raises:
        DataError: for whatever cannot be read as interactions; the message says what to do.
    """
    if isinstance(source, (str, PathLike)) and Path(source).is_dir():
        raise DataError(
            "this is a folder",
            name=str(source),
            expected="a file",
            fix="give one of the files in it; for a folder with train and test files call "
            "read_parts, or give it to the command `hashrec fit`",
        )
    wanted = Wanted(user, item, rating, time)
    return build([open_source(source, format)], wanted, cleaning or Cleaning())[0]


def read_parts(
    source: Any,
    *,
    user: str | None = None,
    item: str | None = None,
    rating: str | None = None,
    time: str | None = None,
    format: str | None = None,
    cleaning: Cleaning | None = None,
) -> Parts:
    """A folder with files named train.*, valid.* (or val, validation) and test.*, as parts.

    Only train must be there. The least rating is applied to every part, the core only where
    there is nothing but train; interactions that stand in two parts are kept and counted in the
    report of the later one. Any other source becomes `Parts(train=everything)`.

    Arguments and errors are those of `read`.
    """
    sources = {"train": source}
    if isinstance(source, (str, PathLike)) and Path(source).is_dir():
        sources = part_files(Path(source))
    opened = [open_source(part, format) for part in sources.values()]
    logs = build(opened, Wanted(user, item, rating, time), cleaning or Cleaning())
    return Parts(**dict(zip(sources, logs, strict=True)))


def open_source(source: Any, format_name: str | None = None) -> Source:
    """The columns of a file, a frame or a sparse matrix; see `read`."""
    if isinstance(source, (str, PathLike)):
        return _named(source, format_name)
    if format_name is not None:
        raise UsageError(
            "only files have a format", got=f"format={format_name!r} for {type(source).__name__}"
        )
    if scipy.sparse.issparse(source):
        return open_sparse(source)
    frame = open_frame(source)
    if frame is not None:
        return frame
    raise DataError(
        f"a {type(source).__name__} cannot be read as interactions",
        expected="a path, a pandas, polars or Arrow table, a SciPy sparse matrix, or a name",
        got=type(source).__name__,
    )


def _named(source: str | PathLike[str], format_name: str | None) -> Source:
    """A path, or the name of built-in data; a file of that name comes first."""
    path = Path(source)
    is_word = isinstance(source, str) and path.name == source and not path.suffix
    if not is_word or path.exists():
        return open_path(path, format_name)
    if source in BUILTIN:
        return open_builtin(path.name)
    known = ", ".join(BUILTIN)
    raise DataError(
        "neither a file nor built-in data",
        name=str(source),
        expected=f"the path of a file, or one of: {known}",
        fix=nearest(path.name, [*BUILTIN, *(entry.name for entry in Path().iterdir())]),
    )


def part_files(folder: Path) -> dict[str, Path]:
    """The file of each part that is there, in the order train, valid, test.

    Raises DataError where there is no train part, or more than one file of a part."""
    found = {}
    for part, names in _PART_NAMES.items():
        files = [file for file in sorted(folder.iterdir()) if _is_part(file, names)]
        if len(files) > 1:
            raise DataError(
                f"{len(files)} files may be the {part} part",
                name=str(folder),
                expected="one",
                got=", ".join(file.name for file in files),
                fix="move the others away",
            )
        if files:
            found[part] = files[0]
    if "train" not in found:
        there = sorted(file.name for file in folder.iterdir())
        raise DataError(
            "this folder has no train part",
            name=str(folder),
            expected="train.*, ending in one of " + ", ".join(suffixes()),
            got=", ".join(there[:10]) if there else "an empty folder",
            fix="name one of its files if the log is not split",
        )
    return found


def _is_part(file: Path, names: tuple[str, ...]) -> bool:
    name = file.name.lower().removesuffix(".gz")
    return Path(name).stem in names and true_suffix(file) in suffixes() and file.is_file()
