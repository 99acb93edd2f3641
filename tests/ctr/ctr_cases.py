"""What the tests of models of clicks share: small planted impressions, and recipes for them."""

from __future__ import annotations

from typing import Any

from hashrec.bucketing import METHODS
from hashrec.ctr import MODELS, CtrModel, CtrRecipe
from hashrec.impressions import Impressions, planted_impressions

__all__ = ["LOG", "MODELS", "REST", "TABLES", "TEST", "TRAIN", "VALID", "fitted", "recipe"]

LOG = planted_impressions(1_500, users=60, items=40, communities=3, circles=2, seed=1)
REST, TEST = LOG.split({"name": "random", "test": 0.2, "seed": 0})
TRAIN, VALID = REST.split({"name": "random", "test": 0.2, "seed": 0})
TABLES = list(METHODS)


def recipe(model: Any = "dcn", method: str = "full", **more: Any) -> CtrRecipe:
    """A small model: 4 dimensions, one epoch unless said otherwise; `more` as in a recipe."""
    table = {"method": method} if method == "full" else {"method": method, "rows": 0.5}
    training = {"epochs": 1, "batch": 256, **more.pop("training", {})}
    options = {"model": model, "dim": 4, "table": table, "training": training}
    return CtrRecipe.from_dict({**options, **more})


def fitted(
    model: Any = "dcn", method: str = "full", log: Impressions = TRAIN, **more: Any
) -> CtrModel:
    """Trained on the train part, watched on the valid part."""
    return CtrModel(recipe(model, method, **more)).fit(log, VALID)
