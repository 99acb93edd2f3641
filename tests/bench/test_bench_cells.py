"""The store of a long benchmark: what is found again, what is passed over, what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from hashrec.bench.cells import Cells
from hashrec.bench.graphhash import bench_graphhash
from hashrec.errors import DataError, UsageError
from hashrec.progress import SILENT


@dataclass(frozen=True)
class Cell:
    name: str
    seed: int = 0


ONE, TWO, THREE = Cell("one"), Cell("two"), Cell("one", seed=1)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cells.jsonl"


def measured(cells: Cells, *wanted: Cell) -> list[Cell]:
    """What is measured where `wanted` is asked for; the result is the length of its name."""
    seen: list[Cell] = []

    def measure(cell: Cell) -> dict[str, Any]:
        seen.append(cell)
        return {"length": len(cell.name)}

    cells.measure(wanted, measure, str, SILENT)
    return seen


def test_what_was_stored_is_found_at_the_next_start(store: Path) -> None:
    assert measured(Cells(store), ONE, TWO) == [ONE, TWO]
    again = Cells(store)
    assert measured(again, ONE, TWO, THREE) == [THREE]
    assert again.get(TWO) == {"length": 3}
    assert Cells(store).get(THREE) == {"length": 3}


def test_without_a_file_cells_are_kept_for_this_run(tmp_path: Path) -> None:
    cells = Cells(None)
    assert measured(cells, ONE) == [ONE]
    assert measured(cells, ONE) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_after_a_cut_line_new_cells_survive(store: Path, kept: int) -> None:
    """The next line must not be glued to what a kill has left of the last one; -1: a whole line
    without its end."""
    measured(Cells(store), ONE, TWO)
    first, second = store.read_text(encoding="utf-8").splitlines(keepends=True)
    store.write_text(first + second[:kept], encoding="utf-8")
    missing = [] if kept == -1 else [TWO]
    assert measured(Cells(store), ONE, TWO, THREE) == [*missing, THREE]
    assert measured(Cells(store), ONE, TWO, THREE) == []


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{}", b"null", b"[1]", b"3", b'"cell"', b'{"cell": {"name": "one", "seed": 0}}',
        b'{"cell": {"name": "one", "seed": 0}, "result": null}', b'{"cell": 1, "result": {}}',
        b'{"cell": {"name": "one", "seed": 0}, "result": 3}',
        b'{"cell": {"name": "one', b"\xff\xfe\x00", b"9" * 5000,
    ],
)  # fmt: skip
def test_lines_that_are_no_cells_are_passed_over(store: Path, line: bytes) -> None:
    """Bug: most of them ended in a traceback."""
    good = json.dumps({"cell": asdict(TWO), "result": {"length": 7}}).encode()
    store.write_bytes(line + b"\n" + good + b"\n" + line)
    cells = Cells(store)
    assert cells.get(TWO) == {"length": 7}
    assert measured(cells, ONE, TWO) == [ONE]
    assert Cells(store).get(ONE) == {"length": 3}


def test_the_order_of_keys_in_a_line_does_not_matter(store: Path) -> None:
    """A field may move in the class, and files are written by hand, too."""
    line = {"result": {"length": 9}, "cell": {"seed": 0, "name": "one"}}
    store.write_text(json.dumps(line) + "\n", encoding="utf-8")
    cells = Cells(store)
    assert cells.get(ONE) == {"length": 9}
    assert measured(cells, ONE) == []


def test_an_empty_result_is_not_measured_again_and_not_there(store: Path) -> None:
    seen: list[Cell] = []

    def measure(cell: Cell) -> dict[str, Any]:
        seen.append(cell)
        return {} if cell == ONE else {"length": 3}

    for _ in range(2):
        assert Cells(store).measure([ONE, TWO], measure, str, SILENT) == [TWO]
    assert seen == [ONE, TWO]
    assert Cells(store).get(ONE) == {}
    with pytest.raises(DataError, match="no cell is stored for this benchmark"):
        Cells(store).measure([ONE], measure, str, SILENT)


def test_stored_cells_alone(store: Path) -> None:
    """With `stored` nothing is measured, and what is there comes in the order asked for."""
    measured(Cells(store), TWO)

    def never(cell: Cell) -> dict[str, Any]:
        raise AssertionError(cell)

    found = Cells(store).measure([ONE, TWO, THREE], never, str, SILENT, stored=True)
    assert found == [TWO]
    words = r"cells\.jsonl: no cell is stored for this benchmark\. Run it without --stored"
    with pytest.raises(DataError, match=words):
        Cells(store).measure([ONE], never, str, SILENT, stored=True)


@pytest.mark.parametrize("place", [".", "none/cells.jsonl", "taken/cells.jsonl"])
def test_a_place_where_no_file_can_be_is_refused_before_anything_is_measured(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bug: a folder that does not exist was found out once the first cell had been trained."""
    (tmp_path / "taken").touch()
    monkeypatch.setattr("hashrec.bench.graphhash._measured", lambda *given: {"trained": 1})
    with pytest.raises(UsageError, match="cells cannot be stored there; expected .*a file") as told:
        bench_graphhash(
            data=None, quick=True, repeats=1, seed=0, progress=SILENT, store=tmp_path / place
        )
    assert told.value.name == str(tmp_path / place)
