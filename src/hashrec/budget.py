"""The best code within so many bytes an item, found by trials on a part held out of train."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hashrec.encoders import Encoding, TrainedEncoder
from hashrec.errors import RecipeError, UsageError
from hashrec.interactions import Interactions, UserSplit
from hashrec.progress import SILENT, Progress
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender

__all__ = ["Trial", "candidates", "choose"]

_SCALE = 4  # bytes of a row's scale
_HELD_OUT = 0.1
_METRIC = "recall@20"


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried. JSON-ready by `vars`.

    Attributes:
        encoder_dim, codes: what makes it differ from the others. bytes_per_item: of its codes.
        recall: recall@20 on the part held out.
    """

    encoder_dim: int
    codes: dict[str, Any]
    bytes_per_item: int
    recall: float


def choose(
    train: Interactions,
    recipe: Recipe,
    budget: int,
    features: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> tuple[Recipe, list[Trial]]:
    """The recipe whose codes rank best among those of at most `budget` bytes an item.

    Every candidate is fitted on nine tenths of each user's items, drawn by the recipe's seed, and
    measured on the rest. Candidates differ from `recipe` in `codes` and in `encoder.dim` alone; of
    equals the smaller is taken, then the earlier. `features`: see `Recommender.encode`.

    Raises UsageError where no code fits, RecipeError where the encoder has no `dim`.
    """
    part, valid = train.split(UserSplit(test=_HELD_OUT, seed=recipe.seed))
    limit = min(train.n_users, train.n_items)
    tried: list[tuple[Trial, Recipe]] = []
    last: tuple[int, Encoding] | None = None
    for dim, codes in sorted(candidates(recipe, budget, limit), key=lambda one: one[0]):
        candidate = _with(recipe, dim, codes)
        if last is None or last[0] != dim:
            teacher = Recommender(candidate.full_precision())
            last = dim, teacher.encode(part, features=features, progress=progress)
        model = Recommender(candidate).code(part, last[1], progress=progress)
        recall = float(model.evaluate(valid, (20,)).metrics[_METRIC])
        size = model.fitted.item_codes.bytes_per_row
        tried.append((Trial(dim, codes, size, round(recall, 5)), candidate))
        progress.note(
            f"{json.dumps(codes)} of {dim} dimensions, {size} bytes an item: "
            f"{_METRIC} {recall:.4f} on a part held out"
        )
    fitting = [one for one in tried if one[0].bytes_per_item <= budget]
    if not fitting:
        raise UsageError(
            "no code is so small", name="--budget", expected="a byte for eight bits, or more",
            got=str(budget),
        )  # fmt: skip
    best = max(fitting, key=lambda one: (one[0].recall, -one[0].bytes_per_item))
    return best[1], [trial for trial, _ in tried]


def candidates(recipe: Recipe, budget: int, limit: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """(encoder dimensions, codes) of about `budget` bytes; no more dimensions than `limit`, the
    most that the data give."""
    if not hasattr(recipe.encoder, "dim"):
        raise RecipeError(
            f"encoder {recipe.encoder.name} has no dimensions to choose", name="--budget",
        )  # fmt: skip
    rest = budget - _SCALE
    free: list[tuple[int, dict[str, Any]]] = [
        (budget // 4, {"name": "float", "bits": 32}),
        (budget // 2, {"name": "float", "bits": 16}),
        (rest, {"name": "int", "bits": 8}),
        (rest * 2, {"name": "int", "bits": 4}),
        (rest * 4, {"name": "int", "bits": 2}),
        (rest * 8, {"name": "sign"}),
        (budget * 8, {"name": "sign", "scale": "none"}),
    ]
    encoder = recipe.encoder
    trained = isinstance(encoder, TrainedEncoder)
    for dim, codes in free:
        if dim >= 1 and not (trained and codes["name"] == "sign"):
            yield min(dim, limit), codes
    if isinstance(encoder, TrainedEncoder) and rest >= 1:
        yield encoder.dim, {"name": "ste", "dim": rest * 8}
        yield encoder.dim, {"name": "ste", "bits": 2, "dim": rest * 4}


def _with(recipe: Recipe, dim: int, codes: dict[str, Any]) -> Recipe:
    options = recipe.to_dict()
    return Recipe.from_dict(
        {**options, "encoder": {**options["encoder"], "dim": dim}, "codes": codes}
    )
