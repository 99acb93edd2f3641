"""What the tests of learned codes share: a small log, and recipes of every code and encoder."""

from __future__ import annotations

from typing import Any

from hashrec.encoders import ENCODERS, TrainedEncoder
from hashrec.hashing import CODES, LearnedCoder
from hashrec.interactions import UserSplit, planted
from hashrec.recipe import Recipe

__all__ = ["DIM", "LEARNED", "TEST", "TRAIN", "TRAINED", "options", "recipe"]

LOG = planted(90, 60, communities=5, degree=12, noise=0.1, seed=2).interactions
TRAIN, TEST = LOG.split(UserSplit(test=0.2, seed=0))
LEARNED = [name for name in CODES if issubclass(CODES[name], LearnedCoder)]
TRAINED = [name for name in ENCODERS if issubclass(ENCODERS[name], TrainedEncoder)
           and name != "neumf"]  # fmt: skip
DIM = 8


def recipe(encoder: str, codes: Any, loss: str = "softmax", **more: Any) -> Recipe:
    training = {"epochs": 2, "valid": 0, "loss": loss}
    return Recipe.from_dict(
        {"encoder": {"name": encoder, "dim": DIM}, "training": training, "codes": codes, **more}
    )


def options(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "epochs": 2, **more}
