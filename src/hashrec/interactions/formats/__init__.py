"""The formats a log may come in. A new one is one file, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hashrec.component import nearest
from hashrec.errors import DataError
from hashrec.interactions.formats.criteo import open_criteo
from hashrec.interactions.formats.delimited import open_csv, open_tsv
from hashrec.interactions.formats.lightgcn import open_lightgcn
from hashrec.interactions.formats.movielens import open_movielens
from hashrec.interactions.formats.opening import check, check_text
from hashrec.interactions.formats.parquet import open_parquet
from hashrec.interactions.formats.recbole import open_recbole
from hashrec.interactions.formats.source import Source, stacked
from hashrec.interactions.formats.sparse import open_npz
from hashrec.interactions.formats.txt import open_txt

__all__ = ["FORMATS", "Source", "open_path", "stacked", "suffixes", "true_suffix"]


@dataclass(frozen=True)
class Format:
    """How a file is opened, the suffixes that mean it, and whether it is text, maybe gzipped."""

    open: Callable[[Path], Source]
    suffixes: tuple[str, ...]
    text: bool = True


FORMATS = {
    "csv": Format(open_csv, (".csv",)),
    "tsv": Format(open_tsv, (".tsv",)),
    "txt": Format(open_txt, (".txt",)),
    "lightgcn": Format(open_lightgcn, ()),
    "recbole": Format(open_recbole, (".inter", ".user", ".item")),
    "criteo": Format(open_criteo, ()),
    "movielens": Format(open_movielens, (".dat",)),
    "parquet": Format(open_parquet, (".parquet", ".pq"), text=False),
    "sparse": Format(open_npz, (".npz",), text=False),
}


def suffixes() -> list[str]:
    """All suffixes that are understood."""
    return [suffix for format_ in FORMATS.values() for suffix in format_.suffixes]


def true_suffix(path: Path) -> str:
    """The suffix that tells the format: `.csv` of `log.csv` and of `log.csv.gz`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def open_path(path: Path, format_name: str | None) -> Source:
    """The file as a source, in the named format or in the one its name and content tell.

    Raises DataError for a file that cannot be opened and for a format that is not known.
    """
    check(path)
    name = format_name or _detected(path)
    if name not in FORMATS:
        raise DataError(
            f"unknown format {name!r}",
            name=str(path),
            expected="one of " + ", ".join(FORMATS),
            fix=nearest(name, FORMATS),
        )
    if FORMATS[name].text:
        check_text(path)
    return FORMATS[name].open(path)


def _detected(path: Path) -> str:
    packed = path.suffix.lower() == ".gz"
    for name, format_ in FORMATS.items():
        if true_suffix(path) in format_.suffixes and (format_.text or not packed):
            return name
    raise DataError(
        "the format cannot be told from the name",
        name=str(path),
        expected=", ".join(suffixes()) + ", and the texts among them with .gz",
        fix="name it with format=... (--format): one of " + ", ".join(FORMATS),
    )
