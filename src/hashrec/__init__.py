"""hashrec makes recommenders small and fast.

    import hashrec as hr

    data = hr.read("events.csv", user="user_id", item="item_id")
    train, test = data.split(hr.UserSplit(test=0.2, seed=0))
    model = hr.Recommender(hr.Recipe(encoder=hr.Spectral(dim=512))).fit(train)
    print(model.evaluate(test, k=[20, 50]))
    model.recommend(["ann"], k=10)

Names are loaded when first used, so importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Assignment": "bucketing",
    "BgchCodes": "hashing",
    "BigearCodes": "hashing",
    "Buckets": "bucketing",
    "Cleaning": "interactions",
    "Codes": "codes",
    "Csr": "csr",
    "FloatCodes": "codes",
    "HashGnnCodes": "hashing",
    "HashLgnCodes": "hashing",
    "HashedEmbedding": "training",
    "HashedEmbeddingBag": "training",
    "HashrecError": "errors",
    "HqCodes": "hashing",
    "IntCodes": "codes",
    "Interactions": "interactions",
    "IvfIndex": "search",
    "LastOut": "interactions",
    "LightGcn": "encoders",
    "Mf": "encoders",
    "NeuMf": "encoders",
    "RandomSplit": "interactions",
    "Recipe": "recipe",
    "Recommender": "recommender",
    "SignCodes": "codes",
    "Spectral": "encoders",
    "SteCodes": "hashing",
    "Table": "learning",
    "TimeSplit": "interactions",
    "Training": "learning",
    "TransformCodes": "codes",
    "TunedCodes": "hashing",
    "TwoStage": "search",
    "TwoTower": "encoders",
    "UserSplit": "interactions",
    "buckets": "bucketing",
    "compress": "training",
    "drift": "bucketing",
    "load": "recommender",
    "load_buckets": "bucketing",
    "find_threshold": "search",
    "load_index": "search",
    "open_index": "search",
    "planted": "interactions",
    "read": "interactions",
    "read_features": "interactions",
    "read_parts": "interactions",
    "save_buckets": "bucketing",
    "save_index": "search",
}

__all__ = [
    "Assignment",
    "BgchCodes",
    "BigearCodes",
    "Buckets",
    "Cleaning",
    "Codes",
    "Csr",
    "FloatCodes",
    "HashGnnCodes",
    "HashLgnCodes",
    "HashedEmbedding",
    "HashedEmbeddingBag",
    "HashrecError",
    "HqCodes",
    "IntCodes",
    "Interactions",
    "IvfIndex",
    "LastOut",
    "LightGcn",
    "Mf",
    "NeuMf",
    "RandomSplit",
    "Recipe",
    "Recommender",
    "SignCodes",
    "Spectral",
    "SteCodes",
    "Table",
    "TimeSplit",
    "Training",
    "TransformCodes",
    "TunedCodes",
    "TwoStage",
    "TwoTower",
    "UserSplit",
    "__version__",
    "buckets",
    "compress",
    "drift",
    "find_threshold",
    "load",
    "load_buckets",
    "load_index",
    "open_index",
    "planted",
    "read",
    "read_features",
    "read_parts",
    "save_buckets",
    "save_index",
]

if TYPE_CHECKING:
    from hashrec.bucketing import (
        Assignment,
        Buckets,
        buckets,
        drift,
        load_buckets,
        save_buckets,
    )
    from hashrec.codes import Codes, FloatCodes, IntCodes, SignCodes, TransformCodes
    from hashrec.csr import Csr
    from hashrec.encoders import LightGcn, Mf, NeuMf, Spectral, TwoTower
    from hashrec.errors import HashrecError
    from hashrec.hashing import (
        BgchCodes,
        BigearCodes,
        HashGnnCodes,
        HashLgnCodes,
        HqCodes,
        SteCodes,
        TunedCodes,
    )
    from hashrec.interactions import (
        Cleaning,
        Interactions,
        LastOut,
        RandomSplit,
        TimeSplit,
        UserSplit,
        planted,
        read,
        read_features,
        read_parts,
    )
    from hashrec.learning import Table, Training
    from hashrec.recipe import Recipe
    from hashrec.recommender import Recommender, load
    from hashrec.search import (
        IvfIndex,
        TwoStage,
        find_threshold,
        load_index,
        open_index,
        save_index,
    )
    from hashrec.training import HashedEmbedding, HashedEmbeddingBag, compress


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hashrec' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hashrec.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
