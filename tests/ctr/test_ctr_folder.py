"""The folder of a model of clicks: whole or refused, each way by its words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctr_cases import TEST, TRAIN, fitted, recipe
from safetensors.numpy import load_file, save_file

from hashrec.ctr import CtrModel, load_ctr
from hashrec.ctr_folder import check_ctr_target, is_ctr, open_ctr
from hashrec.errors import ModelError, OutputError
from hashrec.folder import _digest_of, _sha256

MODEL = fitted("wide-deep", "double-graph")
DAMAGED = "the model of clicks is damaged"
FILES = ("arrays.safetensors", "words.parquet", "known.parquet", "buckets.parquet", "buckets.json",
         "buckets.safetensors")  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ctr") / "model"
    sizes = MODEL.save(folder)
    assert sizes == {file.name: file.stat().st_size for file in folder.iterdir()}
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The manifest changed, with its sums made right again."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    for name, about in manifest["files"].items():
        about.update(bytes=(folder / name).stat().st_size, sha256=_sha256(folder / name))
    manifest["checksum"] = _digest_of(manifest)
    path.write_text(json.dumps(manifest))


def test_it_is_opened_in_another_process_with_the_same_scores(whole: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from ctr_cases import TEST\n"
        "import hashrec as hr, numpy as np\n"
        "np.save(sys.argv[3], hr.load_ctr(sys.argv[1], verify=True).logits(TEST))"
    )
    place = tmp_path / "logits.npy"
    subprocess.run([sys.executable, "-c", code, whole, Path(__file__).parent, place], check=True)
    np.testing.assert_allclose(np.load(place), MODEL.logits(TEST), rtol=1e-5)


def test_the_header_is_read_without_torch(whole: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from hashrec.ctr_folder import is_ctr, open_ctr\n"
        "print(is_ctr(sys.argv[1]), open_ctr(sys.argv[1])[0]['recipe']['model']['name'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, whole], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True wide-deep\n"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_or_cut_is_damage(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1])
    with pytest.raises(
        ModelError, match=f"{name}: the model of clicks is damaged; expected .* byt"
    ):
        load_ctr(copy)
    (copy / name).unlink()
    with pytest.raises(
        ModelError, match=f"{name}: the model of clicks is damaged; expected a file"
    ):
        load_ctr(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_seen_when_sums_are_checked(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(
        ModelError, match=f"{name}: the model of clicks is damaged; expected sha256"
    ):
        load_ctr(copy, verify=True)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda header: header.pop("calibration"), "RecipeError.*calibration: field required"),
        (lambda header: header["recipe"].update(dim=5), "ValueError.*of shape"),
        (lambda header: header["recipe"].update(dims=5), "RecipeError.*unknown key dims"),
        (lambda header: header["vocabularies"].pop(), "ValueError|RuntimeError|KeyError"),
        (
            lambda header: header["scales"][0]["field"].update(kind="odd"),
            "'categorical', 'numeric'",
        ),
        (lambda header: header["scales"][0]["field"].update(kind="multi"), "numbers of the field"),
        (lambda header: header["vocabularies"][0].update(width=2), "words, 2 a row, of the field"),
        (lambda header: header["vocabularies"][0].update(width="2"), "valid integer"),
        (lambda header: header["calibration"].update(slope="a"), "valid number"),
        (lambda header: header["calibration"].update(slope=-1.0), "greater than 0"),
        (lambda header: header.update(columns={}), r"columns\.user: field required"),
        (lambda header: header.update(known=[]), "valid dictionary"),
        (lambda header: header.update(threshold="4"), "threshold"),
        (lambda header: header.update(separators={"genre": 1}), "separators.genre"),
    ],
)
def test_parts_that_make_no_sense_together_are_damage(
    copy: Path, change: Callable[[dict[str, Any]], None], got: str
) -> None:
    rewritten(copy, change)
    with pytest.raises(ModelError, match=f"parts as the format describes them; got .*({got})"):
        load_ctr(copy, verify=True)


def test_weights_that_are_missing_are_damage(copy: Path) -> None:
    path = copy / "arrays.safetensors"
    arrays = {name: one.copy() for name, one in load_file(path).items()}
    arrays.pop("weight.bias")
    save_file(arrays, path)
    rewritten(copy, lambda header: None)
    with pytest.raises(ModelError, match="weight.bias"):
        load_ctr(copy, verify=True)


def test_what_is_no_such_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="this is no model of clicks folder; .* `hashrec fit-ctr"):
        load_ctr(tmp_path)
    assert not is_ctr(tmp_path) and not is_ctr(tmp_path / "nothing")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="something that is no model of clicks stands there"):
        check_ctr_target(tmp_path)
    with pytest.raises(OutputError, match="something that is no model of clicks stands there"):
        MODEL.save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_newer_format_says_what_to_do(copy: Path) -> None:
    rewritten(copy, lambda header: header.update(format_version=9))
    with pytest.raises(ModelError, match="of another format; expected format version 2; got 9"):
        load_ctr(copy)


def test_a_model_without_ids_is_a_folder_without_buckets(tmp_path: Path) -> None:
    fields = tuple(one for one in TRAIN.fields if one.owner == "row")
    nobody = replace(TRAIN, users=None, user=None, items=None, item=None, sides={}, fields=fields)
    made = CtrModel(recipe("auto-int")).fit(nobody, epochs=1)
    made.save(tmp_path / "fields")
    assert is_ctr(tmp_path / "fields")
    assert sorted(one.name for one in (tmp_path / "fields").iterdir()) == [
        "arrays.safetensors", "known.parquet", "manifest.json", "words.parquet",
    ]  # fmt: skip
    assert (load_ctr(tmp_path / "fields", verify=True).logits(nobody) == made.logits(nobody)).all()
    header, _ = open_ctr(tmp_path / "fields", verify=True)
    assert header["sizes"]["table_rows"] == 0
    MODEL.save(tmp_path / "fields")  # a model of one kind may take the place of the other
    assert (load_ctr(tmp_path / "fields").logits(TEST) == MODEL.logits(TEST)).all()


def test_hashed_words_and_every_option_survive(tmp_path: Path) -> None:
    asked = recipe(
        {"name": "dcn", "rank": 2}, "pyramid", fields={"max_rows": 4, "numeric": "log"},
        edges="positive", training={"negatives": 0.5},
    )  # fmt: skip
    made = CtrModel(asked).fit(replace(TRAIN, separators={"tags": ";"}), epochs=1)
    made.save(tmp_path / "model")
    again = load_ctr(tmp_path / "model", verify=True)
    assert again.recipe == asked and again.fitted.schema.separators == {"tags": ";"}
    assert (again.logits(TEST) == made.logits(TEST)).all()
    assert len(again.fitted.predictor.inputs.words.weight) < made.fitted.schema.n_tokens
