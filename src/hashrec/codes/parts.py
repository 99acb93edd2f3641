"""Codes as JSON and named arrays, and back: how every file of ours holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy.typing as npt

from hashrec.codes.basis import Basis
from hashrec.codes.codes import Codes
from hashrec.codes.decoder import Decoder
from hashrec.codes.rotation import Rotation

__all__ = ["arrays_of", "codes_from", "describe"]

Arrays = Mapping[str, npt.NDArray[Any]]


def describe(codes: Codes) -> dict[str, Any]:
    """What is no array, as JSON."""
    return {
        "bits": codes.bits,
        "dim": codes.dim,
        "bit_order": codes.bit_order,
        "rotation": _space(codes.rotation),
        "scaled": codes.scales is not None,
        "decoded": codes.decoder is not None,
    }


def arrays_of(side: str, codes: Codes) -> dict[str, npt.NDArray[Any]]:
    """The arrays, under names that begin with `side`."""
    arrays: dict[str, npt.NDArray[Any]] = {f"{side}_codes": codes.data}
    if codes.scales is not None:
        arrays[f"{side}_scales"] = codes.scales
    if codes.decoder is not None:
        arrays[f"{side}_gain"], arrays[f"{side}_offset"] = codes.decoder.gain, codes.decoder.offset
    if isinstance(codes.rotation, Basis):
        arrays |= {f"{side}_{name}": array for name, array in vars(codes.rotation).items()}
    return arrays


def codes_from(side: str, described: Mapping[str, Any], arrays: Arrays) -> Codes:
    """The codes again; KeyError, TypeError or ValueError where parts do not fit."""
    return Codes(
        arrays[f"{side}_codes"],
        described["bits"],
        described["dim"],
        arrays[f"{side}_scales"] if described["scaled"] else None,
        _space_from(side, described["rotation"], arrays),
        Decoder(arrays[f"{side}_gain"], arrays[f"{side}_offset"])
        if described.get("decoded")  # absent from folders of the first format
        else None,
    )


def _space(space: Rotation | Basis) -> dict[str, Any]:
    return vars(space) if isinstance(space, Rotation) else {"kind": space.kind}


def _space_from(side: str, described: Mapping[str, Any], arrays: Arrays) -> Rotation | Basis:
    if described["kind"] != Basis.kind:
        return Rotation(**described)
    return Basis(*(arrays[f"{side}_{field.name}"] for field in fields(Basis)))
