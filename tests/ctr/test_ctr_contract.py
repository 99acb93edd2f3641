"""What every model promises on every table, over both registries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ctr_cases import MODELS, TABLES, TEST, TRAIN, fitted
from onnx import numpy_helper

from hashrec.ctr import CtrModel
from hashrec.ctr.examples import examples_of
from hashrec.ctr.onnx import Scores, inputs_of

every_model = pytest.mark.parametrize("model", list(MODELS))
every_table = pytest.mark.parametrize("method", TABLES)

_KNOWN: dict[tuple[str, str], CtrModel] = {}


def known(model: str, method: str) -> CtrModel:
    """Fitted once a process; no test changes it."""
    if (model, method) not in _KNOWN:
        _KNOWN[model, method] = fitted(model, method)
    return _KNOWN[model, method]


@every_table
@every_model
class TestOnEveryTable:
    def test_a_logit_a_row_all_finite_and_batches_do_not_matter(
        self, model: str, method: str
    ) -> None:
        made = known(model, method)
        whole = made.logits(TEST)
        assert whole.shape == (len(TEST),) and whole.dtype == np.float32
        assert np.isfinite(whole).all() and np.ptp(whole) > 0
        some = np.arange(0, len(TEST), 7)
        np.testing.assert_allclose(made.logits(TEST.take(some)), whole[some], rtol=1e-4, atol=1e-5)

    def test_every_weight_that_a_batch_looks_at_gets_a_gradient(
        self, model: str, method: str
    ) -> None:
        """A batch of everything, of which some is unknown: only rows of nobody may stay still."""
        made = known(model, method)
        fit = made.fitted
        module, made_rows = fit.predictor, fit.made
        examples = examples_of(TRAIN, fit.schema, made_rows)
        batch = examples.batch(slice(None), "cpu")
        user = torch.where(torch.arange(len(batch.user)) % 5 == 0, -1, batch.user)
        item = torch.where(torch.arange(len(batch.item)) % 7 == 0, -1, batch.item)
        module.zero_grad(set_to_none=True)
        module(user, item, batch.tokens, batch.numbers).square().sum().backward()
        for name, one in module.named_parameters():
            assert one.grad is not None, name
            assert torch.isfinite(one.grad).all(), name
            assert one.grad.abs().sum() > 0, name
        assert made_rows is not None
        for table, side in zip(module.inputs.ids, (made_rows.users, made_rows.items), strict=True):
            moved = table.shared.weight.grad.abs().sum(1) > 0
            assert not moved[torch.from_numpy(side.sizes == 0)].any()
        module.zero_grad(set_to_none=True)

    def test_saved_and_opened_it_scores_the_same_bits(
        self, model: str, method: str, tmp_path: Path
    ) -> None:
        made = known(model, method)
        made.save(tmp_path / "model")
        again = CtrModel.load(tmp_path / "model", verify=True)
        assert (again.logits(TEST) == made.logits(TEST)).all()
        assert again.recipe == made.recipe
        assert again.fitted.facts == made.fitted.facts

    def test_its_size_is_that_of_its_weights(self, model: str, method: str) -> None:
        fit = known(model, method).fitted
        assert fit.made is not None
        sizes = fit.sizes()
        assert sizes["table_rows"] == fit.made.rows + 2  # one row of the unknown a side
        assert sizes["parameters"] * 4 == sizes["parameter_bytes"]


@every_model
def test_an_exported_graph_gives_the_scores_of_the_model_on_every_table(
    model: str, tmp_path: Path
) -> None:
    """Exporting takes seconds, and tables of one build give one graph: it is exported once for
    each build, and filled with the weights of the other methods."""
    graphs: dict[Any, tuple[CtrModel, Any]] = {}
    for method in TABLES:
        made = known(model, method)
        build = _build_of(made)
        if build not in graphs:
            seen = made.export(tmp_path / "graph.onnx")
            assert seen["largest_difference"] <= 1e-5 and seen["rows"] > 100
            graphs[build] = made, onnx.load(tmp_path / "graph.onnx")
        fit = made.fitted
        rows = inputs_of(examples_of(TEST, fit.schema, fit.made))
        session = onnxruntime.InferenceSession(_filled(*graphs[build], made))
        (scores,) = session.run(["score"], rows)
        expected = 1 / (1 + np.exp(-made.logits(TEST).astype(np.float64)))
        np.testing.assert_allclose(scores, expected, atol=1e-5, err_msg=method)


def _build_of(made: CtrModel) -> Any:
    """All of a model's tables but their rows, how many make a vector, and who has which."""
    tables = [table.shared for table in made.fitted.predictor.inputs.ids]
    return tuple((t.combiner, t.bucket_weights is None, t.weight.shape[1]) for t in tables)


def _state(made: CtrModel) -> dict[str, Any]:
    state = Scores(made.fitted.predictor, made.fitted.calibration).state_dict()
    return {name: one.numpy() for name, one in state.items()}


def _filled(source: CtrModel, graph: Any, made: CtrModel) -> bytes:
    """The graph of `source` with the weights of `made`, whole or turned as they stand in it."""
    old, new, filled = _state(source), _state(made), set[str]()
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    for constant in copy.graph.initializer:
        held, name = numpy_helper.to_array(constant), constant.name
        if name in new:
            value = new[name]
        else:
            turned = [key for key in old if old[key].ndim == 2 and np.array_equal(old[key].T, held)]
            if not turned:
                continue
            (name,) = turned
            value = new[name].T.copy()
        constant.CopyFrom(numpy_helper.from_array(value, constant.name))
        filled.add(name)
    assert filled == set(new)
    return bytes(copy.SerializeToString())
