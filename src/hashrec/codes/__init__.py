"""Codes: vectors of a few bits a dimension, and the coders that make them without training."""

from hashrec.codes.basis import Basis
from hashrec.codes.coder import Coder
from hashrec.codes.codes import Codes
from hashrec.codes.decoder import Decoder
from hashrec.codes.floats import FloatCodes
from hashrec.codes.ints import IntCodes
from hashrec.codes.packing import pack, unpack
from hashrec.codes.parts import arrays_of, codes_from, describe
from hashrec.codes.queries import bring, code_items, code_queries
from hashrec.codes.rotation import Rotation
from hashrec.codes.sign import SignCodes
from hashrec.codes.transform import TransformCodes
from hashrec.codes.unit import unit
from hashrec.component import Registry

CODERS: Registry[Coder] = Registry("codes", FloatCodes, IntCodes, SignCodes, TransformCodes)

__all__ = [
    "CODERS",
    "Basis",
    "Coder",
    "Codes",
    "Decoder",
    "FloatCodes",
    "IntCodes",
    "Rotation",
    "SignCodes",
    "TransformCodes",
    "arrays_of",
    "bring",
    "code_items",
    "code_queries",
    "codes_from",
    "describe",
    "pack",
    "unit",
    "unpack",
]
