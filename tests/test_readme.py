"""The README's Python lines run as they stand, and its figures stay within reach of the reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_python_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one Python block runs in an empty folder; what it made is then looked at."""
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)  # our own text, that is the point
    report, again = names["report"], names["again"]
    assert report.metrics["recall@20"] > 0.6  # type: ignore[attr-defined]
    assert (tmp_path / "model" / "manifest.json").is_file()
    row = again.recommend(["gedit"], k=1).to_pylist()  # type: ignore[attr-defined]
    assert [row[0]["user"], row[0]["rank"]] == ["gedit", 1]


def test_the_readme_stays_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 200


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
