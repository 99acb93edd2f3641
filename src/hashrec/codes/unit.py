"""Codes of directions alone, whose products are cosines."""

from __future__ import annotations

import numpy as np

from hashrec.codes.codes import Codes
from hashrec.codes.rotation import Rotation

__all__ = ["unit"]


def unit(codes: Codes) -> Codes:
    """The same directions at length one; what has no length stays without.

    Packed where every dimension tells alike, else floats.
    """
    if codes.packed and (codes.decoder is None or codes.decoder.constant):
        lengths = np.linalg.norm(codes.levels().astype(np.float32), axis=1)
        live = np.ones(len(codes), bool) if codes.scales is None else codes.scales > 0
        scales = np.where(live, 1 / lengths, 0).astype(np.float32)
        return Codes(codes.data, codes.bits, codes.dim, scales, codes.rotation)
    vectors = codes.decode() if isinstance(codes.rotation, Rotation) else codes.restore()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return Codes(found, 32, found.shape[1], None, Rotation("none", found.shape[1], 0))
