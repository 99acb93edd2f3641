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
    "AutoInt": "ctr",
    "BgchCodes": "hashing",
    "BigearCodes": "hashing",
    "Buckets": "bucketing",
    "Cleaning": "interactions",
    "Codes": "codes",
    "Csr": "csr",
    "CtrModel": "ctr",
    "CtrRecipe": "ctr",
    "CtrTraining": "ctr",
    "Dcn": "ctr",
    "DeepFm": "ctr",
    "Dlrm": "ctr",
    "FloatCodes": "codes",
    "HashGnnCodes": "hashing",
    "HashLgnCodes": "hashing",
    "HashedEmbedding": "training",
    "HashedEmbeddingBag": "training",
    "HashrecError": "errors",
    "HqCodes": "hashing",
    "Impressions": "impressions",
    "IntCodes": "codes",
    "Interactions": "interactions",
    "IvfIndex": "search",
    "Kinds": "impressions",
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
    "WideDeep": "ctr",
    "buckets": "bucketing",
    "compress": "training",
    "drift": "bucketing",
    "find_threshold": "search",
    "load": "recommender",
    "load_buckets": "bucketing",
    "load_ctr": "ctr",
    "load_index": "search",
    "open_index": "search",
    "planted": "interactions",
    "planted_impressions": "impressions",
    "read": "interactions",
    "read_features": "interactions",
    "read_impressions": "impressions",
    "read_parts": "interactions",
    "retrieve_and_rank": "two_stage",
    "save_buckets": "bucketing",
    "save_index": "search",
}

__all__ = [
    "Assignment",
    "AutoInt",
    "BgchCodes",
    "BigearCodes",
    "Buckets",
    "Cleaning",
    "Codes",
    "Csr",
    "CtrModel",
    "CtrRecipe",
    "CtrTraining",
    "Dcn",
    "DeepFm",
    "Dlrm",
    "FloatCodes",
    "HashGnnCodes",
    "HashLgnCodes",
    "HashedEmbedding",
    "HashedEmbeddingBag",
    "HashrecError",
    "HqCodes",
    "Impressions",
    "IntCodes",
    "Interactions",
    "IvfIndex",
    "Kinds",
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
    "WideDeep",
    "__version__",
    "buckets",
    "compress",
    "drift",
    "find_threshold",
    "load",
    "load_buckets",
    "load_ctr",
    "load_index",
    "open_index",
    "planted",
    "planted_impressions",
    "read",
    "read_features",
    "read_impressions",
    "read_parts",
    "retrieve_and_rank",
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
    from hashrec.ctr import (
        AutoInt,
        CtrModel,
        CtrRecipe,
        CtrTraining,
        Dcn,
        DeepFm,
        Dlrm,
        WideDeep,
        load_ctr,
    )
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
    from hashrec.impressions import (
        Impressions,
        Kinds,
        planted_impressions,
        read_impressions,
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
    from hashrec.two_stage import retrieve_and_rank


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hashrec' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hashrec.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
