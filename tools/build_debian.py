"""Rebuild the built-in data set `debian` from Debian's package index.

An interaction is *package needs package*: user = a package of Debian 12 (bookworm, main, amd64),
item = a package it depends on, pre-depends on or recommends. The rules, in full:

1. the fields Depends, Pre-Depends and Recommends are read, nothing else (no Suggests);
2. version constraints and architecture qualifiers are dropped: `perl:any (>= 5.36)` is `perl`;
3. of alternatives `a | b` the first is taken, which is the maintainer's preference;
4. a name that is no package of this index (a virtual package, or one of another section) is
   dropped, and so is a package's need of itself;
5. a package that the index lists in two versions has the needs of both; each pair counts once;
6. the 5-core is kept: packages with fewer than 5 items and items with fewer than 5 packages are
   left out, again and again until none is left.

On a Debian 12 machine, after `apt-get update`, this is the whole command:

    python tools/build_debian.py

Elsewhere, fetch `InRelease` and `main/binary-amd64/Packages.xz` from `dists/bookworm/` of any
Debian mirror and name them:

    python tools/build_debian.py --packages Packages.xz --release InRelease

The index must be the one that the release file vouches for (its SHA-256 is compared), so that the
date stored with the data is true. The signature of the release file is not checked; apt has done
it for the lists it fetched. The same index and the same pyarrow give the same bytes.

`--survey` writes nothing and prints how many users, items and pairs other rules would give.

Exit status: 0 done, 2 wrong input or an output that cannot be written (one message on stderr).
"""

from __future__ import annotations

import argparse
import enum
import gzip
import hashlib
import lzma
import re
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CODENAME = "bookworm"
INDEX_NAME = "main/binary-amd64/Packages"  # how the release file calls the index, uncompressed
APT_LISTS = Path("/var/lib/apt/lists")  # where apt keeps what it fetched, on every Debian
APT_HELPER = "/usr/lib/apt/apt-helper"  # opens whatever apt has compressed; not on the PATH
OUT = Path(__file__).resolve().parents[1] / "src" / "hashrec" / "data" / "debian.parquet"

Edge = tuple[str, str]  # (user, item)
Groups = tuple[tuple[str, ...], ...]  # the needs of one field, each a tuple of alternatives


class BuildError(ValueError):
    """The index or the release file is not what it should be; the message says what to do."""


class Alternatives(enum.Enum):
    """Which names of `a | b | c` become items."""

    FIRST = "first"  # `a`, or none if `a` is no package of the index
    FIRST_REAL = "first real"  # the first that is a package of the index
    ALL = "all"  # every one that is a package of the index


@dataclass(frozen=True)
class Rules:
    """What counts as an interaction."""

    fields: tuple[str, ...] = ("Depends", "Pre-Depends", "Recommends")
    alternatives: Alternatives = Alternatives.FIRST
    core: int = 5


RULES = Rules()
RULES_SENTENCE = (
    "user = package, item = a package it Depends, Pre-Depends or Recommends; first of "
    "alternatives, versions and architecture qualifiers dropped, names that are no package of "
    "this index dropped, no self-dependency, distinct, 5-core."
)


@dataclass(frozen=True)
class Package:
    """One stanza of the index: a name and, for each relationship field it has, its needs."""

    name: str
    needs: Mapping[str, Groups]


@dataclass(frozen=True)
class Release:
    """What a release file says of itself and of the index.

    Attributes:
        title: origin, major version, code name, section and architecture.
        date: the `Date` field as it stands.
        index_sha256: of the uncompressed index.
    """

    title: str
    date: str
    index_sha256: str


# Reading the archive's text files ------------------------------------------------------------


def parse_stanzas(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Paragraphs of `Field: value` lines, separated by blank ones.

    A line that starts with a space or a tab continues the field above it and is joined to it with
    a newline. Field names come out in lower case, because Debian's policy gives case no meaning.

    Raises:
        BuildError: a line that is neither a field nor a continuation.

    >>> list(parse_stanzas(["Package: a", "Depends: b,", "  c", "", "Package: b"]))
    [{'package': 'a', 'depends': 'b,\\nc'}, {'package': 'b'}]
    """
    stanza: dict[str, str] = {}
    field = ""
    for number, line in enumerate(lines, start=1):
        text = line.strip(" \t\r")
        if not text:
            if stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0] in " \t" and field:
            stanza[field] += "\n" + text
        else:
            name, colon, value = line.partition(":")
            field = name.lower()
            if not colon or line[0] in " \t":
                raise BuildError(
                    f"line {number}: expected `Field: value` or the continuation of a field; "
                    f"got {line[:60]!r}. Give a Packages index, not another file."
                )
            if field in stanza:
                raise BuildError(f"line {number}: the field {name!r} comes twice in one stanza.")
            stanza[field] = value.strip()
    if stanza:
        yield stanza


# A name, then what is dropped: `:arch`, `(>= version)`, `[arch list]`, `<build profile>`.
_RELATION = re.compile(
    r"""\s* (?P<name> [A-Za-z0-9][A-Za-z0-9+.-]+ )
        (?: : [A-Za-z0-9-]+ )? \s*
        (?: \( [^()]* \) )? \s*
        (?: \[ [^\[\]]* \] )? \s*
        (?: < [^<>]* > \s* )*""",
    re.VERBOSE,
)


def parse_relations(text: str) -> Groups:
    """The value of a relationship field as names: one tuple of alternatives for each need.

    Raises:
        BuildError: something that is no relationship.

    >>> parse_relations("libc6 (>= 2.34), perl:any, mta | postfix")
    (('libc6',), ('perl',), ('mta', 'postfix'))
    """
    groups = (group for group in text.split(",") if group.strip())
    return tuple(
        tuple(_relation_name(relation) for relation in group.split("|")) for group in groups
    )


def _relation_name(relation: str) -> str:
    match = _RELATION.fullmatch(relation)
    if match is None:
        raise BuildError(
            f"not a relationship: {relation!r}; expected `name[:arch] [(version)]`. "
            "Check that the index is whole."
        )
    return match["name"]


def parse_index(text: str, fields: Sequence[str] = RULES.fields) -> list[Package]:
    """Every stanza of a `Packages` index, with those of `fields` that it has.

    Raises:
        BuildError: no stanza at all, or one without a name.
    """
    packages: list[Package] = []
    for stanza in parse_stanzas(text.split("\n")):
        if not stanza.get("package"):
            raise BuildError(
                f"stanza {len(packages) + 1} has no `Package` field; it has {sorted(stanza)}. "
                "Give a Packages index, not another file."
            )
        needs = {f: parse_relations(stanza[f.lower()]) for f in fields if f.lower() in stanza}
        packages.append(Package(stanza["package"], needs))
    if not packages:
        raise BuildError("the index is empty. Run `apt-get update` and try again.")
    return packages


def parse_release(text: str) -> Release:
    """Title, date and the index's checksum, from `Release` or the clear-signed `InRelease`.

    Raises:
        BuildError: another release than the one wanted, or one that does not list the index.
    """
    fields = next(parse_stanzas(_without_signature(text).split("\n")), {})
    if fields.get("codename") != CODENAME:
        raise BuildError(
            f"codename: expected {CODENAME!r}; got {fields.get('codename')!r}. "
            "Give the release file that belongs to the index."
        )
    checksums = [line.split() for line in fields.get("sha256", "").splitlines()]
    found = [entry[0] for entry in checksums if len(entry) == 3 and entry[2] == INDEX_NAME]
    missing = [name for name in ("origin", "version", "date") if not fields.get(name)]
    if missing or not found:
        raise BuildError(
            f"the release file lacks {missing or [f'SHA256 of {INDEX_NAME}']}. "
            "Give a Debian archive's `InRelease` or `Release`."
        )
    major = fields["version"].partition(".")[0]
    title = f"{fields['origin']} {major} {CODENAME} main amd64"
    return Release(title, fields["date"], found[0])


def _without_signature(text: str) -> str:
    """The signed text alone; any other text as it is."""
    if not text.startswith("-----BEGIN PGP SIGNED MESSAGE-----"):
        return text
    _, _, signed = text.partition("\n\n")
    return signed.partition("\n-----BEGIN PGP SIGNATURE-----")[0]


# From packages to interactions ---------------------------------------------------------------


def edges(packages: Iterable[Package], rules: Rules = RULES) -> set[Edge]:
    """Distinct (package, needed package) pairs under `rules`, before the core is taken."""
    packages = list(packages)
    real = {package.name for package in packages}
    return {
        (package.name, item)
        for package in packages
        for field in rules.fields
        for group in package.needs.get(field, ())
        for item in _chosen(group, real, rules.alternatives)
        if item != package.name
    }


def _chosen(group: Sequence[str], real: set[str], which: Alternatives) -> list[str]:
    """The real packages that stand for one need."""
    considered = group[:1] if which is Alternatives.FIRST else group
    kept = [name for name in considered if name in real]
    return kept if which is Alternatives.ALL else kept[:1]


def k_core(pairs: set[Edge], k: int) -> set[Edge]:
    """The largest subset in which every user has at least k items and every item k users."""
    while True:
        users = Counter(user for user, _ in pairs)
        items = Counter(item for _, item in pairs)
        kept = {(u, i) for u, i in pairs if users[u] >= k and items[i] >= k}
        if len(kept) == len(pairs):
            return kept
        pairs = kept


# Files ---------------------------------------------------------------------------------------


def find_lists(folder: Path = APT_LISTS) -> tuple[Path, Path]:
    """The index and the release file among the lists that apt has fetched.

    Raises:
        BuildError: none, or those of several mirrors.
    """
    stem = f"_dists_{CODENAME}"
    index_name = "_" + INDEX_NAME.replace("/", "_")
    found = sorted(folder.glob(f"*{stem}{index_name}*"))
    if len(found) != 1:
        raise BuildError(
            f"{folder}: expected one {INDEX_NAME} of {CODENAME}; got {len(found)}. "
            "Run `apt-get update` on Debian 12, or give --packages and --release."
        )
    prefix = found[0].name.partition(index_name)[0]
    for name in ("InRelease", "Release"):
        release = folder / f"{prefix}_{name}"
        if release.exists():
            return found[0], release
    raise BuildError(f"{folder}: no InRelease or Release of {CODENAME}. Give --release.")


_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, subprocess.CalledProcessError)


def read_bytes(path: Path) -> bytes:
    """A file's content, uncompressed as its ending says: .gz, .xz, .lz4, or nothing of these.

    Raises:
        BuildError: the file cannot be read, or nothing here opens lz4.
    """
    try:
        if path.suffix == ".gz":
            return gzip.decompress(path.read_bytes())
        if path.suffix == ".xz":
            return lzma.decompress(path.read_bytes())
        if path.suffix == ".lz4":
            return _run(*_lz4_command(), str(path))
        return path.read_bytes()
    except _UNREADABLE as error:
        raise BuildError(f"{path}: cannot be read ({error}).") from error


def _lz4_command() -> list[str]:
    """Python's library has no lz4; either of these tools is on a Debian machine."""
    if shutil.which(APT_HELPER):
        return [APT_HELPER, "cat-file"]
    if shutil.which("lz4"):
        return ["lz4", "-dc"]
    raise BuildError("no tool here opens .lz4. Install `lz4`, or give the .xz or .gz index.")


def _run(*command: str) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def read_index(packages: Path, release: Release) -> str:
    """The text of the index, once it is known to be the one the release file lists.

    Raises:
        BuildError: it is another one.
    """
    raw = read_bytes(packages)
    got = hashlib.sha256(raw).hexdigest()
    if got != release.index_sha256:
        raise BuildError(
            f"{packages}: the index is not the one of the release file of {release.date}; "
            f"expected SHA-256 {release.index_sha256}; got {got}. Fetch both again."
        )
    return _text(raw, packages)


def _text(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BuildError(f"{path}: expected UTF-8 text ({error}).") from error


def write_parquet(pairs: Iterable[Edge], release: Release, out: Path) -> None:
    """Two string columns, `user` and `item`, sorted; written beside `out` and renamed.

    Users repeat only in runs, which zstd folds better as plain strings; items repeat all over, so
    they are better as codes into a dictionary. Measured on this data at level 19: 303 kB so,
    347 kB with dictionaries for both, 384 kB with none, 451 and 546 kB with the two delta
    encodings of strings. Neither statistics nor an Arrow schema is stored: strings need neither.
    """
    rows = sorted(pairs)
    table = pa.table(
        {
            "user": pa.array([user for user, _ in rows], pa.string()),
            "item": pa.array([item for _, item in rows], pa.string()),
        }
    )
    beside = out.with_name(out.name + ".part")
    with pq.ParquetWriter(
        beside,
        table.schema,
        compression="zstd",
        compression_level=19,
        use_dictionary=["item"],  # type: ignore[arg-type]  # the stubs know only a bool
        write_statistics=False,
        store_schema=False,
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(
            {
                "release": release.title,
                "date": release.date,
                "index_sha256": release.index_sha256,
                "rules": RULES_SENTENCE,
            }
        )
    beside.replace(out)


# The command ---------------------------------------------------------------------------------


def summary(pairs: set[Edge], top: int = 10) -> str:
    """Counts and the most needed items, one a line."""
    users = {user for user, _ in pairs}
    items = Counter(item for _, item in pairs)
    most = sorted(items.items(), key=lambda entry: (-entry[1], entry[0]))[:top]
    lines = [f"users {len(users):,}", f"items {len(items):,}", f"pairs {len(pairs):,}"]
    return "\n".join(lines + [f"{count:>7,} {name}" for name, count in most])


def survey(text: str) -> str:
    """A Markdown table of the 5-core under other fields and other choices of alternatives."""
    depends, pre, recommends = RULES.fields
    choices = (
        (depends,),
        (depends, pre),
        (depends, recommends),
        RULES.fields,
        (*RULES.fields, "Suggests"),
    )
    packages = parse_index(text, choices[-1])
    lines = ["| fields | alternatives | users | items | pairs |", "|---|---|--:|--:|--:|"]
    for fields in choices:
        for which in Alternatives:
            pairs = k_core(edges(packages, Rules(fields, which)), RULES.core)
            counts = (len({u for u, _ in pairs}), len({i for _, i in pairs}), len(pairs))
            cells = [", ".join(fields), which.value, *(f"{count:,}" for count in counts)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Rebuild the built-in data set `debian` from Debian 12's package index.",
        epilog="Without --packages, the lists that `apt-get update` left on Debian 12 are read.",
    )
    parser.add_argument(
        "--packages", type=Path, help="the index main/binary-amd64/Packages[.xz|.gz|.lz4]"
    )
    parser.add_argument("--release", type=Path, help="the InRelease or Release file beside it")
    parser.add_argument("--out", type=Path, default=OUT, help="the parquet file to write")
    parser.add_argument(
        "--survey", action="store_true", help="print what other rules would give; write nothing"
    )
    options = parser.parse_args(arguments)
    if (options.packages is None) != (options.release is None):
        parser.error("--packages and --release go together: give both or neither")
    return options


def build(options: argparse.Namespace) -> str:
    """Do what the options ask; what to print is returned."""
    given = (options.packages, options.release)
    packages, release_file = find_lists() if options.packages is None else given
    release = parse_release(_text(read_bytes(release_file), release_file))
    text = read_index(packages, release)
    if options.survey:
        return survey(text)
    pairs = k_core(edges(parse_index(text)), RULES.core)
    if not pairs:
        raise BuildError(f"{packages}: no {RULES.core}-core in this index. Is it whole?")
    write_parquet(pairs, release, options.out)
    size = options.out.stat().st_size
    return f"{release.title}, {release.date}\n{summary(pairs)}\nbytes {size:,}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parse_arguments(arguments)
    try:
        print(build(options))
    except (BuildError, OSError) as error:
        print(f"build_debian: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
