"""Codes: vectors of a few bits a dimension, and the coders that make them without training."""

from hashrec.codes.coder import Coder
from hashrec.codes.codes import Codes
from hashrec.codes.decoder import Decoder
from hashrec.codes.floats import FloatCodes
from hashrec.codes.ints import IntCodes
from hashrec.codes.packing import pack, unpack
from hashrec.codes.rotation import Rotation
from hashrec.codes.sign import SignCodes
from hashrec.component import Registry

CODERS: Registry[Coder] = Registry("codes", FloatCodes, IntCodes, SignCodes)

__all__ = [
    "CODERS",
    "Coder",
    "Codes",
    "Decoder",
    "FloatCodes",
    "IntCodes",
    "Rotation",
    "SignCodes",
    "pack",
    "unpack",
]
