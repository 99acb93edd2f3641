"""`bench search` on sizes that take no time: every part, its rows, and the claims made of them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashrec.bench import search as bench
from hashrec.bench.peers import PEERS, binary_flat, fast_scan, flat_ip, implicit_top
from hashrec.bench.search_parts import PARTS, Case, Size, planted_items
from hashrec.bench.timing import alternate
from hashrec.cli.searches import draw_searches
from hashrec.progress import SILENT
from hashrec.search import open_index

SMALL = [
    Size("headline", 3_000, 8, k=10),
    Size("exact", 3_000, 8, k=10),
    Size("norms", 3_000, 8, k=10, scaled=True),
    Size("bits", 3_000, 8, 128, k=10),
    Size("bits", 3_000, 8, bits=4, k=10),
    Size("catalogue", 1_000, 8, k=10),
    Size("threshold", 3_000, 8, k=10),
    Size("filter", 3_000, 8, k=10),
    Size("open", 3_000, 8, k=10),
    Size("ivf, planted", 20_000, 8, k=10),
    Size("ivf, random", 20_000, 8, k=10),
    Size("all users", 0, 0, 16, k=5),
]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    store = tmp_path_factory.mktemp("search") / "cells.jsonl"
    asked: dict[str, Any] = {"data": "debian", "quick": True, "repeats": 1, "seed": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "_sizes", lambda quick, data: SMALL)
        made = bench.bench_search(**asked, progress=SILENT, store=store)
        patch.setattr(bench, "PARTS", {})  # a second run measures nothing
        assert bench.bench_search(**asked, progress=SILENT, store=store) == made
    return made


def rows_of(result: dict[str, Any], part: str) -> dict[str, dict[str, Any]]:
    return {row["engine"]: row for row in result["rows"] if row["part"] == part}


def test_every_part_has_rows_of_the_same_columns(result: dict[str, Any]) -> None:
    assert {row["part"] for row in result["rows"]} == set(PARTS)
    assert len({tuple(row) for row in result["rows"]}) == 1
    timed = [row for row in result["rows"] if row["median_ms"] is not None]
    assert all(0 < row["least_ms"] <= row["median_ms"] <= row["most_ms"] for row in timed)


def test_sides_of_the_headline(result: dict[str, Any]) -> None:
    rows = rows_of(result, "headline")
    ours = {"fast", "scan", "fast, 1-bit users", "scan, 1-bit users"}
    theirs = {"faiss fast scan", "faiss binary flat", "faiss flat ip"} if PEERS["faiss"] else set()
    assert set(rows) == ours | theirs | ({"implicit"} if PEERS["implicit"] else set())
    assert rows["fast"]["bytes_per_item"] == 8
    assert rows_of(result, "norms")["fast"]["bytes_per_item"] == 12
    assert 0 < rows["fast"]["p50_ms"] <= rows["fast"]["p99_ms"]
    if theirs:
        claimed = result["claims"]["fast_over_fastscan"]
        ratio = rows["faiss fast scan"]["median_ms"] / rows["fast"]["median_ms"]
        assert claimed == pytest.approx(ratio, abs=1e-4)


def test_claims(result: dict[str, Any]) -> None:
    claims = result["claims"]
    assert claims["exact_rows"] == 1
    assert claims["ivf_planted_recall"] >= 0.95
    assert claims["ivf_random_recall"] >= 0.95
    wanted = {"threshold_over_top", "open_s", "ivf_planted_over_fast", "ivf_random_over_fast",
              "all_users_s", "all_users_bits_s", "p50_ms", "p99_ms"}  # fmt: skip
    assert wanted <= set(claims)
    opened = rows_of(result, "open")["fast"]
    assert "0 kB not" in opened["note"]


def test_an_engine_that_is_wrong_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case.of(SMALL[1], 0)

    def wrong(codes: Any, engine: str = "auto") -> Any:
        taken = codes if engine == "exact" else Case.of(SMALL[1], 1).items
        return open_index(taken, engine)

    monkeypatch.setattr("hashrec.bench.search_parts.open_index", wrong)
    rows = PARTS["exact"](SMALL[1], seed=0, progress=SILENT)
    assert [row["exact_rows"] for row in rows] == [0, 0]
    assert len(case.items) == 3_000


def test_the_sizes_are_those_that_are_promised() -> None:
    full = bench._sizes(quick=False, data="gowalla")
    assert full[0] == Size("headline", 1_000_000, 256)
    assert Size("exact", 1_000_000, 1_000) in full
    assert {(size.dim, size.bits) for size in full if size.part == "bits"} == {
        (128, 1), (256, 1), (512, 1), (64, 2), (64, 4), (64, 8),
    }  # fmt: skip
    assert {size.items for size in full if size.part == "catalogue"} == {100_000, 10_000_000}
    assert {size.items for size in full if size.part.startswith("ivf")} == {10_000_000}
    assert full[-1] == Size("all users", 0, 0, 512, k=20)
    assert bench._sizes(quick=True, data=None)[0] == full[0]


@pytest.mark.skipif(not PEERS["faiss"], reason="needs faiss, the other side")
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_peers_search_the_same_codes(bits: int) -> None:
    size = Size("headline", 2_000, 8, bits=bits)
    case = Case.of(size, 0)
    floats = np.asarray(case.floats.data)
    ours = open_index(case.items).search(case.floats, 10)
    scores, found = flat_ip(case.items)(floats, 10)
    np.testing.assert_allclose(scores, ours.scores, rtol=1e-4)
    _, rough = fast_scan(case.items)(floats, 10)
    shared = [len(np.intersect1d(*pair)) for pair in zip(rough, found, strict=True)]
    assert np.mean(shared) > 8
    if bits == 1:
        distances, _ = binary_flat(case.items)(floats, 10)
        signs = open_index(case.items).search(case.signs, 10)
        assert (64 - 2 * distances == signs.scores).all()


@pytest.mark.skipif(not PEERS["implicit"], reason="needs implicit, the other side")
def test_implicit_searches_the_same_codes() -> None:
    case = Case.of(Size("headline", 2_000, 8), 0)
    found, _ = implicit_top(case.items.decode())(np.asarray(case.floats.data), 10)
    assert (found == open_index(case.items).search(case.floats, 10).positions).mean() > 0.95


def test_planted_items_lie_in_communities() -> None:
    items, users = planted_items(Size("ivf, planted", 5_000, 4), 10, 0.2, 0)
    top = open_index(items).search(users, 5)
    assert len(items) == 5_000
    vectors = items.restore()
    near = np.corrcoef(np.vstack([vectors[top.positions[0]], users.restore()[:1]]))
    assert near.min() > 0.6


def test_sides_that_are_run_twice_are_timed_once() -> None:
    told: list[str] = []
    sides = {name: lambda name=name: told.append(name) for name in "ab"}
    assert len(alternate(sides, 2, SILENT, twice=True)["a"].seconds) == 2
    assert "".join(told) == "aabb" * 3


def test_the_picture(result: dict[str, Any], tmp_path: Path) -> None:
    picture = draw_searches(result["rows"])
    root = ET.fromstring(picture)
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Users a second, by bits", "Users a second, by size", "fast", "128", "3,000"} <= {
        word for word in words if word
    }
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 10
    (fast, *_) = lines
    heights = [float(point.split(",")[1]) for point in (fast.get("points") or "").split()]
    assert len(heights) == 2
    assert all(40 < height < 325 for height in heights)
