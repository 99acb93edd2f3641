"""Putting a folder in place of another: by one system call, and without it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hashrec import swap
from hashrec.swap import swap_in


def folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "file").write_text(content, encoding="utf-8")
    return path


def content(path: Path) -> str:
    return (path / "file").read_text(encoding="utf-8")


@pytest.fixture(params=["one call", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "two renames":
        monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    elif not sys.platform.startswith("linux"):
        pytest.skip("only Linux exchanges two names in one call")
    return str(request.param)


def test_a_new_name_is_simply_taken(tmp_path: Path, way: str) -> None:
    new, target = folder(tmp_path / "new", "fresh"), tmp_path / "target"
    swap_in(new, target)
    assert content(target) == "fresh"
    assert not new.exists()


def test_the_old_folder_changes_places_with_the_new(tmp_path: Path, way: str) -> None:
    new, target = folder(tmp_path / "new", "fresh"), folder(tmp_path / "target", "stale")
    swap_in(new, target)
    assert (content(target), content(new)) == ("fresh", "stale")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["new", "target"]


def test_what_stood_there_stands_again_where_the_new_cannot_come(tmp_path: Path, way: str) -> None:
    target = folder(tmp_path / "target", "stale")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        swap_in(tmp_path / "nowhere", target)
    assert content(target) == "stale"
    assert [entry.name for entry in tmp_path.iterdir()] == ["target"]


def test_linux_needs_no_moment_without_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the system call nothing is renamed, so there is no instant in which a reader fails."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux exchanges two names in one call")
    new, target = folder(tmp_path / "new", "fresh"), folder(tmp_path / "target", "stale")

    def refuse(self: Path, other: Path) -> Path:
        raise AssertionError(f"renamed {self} to {other}")

    monkeypatch.setattr(Path, "rename", refuse)
    swap_in(new, target)
    assert content(target) == "fresh"


def test_other_systems_are_not_asked_for_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert swap._exchange(tmp_path, tmp_path) is False
