"""Encoders: what gives every user and every item a vector."""

from hashrec.component import Registry
from hashrec.encoders.base import Encoder, Encoding, FoldIn
from hashrec.encoders.lightgcn import LightGcn
from hashrec.encoders.mf import Mf
from hashrec.encoders.neumf import NeuMf
from hashrec.encoders.spectral import Spectral
from hashrec.encoders.trained import TrainedEncoder
from hashrec.encoders.two_tower import TwoTower

ENCODERS: Registry[Encoder] = Registry("encoder", Spectral, Mf, NeuMf, LightGcn, TwoTower)

__all__ = [
    "ENCODERS", "Encoder", "Encoding", "FoldIn", "LightGcn", "Mf", "NeuMf", "Spectral",
    "TrainedEncoder", "TwoTower",
]  # fmt: skip
