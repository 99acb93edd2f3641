"""The models of clicks by name. A new one is one file, and one line here."""

from __future__ import annotations

from hashrec.component import Registry
from hashrec.ctr.architecture import Architecture
from hashrec.ctr.auto_int import AutoInt
from hashrec.ctr.dcn import Dcn
from hashrec.ctr.deep_fm import DeepFm
from hashrec.ctr.dlrm import Dlrm
from hashrec.ctr.wide_deep import WideDeep

__all__ = ["MODELS"]

MODELS: Registry[Architecture] = Registry("model", WideDeep, Dlrm, Dcn, DeepFm, AutoInt)
