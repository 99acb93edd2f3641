"""DeepCTR-Torch's models of clicks, as sides of `bench ctr` where the library is installed."""

from __future__ import annotations

import importlib.util
import sys
import time
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.bucketing import Buckets
from hashrec.impressions import Schema

__all__ = ["PEER_MODELS", "Peer", "Settings", "peer_logits"]

# Ours, and the name of its class there. It has no DLRM.
_CLASSES = {"dcn": "DCN", "deep-fm": "DeepFM", "wide-deep": "WDL", "auto-int": "AutoInt"}
PEER_MODELS = tuple(_CLASSES) if importlib.util.find_spec("deepctr_torch") else ()

_AT_ONCE = 8_192
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """`scale`: deviation of first weights. `rate`: of Adam. `seed`: of every draw."""

    scale: float
    rate: float
    seed: int


@dataclass(frozen=True)
class Peer:
    """What the other side reached: logits of the test part, with the weights of its best epoch."""

    logits: Floats
    valid_auc: float
    epochs: int
    epochs_run: int
    parameters: int
    seconds: float


def peer_logits(
    model: str,
    schema: Schema,
    made: Buckets,
    parts: Sequence[Any],
    recipe: Any,
    settings: Settings,
) -> Peer:
    """Its model, with its own layers, initial weights, penalty and defaults but for the sizes,
    trained by a plain loop of Adam and stopped by valid AUC.

    Args:
        made: the rows of users and items, full. parts: examples of train, valid and test.
        recipe: of our model, for its sizes, batches, epochs and whether to calibrate.
    """
    import torch

    from hashrec.ctr.calibration import Calibration
    from hashrec.evaluation.binary import auc

    with torch.random.fork_rng(devices=[]):
        module = _module(model, schema, made, recipe, settings)
        tensors = [_stacked(part, schema) for part in parts]
        label = torch.from_numpy(parts[0].label)
        adam = torch.optim.Adam(module.parameters(), lr=settings.rate)
        best: dict[str, Any] = {"auc": -1.0}
        training, spent, epoch = recipe.training, 0.0, 0
        for epoch in range(1, training.epochs + 1):
            order = np.random.default_rng([settings.seed, epoch]).permutation(len(label))
            module.train()
            began = time.perf_counter()  # of steps alone, as ours are timed
            for first in range(0, len(order), training.batch):
                rows = torch.from_numpy(order[first : first + training.batch])
                adam.zero_grad()
                chances = module(tensors[0][rows]).squeeze(1)
                loss = torch.nn.functional.binary_cross_entropy(chances, label[rows])
                (loss + module.get_regularization_loss() / len(rows)).backward()
                adam.step()
            spent += time.perf_counter() - began
            found = auc(_chances(module, tensors[1]), parts[1].label)
            if found > best["auc"]:
                state = {name: one.clone() for name, one in module.state_dict().items()}
                best = {"auc": found, "epoch": epoch, "state": state}
            elif epoch - best["epoch"] >= training.patience:
                break
        module.load_state_dict(best["state"])
        valid, test = (_logits(_chances(module, rows)) for rows in tensors[1:])
    if training.calibrate:  # as ours are
        test = Calibration.of(valid, parts[1].label).applied(test)
    return Peer(
        test, best["auc"], best["epoch"], epoch,
        sum(one.numel() for one in module.parameters()), spent,
    )  # fmt: skip


def _module(model: str, schema: Schema, made: Buckets, recipe: Any, settings: Settings) -> Any:
    library = _imported()
    inputs, dim = library.inputs, recipe.dim

    def sparse(name: str, n: int) -> Any:
        return inputs.SparseFeat(name, vocabulary_size=n, embedding_dim=dim)

    # Its position 0 is empty in lists of words; elsewhere it is that of unknown ids.
    features = [sparse("user", len(made.users) + 1), sparse("item", len(made.items) + 1)]
    for number, one in enumerate(schema.vocabularies):
        feature = sparse(f"field {number}", len(one) + 1)
        if one.field.kind == "multi":
            feature = inputs.VarLenSparseFeat(feature, maxlen=one.width, combiner="mean")
        features.append(feature)
    features += [inputs.DenseFeat(f"number {at}", 1) for at in range(2 * len(schema.scales))]
    options: dict[str, Any] = {
        "dnn_hidden_units": recipe.model.hidden,
        "init_std": settings.scale,
        "seed": 1024 + settings.seed,
    }
    if model == "dcn":
        options |= {"cross_num": recipe.model.crosses, "cross_parameterization": "matrix"}
    return getattr(library.models, _CLASSES[model])(features, features, **options)


def _imported() -> Any:
    """The library, without the thread that asks a registry for newer versions on import."""
    if "deepctr_torch" not in sys.modules:
        quiet = types.ModuleType("deepctr_torch.utils")
        quiet.__dict__["check_version"] = lambda version: None
        sys.modules["deepctr_torch.utils"] = quiet
    import deepctr_torch.inputs
    import deepctr_torch.models

    return deepctr_torch


def _stacked(part: Any, schema: Schema) -> Any:
    """(n, columns) float32, as its models want all of it: ids, tokens, numbers. Tokens are counted
    from 1 in each field, 0 being an empty place."""
    import torch

    absent = np.isnan(part.numbers)
    numbers = np.where(absent, 0, part.numbers)
    before = np.repeat(np.array(schema.bases, np.int32) - 1, schema.widths)
    tokens = np.maximum(part.tokens - before, 0)
    columns = [part.user[:, None] + 1, part.item[:, None] + 1, tokens, numbers, absent]
    return torch.from_numpy(np.concatenate(columns, axis=1, dtype=np.float32))


def _logits(chances: Floats) -> Floats:
    kept = np.clip(chances.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(kept / (1 - kept)), dtype=np.float32)


def _chances(module: Any, rows: Any) -> Floats:
    import torch

    module.eval()
    with torch.inference_mode():
        parts = [module(part).squeeze(1) for part in rows.split(_AT_ONCE)]
    return np.asarray(torch.cat(parts).numpy())
