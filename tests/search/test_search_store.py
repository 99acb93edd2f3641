"""Indexes on disk: the same answers from a mapped file, and every way a folder can be wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_cases import KINDS, assert_same_hits, assert_same_top, case

from hashrec.codes import TransformCodes
from hashrec.errors import ModelError, OutputError, RecipeError
from hashrec.folder import _digest_of
from hashrec.search import IvfIndex, fast, ivf, load_index, open_index, save_index


@pytest.mark.parametrize("kind", list(KINDS))
def test_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    found = case(1, kind, "float32", n_items=120, n_queries=5, dim=13)
    index = open_index(found.items)
    sizes = save_index(index, tmp_path / "index")
    assert sum(sizes.values()) == sum(p.stat().st_size for p in (tmp_path / "index").iterdir())
    again = load_index(tmp_path / "index", verify=True)
    assert again.name == index.name
    assert not again.codes.data.flags.writeable
    expected = index.search(found.queries, 9, exclude=found.exclude)
    assert_same_top(again.search(found.queries, 9, exclude=found.exclude), expected)
    assert_same_hits(
        again.search_threshold(found.queries, 0.5), index.search_threshold(found.queries, 0.5)
    )
    assert load_index(tmp_path / "index", "exact").name == "exact"


def test_codes_in_a_basis(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((90, 12)).astype(np.float32)
    index = open_index(TransformCodes(bits=2.0).encode(vectors))
    save_index(index, tmp_path / "index")
    again = load_index(tmp_path / "index")
    assert_same_top(again.search(vectors[:7], 4), index.search(vectors[:7], 4))


def test_inverted_lists(tmp_path: Path) -> None:
    found = case(2, "sign", "float32", n_items=900, n_queries=5, dim=24)
    index = IvfIndex(found.items, 30, probes=4)
    save_index(index, tmp_path / "index")
    again = load_index(tmp_path / "index")
    assert isinstance(again, IvfIndex)
    assert again.probes == 4
    expected = index.search(found.queries, 9, exclude=found.exclude)
    assert_same_top(again.search(found.queries, 9, exclude=found.exclude), expected)
    assert load_index(tmp_path / "index", "ivf").name == "ivf"
    with pytest.raises(RecipeError, match="holds inverted lists; expected auto or an engine"):
        load_index(tmp_path / "index", "fast")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = case(3, "sign", "float32", n_items=300, n_queries=2, dim=16)
    save_index(IvfIndex(found.items, 10), tmp_path / "index")
    return tmp_path / "index"


def test_a_file_cut_short(folder: Path) -> None:
    arrays = folder / "arrays.safetensors"
    whole = arrays.read_bytes()
    for length in (0, 7, 100, len(whole) - 1):
        arrays.write_bytes(whole[:length])
        with pytest.raises(ModelError, match="the index is damaged; expected .* bytes; got"):
            load_index(folder)
    arrays.unlink()
    with pytest.raises(ModelError, match="the index is damaged; expected a file"):
        load_index(folder)


def test_a_flipped_byte_is_found_by_its_checksum(folder: Path) -> None:
    arrays = folder / "arrays.safetensors"
    whole = bytearray(arrays.read_bytes())
    whole[-1] ^= 1
    arrays.write_bytes(whole)
    with pytest.raises(ModelError, match="the index is damaged; expected sha256 .* save it again"):
        load_index(folder, verify=True)


def test_foreign_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match="this is no index folder; .* that hashrec.save_index wrote"
    ):
        load_index(tmp_path / "nothing")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["format"] = "hashrec-model"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="this is no hashrec index"):
        load_index(folder)
    index = open_index(case(3, "sign", "float32", n_items=3, n_queries=2, dim=16).items)
    with pytest.raises(
        OutputError, match="something that is no index stands there; expected .* an"
    ):
        save_index(index, folder)


@pytest.mark.parametrize("part", ["order", "offsets", "offsets fall", "items"])
def test_parts_that_do_not_fit(part: str, tmp_path: Path) -> None:
    found = case(4, "sign", "float32", n_items=50, n_queries=2, dim=8)
    index = IvfIndex(found.items, 5)
    lists = index.lists
    wrong = {
        "order": ("order", lists.order[:-1].copy()),
        "offsets": ("offsets", lists.offsets[:-1].copy()),
        "offsets fall": ("offsets", np.array([0, 20, 10, 30, 40, 50])),
        "items": ("codes", lists.codes.take(np.arange(49))),
    }[part]
    object.__setattr__(index if part == "items" else lists, *wrong)
    save_index(index, tmp_path / "index")
    with pytest.raises(ModelError, match="the index is damaged; expected parts as the format"):
        load_index(tmp_path / "index")


SHARING = """
import sys
import numpy as np
from hashrec.search import load_index

index = load_index(sys.argv[1])
top = index.search(np.ones((2, index.codes.dim), np.float32), 3)
print(top.positions.tolist())
"""


def test_another_process_gives_the_same(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHARING, str(folder)], capture_output=True, text=True, check=True
    )
    index = load_index(folder)
    ones = np.ones((2, 16), np.float32)
    assert done.stdout.strip() == str(index.search(ones, 3).positions.tolist())


def test_any_engine_over_flat_codes(folder: Path) -> None:
    """Or a refusal that does not call a good folder damaged."""
    found = case(5, "sign", "float32", n_items=40, n_queries=2, dim=16)
    flat = folder.parent / "flat"
    save_index(open_index(found.items), flat)
    for name in ("auto", "exact", "fast", "scan"):
        assert load_index(flat, name).name == (open_index(found.items, name).name)
    with pytest.raises(ValueError, match="matrix products need float codes"):
        load_index(flat, "dense")
    with pytest.raises(
        RecipeError, match="holds flat codes; expected auto or an engine .* got ivf"
    ):
        load_index(flat, "ivf")
    with pytest.raises(RecipeError, match="unknown engine 'faiss'"):
        load_index(flat, "faiss")


@pytest.mark.parametrize(
    "change",
    [
        {"lists": {"probes": 0}},
        {"lists": {"probes": "8"}},
        {"lists": {"probes": None}},
        {"codes": {"rotation": {"kind": "zzz", "dim": 16, "seed": 0}}},
        {"codes": {"rotation": {"kind": "orthogonal", "dim": 16, "seed": "x"}}},
        {"codes": {"rotation": {"kind": "orthogonal", "dim": 16, "seed": -1}}},
        {"codes": {"bits": 3}},
        {"items": 299},
    ],
    ids=str,
)
def test_a_manifest_that_makes_no_sense(change: dict[str, Any], folder: Path) -> None:
    """Its checksum is right: somebody wrote it so."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for part, value in change.items():
        manifest[part] = {**manifest[part], **value} if isinstance(value, dict) else value
    manifest["checksum"] = _digest_of(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="the index is damaged; expected parts as the format"):
        load_index(folder)


def test_an_order_that_names_others_is_refused(tmp_path: Path) -> None:
    """Bug: a search read where no item is."""
    found = case(4, "sign", "float32", n_items=50, n_queries=2, dim=8)
    index = IvfIndex(found.items, 5)
    index.lists.order[7] = 2**31 - 1
    save_index(index, tmp_path / "index")
    with pytest.raises(ModelError, match="the order of 50 items names others"):
        load_index(tmp_path / "index", verify=True)


def test_a_mapped_index_needs_no_kernels_of_its_own(tmp_path: Path) -> None:
    """Read-only arrays would be compiled for once more."""
    found = case(6, "sign", "float32", n_items=300, n_queries=2, dim=16)
    index = IvfIndex(found.items, 10)
    index.search(found.queries, 3)
    save_index(index, tmp_path / "index")
    kernels = (ivf._scan_lists, fast._scan_tiles)
    before = [len(one.signatures) for one in kernels]  # type: ignore[attr-defined]
    load_index(tmp_path / "index").search(found.queries, 3)
    assert [len(one.signatures) for one in kernels] == before  # type: ignore[attr-defined]
