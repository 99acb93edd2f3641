"""Cosines from codes: packed where every dimension tells alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashrec.codes import Codes, Decoder, IntCodes, SignCodes, TransformCodes, unit

VECTORS = np.random.default_rng(0).standard_normal((12, 10)).astype(np.float32)


def decoded(codes: Codes, gain: float, offset: float) -> Codes:
    wide = np.full(10, gain, np.float32), np.full(10, offset, np.float32)
    return replace(codes, decoder=Decoder(*wide))


@pytest.mark.parametrize(
    ("codes", "packed"),
    [
        (SignCodes().encode(VECTORS), True),
        (decoded(IntCodes(bits=3).encode(VECTORS), 0.5, 0.0), True),
        (decoded(SignCodes().encode(VECTORS), 0.5, 0.25), False),
        (decoded(SignCodes().encode(VECTORS), 0.0, 0.0), False),
        (TransformCodes(bits=3).encode(VECTORS), False),
    ],
    ids=["sign", "one gain", "offset", "nothing", "basis"],
)
def test_products_are_cosines(codes: Codes, packed: bool) -> None:
    made = unit(codes)
    assert made.packed is packed
    vectors = codes.restore().astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    found = made.decode().astype(np.float64)
    assert np.allclose(found @ found.T, directions @ directions.T, atol=1e-5)
