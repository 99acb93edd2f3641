"""The exported graph: its inputs, its checks, and what becomes of a file that fails them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from ctr_cases import TEST, TRAIN, fitted, recipe
from test_ctr_model import CANDIDATES

from hashrec.ctr import CtrModel, onnx
from hashrec.errors import MissingExtraError, OutputError, UsageError

MODEL = fitted("dlrm", "double", fields={"max_rows": 5}, training={"negatives": 0.5})


def run(path: Path, inputs: Any) -> Any:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {one.name for one in session.get_inputs()}
    return session.run(["score"], {name: inputs[name] for name in wanted})[0]


def test_a_runtime_without_us_gives_the_scores_of_score(tmp_path: Path) -> None:
    seen = MODEL.export(tmp_path / "model.onnx")
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]
    assert seen["bytes"] == (tmp_path / "model.onnx").stat().st_size
    scores = run(tmp_path / "model.onnx", MODEL.onnx_inputs(CANDIDATES))
    np.testing.assert_allclose(scores, MODEL.score(CANDIDATES)["score"].to_numpy(), atol=1e-5)
    one = MODEL.onnx_inputs(CANDIDATES.slice(0, 1))
    assert run(tmp_path / "model.onnx", one).shape == (1,)
    one["user"][0] = one["item"][0] = -1
    assert 0 < run(tmp_path / "model.onnx", one)[0] < 1


def test_a_model_of_one_field_and_nobody_is_exported(tmp_path: Path) -> None:
    fields = tuple(one for one in TRAIN.fields if one.name == "hour")
    bare = replace(TEST, users=None, user=None, items=None, item=None, sides={}, fields=fields)
    model = CtrModel(recipe("deep-fm")).fit(bare, epochs=1)
    model.export(tmp_path / "bare.onnx")
    hours = CANDIDATES.select(["hour"])
    scores = run(tmp_path / "bare.onnx", model.onnx_inputs(hours))
    np.testing.assert_allclose(scores, model.score(hours)["score"].to_numpy(), atol=1e-5)


def test_a_graph_that_gives_other_scores_does_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_text("the old one")
    monkeypatch.setattr(onnx, "_TOLERANCE", -1.0)
    monkeypatch.setattr(onnx, "_write", lambda module, inputs, path: another_graph(path))
    with pytest.raises(UsageError, match="the exported graph gives other scores; expected within"):
        MODEL.export(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_text() == "the old one"
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]


def another_graph(path: Path) -> None:
    """A graph of one sum, with the inputs of a real one: exporting would take seconds."""
    from onnx import TensorProto, helper, save

    rows = ("rows",)
    inputs = [
        helper.make_tensor_value_info("user", TensorProto.INT64, rows),
        helper.make_tensor_value_info("item", TensorProto.INT64, rows),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, rows)
    nodes = [
        helper.make_node("Add", ["user", "item"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["score"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(nodes, "sum", inputs, [output])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere: the folder does not exist. Make it first"):
        MODEL.export(tmp_path / "nowhere" / "model.onnx")


@pytest.mark.parametrize("name", ["onnx", "onnxruntime", "onnxscript"])
def test_without_the_extra_it_says_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    words = r"is not installed. Run pip install 'hashrec\[onnx\]'"
    with pytest.raises(MissingExtraError, match=words):
        MODEL.export(tmp_path / "model.onnx")
