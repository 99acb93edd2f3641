"""Models of clicks: ranking models whose tables of users and items are shared rows. Needs torch.

model = CtrModel(CtrRecipe(model="dcn", table={"method": "graph", "rows": 0.25})).fit(log)
model.score("candidates.parquet")
"""

from __future__ import annotations

from hashrec.ctr import _require as _require
from hashrec.ctr.auto_int import AutoInt
from hashrec.ctr.dcn import Dcn
from hashrec.ctr.deep_fm import DeepFm
from hashrec.ctr.dlrm import Dlrm
from hashrec.ctr.model import CtrModel, load_ctr
from hashrec.ctr.models import MODELS
from hashrec.ctr.recipe import CtrRecipe, CtrTraining
from hashrec.ctr.wide_deep import WideDeep

__all__ = [
    "MODELS",
    "AutoInt",
    "CtrModel",
    "CtrRecipe",
    "CtrTraining",
    "Dcn",
    "DeepFm",
    "Dlrm",
    "WideDeep",
    "load_ctr",
]
