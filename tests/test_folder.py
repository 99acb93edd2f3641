"""Folders of any kind: messages name what they are. What models go through: test_artifact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hashrec.errors import ModelError, OutputError
from hashrec.folder import Kind, map_arrays, write_arrays

KIND = Kind("atlas", "hashrec-atlas", 3, ("maps.safetensors",), "the cartographer", "draw it again")
ARRAYS = {"north": np.arange(6, dtype=np.int32).reshape(2, 3), "south": np.zeros(0, np.float32)}


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    KIND.write(
        tmp_path / "a", {"scale": 5}, {"maps.safetensors": lambda path: write_arrays(path, ARRAYS)}
    )
    return tmp_path / "a"


def test_there_and_back(atlas: Path) -> None:
    header, sizes = KIND.open(atlas, verify=True)
    assert header == {"scale": 5}
    assert set(sizes) == {"manifest.json", "maps.safetensors"}
    arrays = map_arrays(atlas / "maps.safetensors", KIND)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        name: array.tolist() for name, array in ARRAYS.items()
    }
    assert KIND.stands_at(atlas)
    assert not KIND.stands_at(atlas.parent)


def test_messages_name_the_kind(atlas: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="this is no atlas folder; .* that the cartographer wrote"):
        KIND.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match="something that is no atlas stands there; .* an atlas to"
    ):
        KIND.check_target(tmp_path / "file")
    maps = atlas / "maps.safetensors"
    maps.write_bytes(maps.read_bytes()[:-1])
    with pytest.raises(ModelError, match="the atlas is damaged; .* a copy or draw it again"):
        KIND.open(atlas)
    maps.write_bytes(b"x" * 8)
    with pytest.raises(ModelError, match="the atlas is damaged; expected a safetensors file"):
        map_arrays(maps, KIND)


def test_another_version_is_refused(atlas: Path) -> None:
    manifest = json.loads((atlas / "manifest.json").read_text())
    manifest["format_version"] = 4
    (atlas / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        ModelError, match="the atlas is of another format; expected format version 3"
    ):
        KIND.open(atlas)
