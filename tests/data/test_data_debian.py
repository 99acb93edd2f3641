"""The built-in data set `debian` (src/hashrec/data) and the script that makes it (tools).

What the file must hold is read off its README and Debian's own index, never off the script; the
script is tested on stanzas written by hand.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import itertools
import lzma
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "src" / "hashrec" / "data"
PARQUET = DATA / "debian.parquet"
README = (DATA / "README.md").read_text(encoding="utf-8")

Edge = tuple[str, str]


def _pairs(table: pa.Table) -> list[Edge]:
    columns = (map(str, table[name].to_pylist()) for name in ("user", "item"))
    return list(zip(*columns, strict=True))


def _load_script() -> ModuleType:
    path = ROOT / "tools" / "build_debian.py"
    spec = importlib.util.spec_from_file_location("build_debian", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up here
    spec.loader.exec_module(module)
    return module


build_debian = _load_script()


# The file ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(PARQUET)


@pytest.fixture(scope="module")
def rows(table: pa.Table) -> list[Edge]:
    return _pairs(table)


def _readme_count(name: str) -> int:
    found = re.search(rf"^\| {name} \| ([\d,]+) \|$", README, re.MULTILINE)
    assert found is not None, f"the README's table has no row {name!r}"
    return int(found[1].replace(",", ""))


def _packing(path: Path) -> list[tuple[str, bool]]:
    """Compression, and whether statistics are there, for each column."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    return [(column.compression, column.is_stats_set) for column in columns]


class TestFile:
    def test_has_exactly_two_string_columns(self, table: pa.Table) -> None:
        assert table.column_names == ["user", "item"]
        assert table.schema.types == [pa.string(), pa.string()]
        assert table["user"].null_count == table["item"].null_count == 0

    def test_counts_are_those_of_the_readme(self, rows: list[Edge]) -> None:
        assert len({user for user, _ in rows}) == _readme_count("users")
        assert len({item for _, item in rows}) == _readme_count("items")
        assert len(rows) == _readme_count("pairs")
        assert PARQUET.stat().st_size == _readme_count("bytes")

    def test_counts_are_near_those_of_the_design(self) -> None:
        assert _readme_count("users") == pytest.approx(14_000, rel=0.05)
        assert _readme_count("items") == pytest.approx(4_500, rel=0.05)
        assert _readme_count("pairs") == pytest.approx(137_000, rel=0.05)

    def test_readme_prose_tells_the_popularity_and_the_overlap(self, rows: list[Edge]) -> None:
        items = Counter(item for _, item in rows)
        for name, count in re.findall(r"`([^`]+)`(?: is needed)?\s+by\s+([\d,]+)", README):
            assert items[name] == int(count.replace(",", "")), name
        named = re.findall(r"`([^`]+)`(?: is needed)?\s+by\s+[\d,]+", README)
        assert named == [name for name, _ in items.most_common(5)]
        both = len({user for user, _ in rows} & items.keys())
        assert f"{both:,} packages are both" in README

    def test_is_a_5_core(self, rows: list[Edge]) -> None:
        assert min(Counter(user for user, _ in rows).values()) == 5
        assert min(Counter(item for _, item in rows).values()) == 5

    def test_rows_ascend_so_none_comes_twice(self, rows: list[Edge]) -> None:
        assert all(before < after for before, after in itertools.pairwise(rows))

    def test_nothing_needs_itself(self, rows: list[Edge]) -> None:
        assert [user for user, item in rows if user == item] == []

    def test_names_are_package_names(self, rows: list[Edge]) -> None:
        """No version, qualifier, bar or blank has survived (Debian policy 5.6.1)."""
        wanted = re.compile(r"[a-z0-9][a-z0-9+.-]+")
        names = {name for pair in rows for name in pair}
        assert [name for name in sorted(names) if not wanted.fullmatch(name)] == []

    def test_is_small(self) -> None:
        assert PARQUET.stat().st_size < 500_000

    def test_is_zstd_without_statistics(self) -> None:
        assert _packing(PARQUET) == [("ZSTD", False)] * 2

    def test_metadata_tells_where_it_comes_from(self, table: pa.Table) -> None:
        raw = table.schema.metadata
        metadata = {key.decode(): value.decode() for key, value in raw.items()}
        assert sorted(metadata) == ["date", "index_sha256", "release", "rules"]
        assert metadata["release"] == "Debian 12 bookworm main amd64"
        assert metadata["rules"] == build_debian.RULES_SENTENCE
        assert metadata["date"] in README
        assert re.fullmatch(r"[0-9a-f]{64}", metadata["index_sha256"])

    def test_git_needs_what_debian_says_it_needs(self, rows: list[Edge]) -> None:
        """Left out: git-man (too few users), ssh-client (virtual), all that is only suggested."""
        needs = {item for user, item in rows if user == "git"}
        depends = "libc6 libcurl3-gnutls libexpat1 libpcre2-8-0 zlib1g perl liberror-perl"
        recommends = "ca-certificates patch less"
        assert needs == set(f"{depends} {recommends}".split())

    @pytest.mark.parametrize(
        ("user", "item"),
        [
            ("python3-pandas", "python3-numpy"),  # Depends
            ("python3-pandas", "python3-matplotlib"),  # Recommends
            ("0ad", "dpkg"),  # Pre-Depends
            ("openssh-server", "debconf"),  # `debconf (>= 0.5) | debconf-2.0`
        ],
    )
    def test_known_facts(self, rows: list[Edge], user: str, item: str) -> None:
        assert (user, item) in rows

    @pytest.mark.parametrize("name", ["debconf-2.0", "mail-transport-agent", "ssh-client"])
    def test_virtual_packages_are_no_items(self, rows: list[Edge], name: str) -> None:
        assert name not in {item for _, item in rows}

    def test_names_no_machine(self) -> None:
        """The folder is rebuilt by hand, so a path of the builder's could slip in."""
        for path in (PARQUET, DATA / "README.md", DATA / "__init__.py"):
            content = path.read_bytes()
            assert [root for root in (b"/home/", b"/work/", b"/tmp/") if root in content] == []


# The script: one rule a test, on stanzas written by hand --------------------------------------

STANZAS = """\
Package: editor
Version: 1:2.0-1
Depends: libc6 (>= 2.34), perl:any (>= 5.36), lib-a | lib-b,
 lib-c (= 1.0-1) [amd64],
\tlib-d <!nocheck>
Pre-Depends: dpkg (>= 1.15.6~)
Recommends: mta | postfix, editor-data (<< 2:3)
Suggests: manual
Description: an editor: with a colon
 and a second line

Package: editor-data
Depends: editor, editor-data:any (>= 1), libc6, libc6 (<< 3)

Package: libc6

Package: perl

Package: lib-a

Package: lib-b

Package: lib-c

Package: lib-d

Package: dpkg

Package: postfix
Provides: mta

Package: manual
"""


def _pairs_of(user: str, text: str = STANZAS, **rules: object) -> set[str]:
    chosen = build_debian.Rules(**rules)
    packages = build_debian.parse_index(text, chosen.fields)
    return {item for name, item in build_debian.edges(packages, chosen) if name == user}


class TestStanzas:
    def test_blank_lines_separate_and_indented_lines_continue(self) -> None:
        lines = ["A: 1,", " 2,", "\t3", "", " \t", "B:", "C: x: y"]
        stanzas = list(build_debian.parse_stanzas(lines))
        assert stanzas == [{"a": "1,\n2,\n3"}, {"b": "", "c": "x: y"}]

    def test_nothing_gives_nothing(self) -> None:
        assert list(build_debian.parse_stanzas(["", ""])) == []

    def test_only_blanks_and_tabs_are_white(self) -> None:
        """Unicode's line and page breaks inside a description once ended the stanza."""
        text = "Package: ab\nDescription: one\u2028two\x0cthree\n \u00a0\nDepends: cd"
        (package,) = build_debian.parse_index(text)
        assert package.needs == {"Depends": (("cd",),)}

    @pytest.mark.parametrize("line", ["no field", " continues nothing", " no: field"])
    def test_other_lines_are_refused_by_number(self, line: str) -> None:
        with pytest.raises(build_debian.BuildError, match=r"line 3: expected `Field: value`"):
            list(build_debian.parse_stanzas(["A: 1", "", line]))

    def test_a_field_that_comes_twice_is_refused(self) -> None:
        with pytest.raises(build_debian.BuildError, match=r"line 2: the field 'a' comes twice"):
            list(build_debian.parse_stanzas(["A: 1", "a: 2"]))


class TestRelations:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("", ()),
            ("libc6", (("libc6",),)),
            ("libstdc++6 (>= 12)", (("libstdc++6",),)),
            ("libc6(>=2.34)", (("libc6",),)),
            ("python3:any", (("python3",),)),
            ("gcc-12:amd64 (= 12.2.0-14)", (("gcc-12",),)),
            ("a0 [amd64 !i386]", (("a0",),)),
            ("a0 (>= 1) [amd64] <!nocheck> <cross>", (("a0",),)),
            ("aa | bb (>= 1)|cc:any", (("aa", "bb", "cc"),)),
            ("aa, bb,\n  cc", (("aa",), ("bb",), ("cc",))),
            ("aa,", (("aa",),)),
        ],
    )
    def test_only_names_remain(self, text: str, wanted: tuple[tuple[str, ...], ...]) -> None:
        assert build_debian.parse_relations(text) == wanted

    @pytest.mark.parametrize("text", ["aa bb", "aa |", "(>= 1)", "aa (>= 1", "aa, -b", "aa:"])
    def test_what_is_no_relationship_is_refused(self, text: str) -> None:
        with pytest.raises(build_debian.BuildError, match="not a relationship"):
            build_debian.parse_relations(text)


class TestEdges:
    def test_the_rules_of_the_data_set(self) -> None:
        """`mta` is virtual, so `mta | postfix` gives nothing; `manual` is only suggested."""
        wanted = {"libc6", "perl", "lib-a", "lib-c", "lib-d", "dpkg", "editor-data"}
        assert _pairs_of("editor") == wanted

    def test_no_need_of_itself_and_each_pair_once(self) -> None:
        packages = build_debian.parse_index(STANZAS)
        pairs = sorted(pair for pair in build_debian.edges(packages) if pair[0] == "editor-data")
        assert pairs == [("editor-data", "editor"), ("editor-data", "libc6")]

    @pytest.mark.parametrize(
        ("field", "wanted"),
        [
            ("Depends", {"libc6", "perl", "lib-a", "lib-c", "lib-d"}),
            ("Pre-Depends", {"dpkg"}),
            ("Recommends", {"editor-data"}),
            ("Suggests", {"manual"}),
        ],
    )
    def test_one_field_at_a_time(self, field: str, wanted: set[str]) -> None:
        assert _pairs_of("editor", fields=(field,)) == wanted

    def test_field_names_have_no_case(self) -> None:
        text = "Package: ab\nPRE-depends: cd\n\npackage: cd\n"
        assert _pairs_of("ab", text) == {"cd"}

    def test_first_real_passes_over_virtual_packages(self) -> None:
        got = _pairs_of("editor", alternatives=build_debian.Alternatives.FIRST_REAL)
        assert got == _pairs_of("editor") | {"postfix"}

    def test_all_takes_every_real_alternative(self) -> None:
        got = _pairs_of("editor", alternatives=build_debian.Alternatives.ALL)
        assert got == _pairs_of("editor") | {"postfix", "lib-b"}

    def test_two_versions_of_a_package_have_the_needs_of_both(self) -> None:
        two = "Package: ab\nDepends: cd\n\nPackage: ab\nDepends: ef\n"
        text = f"{two}\nPackage: cd\n\nPackage: ef\n"
        assert _pairs_of("ab", text) == {"cd", "ef"}

    def test_an_empty_index_is_refused(self) -> None:
        with pytest.raises(build_debian.BuildError, match="the index is empty"):
            build_debian.parse_index("\n\n")

    def test_a_stanza_without_a_name_is_refused(self) -> None:
        with pytest.raises(build_debian.BuildError, match="stanza 2 has no `Package` field"):
            build_debian.parse_index("Package: ab\n\nDepends: ab\n")


class TestCore:
    def test_leaves_go_until_none_is_left(self) -> None:
        """u3 has one item; without it i3 has one user; without that u4 has one item."""
        square = {("u1", "i1"), ("u1", "i2"), ("u2", "i1"), ("u2", "i2")}
        chain = {("u3", "i3"), ("u4", "i3"), ("u4", "i1")}
        assert build_debian.k_core(square | chain, 2) == square

    def test_a_core_stays_and_nothing_gives_nothing(self) -> None:
        square = {("u1", "i1"), ("u1", "i2"), ("u2", "i1"), ("u2", "i2")}
        assert build_debian.k_core(square, 2) == square
        assert build_debian.k_core(square, 3) == set()
        assert build_debian.k_core(set(), 5) == set()

    def test_users_and_items_of_one_name_are_not_one(self) -> None:
        """A package is counted apart as one that needs and as one that is needed."""
        assert build_debian.k_core({("ab", "cd"), ("ef", "ab")}, 2) == set()


# The script, whole: a toy archive with a 5-core in it ------------------------------------------

USERS = [f"app{n}" for n in range(5)]
ITEMS = [f"lib{n}" for n in range(5)]
INDEX = "\n".join(
    [f"Package: {user}\nDepends: {', '.join(ITEMS)}, rare\n" for user in USERS[:4]]
    + [f"Package: {USERS[4]}\nDepends: {', '.join(reversed(ITEMS))}\n"]
    + [f"Package: {name}\n" for name in [*ITEMS, "rare"]]
)
DATE = "Sat, 01 Jan 2000 00:00:00 UTC"


def _release(index: str = INDEX, codename: str = "bookworm", date: str = f"Date: {DATE}\n") -> str:
    return (
        f"Origin: Debian\nVersion: 12.9\nCodename: {codename}\n{date}"
        "MD5Sum:\n 00 0 main/binary-amd64/Packages\n"
        "SHA256:\n 11 1 main/binary-arm64/Packages\n"
        f" {hashlib.sha256(index.encode()).hexdigest()} {len(index)} main/binary-amd64/Packages\n"
        " 22 2 main/binary-amd64/Packages.xz\n"
    )


def _signed(release: str) -> str:
    return (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{release}"
        "-----BEGIN PGP SIGNATURE-----\n\niQIz+no/field==\n-----END PGP SIGNATURE-----\n"
    )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "Packages").write_text(INDEX, encoding="utf-8")
    (tmp_path / "InRelease").write_text(_signed(_release()), encoding="utf-8")
    return tmp_path


def _build(folder: Path, *more: str, packages: str = "Packages", out: str = "out.parquet") -> int:
    paths = ["--packages", folder / packages, "--release", folder / "InRelease"]
    status = build_debian.main([str(part) for part in [*paths, "--out", folder / out, *more]])
    assert isinstance(status, int)
    return status


class TestRelease:
    @pytest.mark.parametrize("wrap", [str, _signed])
    def test_reads_plain_and_signed(self, wrap: Callable[[str], str]) -> None:
        got = build_debian.parse_release(wrap(_release()))
        digest = hashlib.sha256(INDEX.encode()).hexdigest()
        assert got == build_debian.Release("Debian 12 bookworm main amd64", DATE, digest)

    def test_another_release_is_refused(self) -> None:
        with pytest.raises(build_debian.BuildError, match="expected 'bookworm'; got 'trixie'"):
            build_debian.parse_release(_release(codename="trixie"))

    def test_what_is_missing_is_named(self) -> None:
        with pytest.raises(build_debian.BuildError, match=r"lacks \['date'\]"):
            build_debian.parse_release(_release(date=""))
        without_index = _release().replace("main/binary-amd64/Packages\n", "other\n")
        with pytest.raises(build_debian.BuildError, match=r"lacks \['SHA256 of main/binary-amd64"):
            build_debian.parse_release(without_index)


class TestCommand:
    def test_writes_the_core_and_says_what_it_wrote(
        self, archive: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert _build(archive) == 0
        got = pq.read_table(archive / "out.parquet")
        assert _pairs(got) == [(user, item) for user in USERS for item in ITEMS]
        assert got.schema.metadata[b"date"] == DATE.encode()
        assert _packing(archive / "out.parquet") == [("ZSTD", False)] * 2
        printed = capsys.readouterr().out
        size = (archive / "out.parquet").stat().st_size
        assert printed.splitlines()[0] == f"Debian 12 bookworm main amd64, {DATE}"
        assert "users 5\nitems 5\npairs 25\n      5 lib0\n" in printed
        assert printed.endswith(f"bytes {size:,}\n")

    def test_same_index_same_bytes_whatever_its_wrapping(self, archive: Path) -> None:
        raw = INDEX.encode()
        (archive / "Packages.gz").write_bytes(gzip.compress(raw, mtime=0))
        (archive / "Packages.xz").write_bytes(lzma.compress(raw))
        names = ["Packages", "Packages.gz", "Packages.xz"]
        for name in names:
            assert _build(archive, packages=name, out=f"{name}.parquet") == 0
        assert len({(archive / f"{name}.parquet").read_bytes() for name in names}) == 1
        assert list(archive.glob("*.part")) == []

    @pytest.mark.skipif(shutil.which("lz4") is None, reason="needs the lz4 tool to pack an index")
    def test_opens_lz4_as_apt_leaves_it(self, archive: Path) -> None:
        packed = archive / "Packages.lz4"
        subprocess.run(["lz4", "-q", archive / "Packages", packed], check=True)
        assert build_debian.read_bytes(packed) == INDEX.encode()

    def test_lz4_without_a_tool_says_what_to_install(
        self, archive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda _name: None)
        with pytest.raises(build_debian.BuildError, match="Install `lz4`"):
            build_debian.read_bytes(archive / "Packages.lz4")

    def test_an_index_of_another_date_is_refused(
        self, archive: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (archive / "Packages").write_text(INDEX + "\n\nPackage: new\n", encoding="utf-8")
        assert _build(archive) == 2
        assert "is not the one of the release file" in capsys.readouterr().err
        assert not (archive / "out.parquet").exists()

    @pytest.mark.parametrize("name", ["absent", "bad.gz", "bad.xz"])
    def test_a_file_that_cannot_be_read_is_named(
        self, archive: Path, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if name != "absent":
            (archive / name).write_bytes(b"not compressed")
        assert _build(archive, packages=name) == 2
        message = capsys.readouterr().err
        assert message.startswith("build_debian: ")
        assert f"{name}: cannot be read" in message

    def test_an_index_without_a_core_is_refused(
        self, archive: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (archive / "Packages").write_text("Package: ab\n", encoding="utf-8")
        (archive / "InRelease").write_text(_release("Package: ab\n"), encoding="utf-8")
        assert _build(archive) == 2
        assert "no 5-core in this index" in capsys.readouterr().err

    def test_survey_prints_and_writes_nothing(
        self, archive: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert _build(archive, "--survey") == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2 + 5 * 3
        assert lines[2] == "| Depends | first | 5 | 5 | 25 |"
        assert not (archive / "out.parquet").exists()

    def test_packages_and_release_go_together(self, archive: Path) -> None:
        with pytest.raises(SystemExit) as stopped:
            build_debian.main(["--packages", str(archive / "Packages")])
        assert stopped.value.code == 2


class TestFindLists:
    HOST = "deb.example.org_debian"

    def _touch(self, folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).touch()

    def test_finds_the_index_and_not_its_neighbours(self, tmp_path: Path) -> None:
        index = f"{self.HOST}_dists_bookworm_main_binary-amd64_Packages.lz4"
        release = f"{self.HOST}_dists_bookworm_InRelease"
        self._touch(
            tmp_path,
            index,
            release,
            f"{self.HOST}_dists_bookworm-updates_main_binary-amd64_Packages.lz4",
            f"{self.HOST}-security_dists_bookworm-security_main_binary-amd64_Packages.lz4",
            f"{self.HOST}_dists_bookworm_contrib_binary-amd64_Packages.lz4",
        )
        assert build_debian.find_lists(tmp_path) == (tmp_path / index, tmp_path / release)

    def test_none_or_two_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(build_debian.BuildError, match=r"expected one .*; got 0"):
            build_debian.find_lists(tmp_path)
        names = [f"{n}_dists_bookworm_main_binary-amd64_Packages" for n in ("one", "two")]
        self._touch(tmp_path, *names)
        with pytest.raises(build_debian.BuildError, match=r"expected one .*; got 2"):
            build_debian.find_lists(tmp_path)

    def test_an_index_without_its_release_file_is_refused(self, tmp_path: Path) -> None:
        self._touch(tmp_path, f"{self.HOST}_dists_bookworm_main_binary-amd64_Packages")
        with pytest.raises(build_debian.BuildError, match="no InRelease or Release"):
            build_debian.find_lists(tmp_path)
