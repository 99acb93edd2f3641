"""Other people's boards, as the command line asks for them."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["trackers"]


def trackers(options: argparse.Namespace) -> list[Any]:
    """Those who are told of training. Imported here: each needs a package of its own."""
    found: list[Any] = []
    if options.tensorboard is not None:
        from hashrec.training.listeners import TensorBoard

        found.append(TensorBoard(options.tensorboard))
    if options.mlflow:
        from hashrec.training.listeners import MlFlow

        found.append(MlFlow())
    return found
