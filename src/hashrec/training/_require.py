"""Importing this module without torch says what to install; `training` imports it first."""

from __future__ import annotations

from hashrec.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ModuleNotFoundError as fault:
    # A module missing inside torch is a damaged torch, which installing the extra does not mend.
    if fault.name != "torch":
        raise
    raise MissingExtraError(
        "torch is not installed", fix="run pip install 'hashrec[train]'"
    ) from fault
