"""Encoders: what gives every user and every item a vector."""

from hashrec.component import Registry
from hashrec.encoders.base import Encoder, Encoding, FoldIn
from hashrec.encoders.spectral import Spectral

ENCODERS: Registry[Encoder] = Registry("encoder", Spectral)

__all__ = ["ENCODERS", "Encoder", "Encoding", "FoldIn", "Spectral"]
