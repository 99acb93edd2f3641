"""Tables for people, and progress that keeps quiet until it is worth a line."""

from __future__ import annotations

import sys

import pytest

from hashrec.cli import listening
from hashrec.cli.listening import listener
from hashrec.cli.output import print_json, print_table


class Clock:
    """Time that passes when told to."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(listening, "time", clock)
    return clock


def test_numbers_stand_to_the_right_and_text_to_the_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(
        ["name", "score", "count"],
        [["a", 0.125, 9_999], ["longer", 1234.6, 10_000], ["日本", -1.0, 7]],
    )
    assert capsys.readouterr().out.splitlines() == [
        "name      score   count",
        "a        0.1250    9999",
        "longer    1,235  10,000",
        "日本      -1.0000       7",
    ]


def test_a_table_without_rows_is_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["user", "item"], [])
    assert capsys.readouterr().out == "user  item\n"


def test_json_keeps_unicode_readable(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"item": "日本"})
    assert capsys.readouterr().out == '{\n  "item": "日本"\n}\n'


def test_short_stages_are_silent_and_long_ones_say_a_line_now_and_then(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = listener()
    progress.start("search", 40_000)
    for _ in range(4):  # within the first second
        clock.now += 0.2
        progress.advance(1000)
    assert capsys.readouterr().err == ""
    for _ in range(11):  # a line at once, then none for ten seconds
        clock.now += 1
        progress.advance(1000)
    captured = capsys.readouterr()
    assert captured.err == "search: 5,000 of 40,000\nsearch: 15,000 of 40,000\n"
    assert captured.out == ""


def test_a_new_stage_counts_from_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = listener()
    progress.start("one", 10)
    progress.advance(9)
    progress.start("two", 10)
    clock.now += 2
    progress.advance(1)
    assert capsys.readouterr().err == "two: 1 of 10\n"


def test_a_terminal_gets_a_bar_that_goes_away(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = listener()
    progress.start("search", 3)
    progress.advance()
    assert progress._bar is None  # not for what is done within a second
    clock.now += 2
    progress.advance()
    assert progress._bar is not None
    progress.note("a line in between")
    assert progress._bar is None
    clock.now += 2
    progress.advance()
    assert progress._bar is None  # the last step needs none
    captured = capsys.readouterr()
    assert "a line in between" in captured.err
    assert captured.out == ""
