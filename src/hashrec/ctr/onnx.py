"""A model of clicks as an ONNX graph: for runtimes without Python. Needs the extra `onnx`."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hashrec.ctr.calibration import Calibration
from hashrec.ctr.examples import Examples
from hashrec.errors import MissingExtraError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hashrec.ctr.fitted import CtrFitted

__all__ = ["NAMES", "Scores", "export", "inputs_of"]

Arrays = dict[str, npt.NDArray[Any]]

NAMES = ("user", "item", "tokens", "numbers")
_OUTPUT = "score"
_TOLERANCE = 1e-5
_ROWS = 300


class Scores(nn.Module):  # type: ignore[misc]
    """Calibrated chances instead of logits."""

    def __init__(self, predictor: Any, calibration: Calibration) -> None:
        super().__init__()
        self.predictor = predictor
        self.register_buffer("slope", torch.tensor([calibration.slope]))
        self.register_buffer("offset", torch.tensor([calibration.offset]))

    def forward(self, user: Any, item: Any, tokens: Any, numbers: Any) -> Any:
        logits = self.predictor(user, item, tokens, numbers)
        return torch.sigmoid(self.slope * logits + self.offset)


def export(fitted: CtrFitted, path: Path) -> Mapping[str, Any]:
    """Writes the graph; its assignments, its tables and the calibration of its logits are inside.

    Its inputs, for any number of rows: `user` and `item` (rows,) int64 positions in the tables, -1
    for ids never met; `tokens` (rows, places) int64; `numbers` (rows, q) float32, NaN where there
    is none. `CtrModel.onnx_inputs` makes all four; the exporter leaves out those that the model
    does not look at, so pass those that are among `session.get_inputs()`. Its output is `score`
    (rows,) float32.

    The graph is run by onnxruntime on rows of all tokens and of the unknown before it takes its
    place; returns `rows`, how many were compared, the `largest_difference` of their scores, and
    the graph's `bytes`.

    Raises MissingExtraError without the extra, OutputError where the file cannot be written.
    """
    runtime = _runtime()
    if not path.parent.is_dir():
        raise OutputError("the folder does not exist", name=str(path.parent), fix="make it first")
    module = Scores(fitted.predictor, fitted.calibration).eval().cpu()
    rows = _rows(fitted)
    staged = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        _write(module, tuple(map(torch.from_numpy, rows.values())), staged)
        worst = _compared(runtime, module, rows, staged)
        os.replace(staged, path)
    except OSError as fault:
        raise OutputError("the graph could not be written", name=str(path),
                          got=fault.strerror or str(fault)) from fault  # fmt: skip
    finally:
        with suppress(OSError):
            staged.unlink()
    return {"rows": _ROWS, "largest_difference": worst, "bytes": path.stat().st_size}


def inputs_of(examples: Examples) -> Arrays:
    """The arrays of `export`'s inputs by name."""
    return {
        "user": examples.user.astype(np.int64),
        "item": examples.item.astype(np.int64),
        "tokens": examples.tokens.astype(np.int64),
        "numbers": examples.numbers,
    }


def _runtime() -> Any:
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ModuleNotFoundError as fault:
        raise MissingExtraError(f"{fault.name} is not installed",
                                fix="run pip install 'hashrec[onnx]'") from fault  # fmt: skip
    assert onnx and onnxscript  # what torch's exporter needs
    return onnxruntime


def _write(module: Any, inputs: tuple[Any, ...], path: Path) -> None:
    rows = torch.export.Dim("rows", min=1)
    with _quiet():
        torch.onnx.export(
            module, inputs, str(path), dynamo=True, external_data=False, verbose=False,
            input_names=list(NAMES), output_names=[_OUTPUT],
            dynamic_shapes=({0: rows},) * len(NAMES),
        )  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter and what it calls warn of their own future, which is no concern of ours."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _rows(fitted: CtrFitted) -> Arrays:
    """Rows to compare: every id and token has its turn as far as they reach, with unknown ids,
    empty places and missing numbers among them."""
    rng = np.random.default_rng(0)
    schema, tables = fitted.schema, fitted.predictor.inputs.ids
    sizes = [table.shared.num_embeddings for table in tables] or [0, 0]
    places = [
        rng.integers(base, base + len(one), (_ROWS, one.width))
        * (rng.random((_ROWS, one.width)) < 0.9)
        for base, one in zip(schema.bases, schema.vocabularies, strict=True)
    ]
    numbers = rng.standard_normal((_ROWS, len(schema.scales))).astype(np.float32)
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    return {
        "user": rng.integers(-1, sizes[0], _ROWS),  # of no ids: -1 alone
        "item": rng.integers(-1, sizes[1], _ROWS),
        "tokens": np.concatenate(places, axis=1) if places else np.zeros((_ROWS, 0), np.int64),
        "numbers": numbers,
    }


def _compared(runtime: Any, module: Any, rows: Arrays, path: Path) -> float:
    """The largest difference between the graph's scores and the module's."""
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {one.name for one in session.get_inputs()}
    worst = 0.0
    for part in (slice(0, 1), slice(None)):
        some = {name: array[part] for name, array in rows.items()}
        with torch.inference_mode():
            ours = module(*map(torch.from_numpy, some.values())).numpy()
        (theirs,) = session.run([_OUTPUT], {key: some[key] for key in wanted})
        worst = max(worst, float(np.abs(ours - theirs).max()))
    if not worst <= _TOLERANCE:
        raise UsageError(
            "the exported graph gives other scores", expected=f"within {_TOLERANCE}",
            got=f"{worst}", fix="please report this, with the versions of torch and onnxruntime",
        )  # fmt: skip
    return worst
