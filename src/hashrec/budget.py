"""The best code within so many bytes an item, found by trials on a part held out of train."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from hashrec.encoders import Encoder, Encoding, LightGcn, NeuMf, TrainedEncoder
from hashrec.errors import DataError, RecipeError, UsageError
from hashrec.interactions import Interactions, UserSplit
from hashrec.progress import SILENT, Progress
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender

__all__ = ["Trial", "candidates", "choose"]

_SCALE = 4  # bytes of a row's scale
_MOST = 65_536  # dimensions of any encoder or code
_HELD_OUT = 0.1
_METRIC = "recall@20"


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried. JSON-ready by `vars`.

    Attributes:
        encoder_dim, codes: what makes it differ from the others (of NeuMF the rank, which is what
            it serves). bytes_per_item: of its codes.
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
    measured on the rest. Candidates differ from `recipe` in `codes` and in the encoder's dimensions
    alone; of equals the smaller is taken, then the earlier. `features`: see `Recommender.encode`.

    Raises UsageError where no code fits, RecipeError where the encoder has no dimensions, DataError
    where nothing can be held out.
    """
    limit = min(train.n_users, train.n_items)
    made = sorted(candidates(recipe, budget, limit), key=lambda one: one[0])
    part, valid = _parts(train, recipe.seed)
    tried: list[tuple[Trial, Recipe]] = []
    last: tuple[int, Encoding] | None = None
    for dim, codes in made:
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
            "no code is so small", name="--budget", got=str(budget),
            expected=f"{_least(recipe, limit)} bytes or more with encoder {recipe.encoder.name}",
        )  # fmt: skip
    best = max(fitting, key=lambda one: (one[0].recall, -one[0].bytes_per_item))
    return best[1], [trial for trial, _ in tried]


def _parts(train: Interactions, seed: int) -> tuple[Interactions, Interactions]:
    """What candidates learn from, and what they are measured on."""
    part, valid = train.split(UserSplit(test=_HELD_OUT, seed=seed))
    if not valid.n_interactions:
        raise DataError(
            "nothing could be held out to choose a code on", name="--budget",
            expected="a user with five interactions or more", got=_told(train),
            fix="set encoder.dim and codes yourself",
        )  # fmt: skip
    return part, valid


def _told(train: Interactions) -> str:
    most = int(train.matrix.lengths.max(initial=0))
    return f"{train.n_users} users with at most {most} each"


def candidates(recipe: Recipe, budget: int, limit: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """(encoder dimensions, codes) of about `budget` bytes; no more dimensions than `limit`, the
    most that the data give, and none where `budget` is too small."""
    encoder = recipe.encoder
    if not hasattr(encoder, "dim"):
        raise RecipeError(
            f"encoder {encoder.name} has no dimensions to choose", name="--budget",
        )  # fmt: skip
    rest, layers = budget - _SCALE, _side_by_side(encoder)
    by_row: list[tuple[int, dict[str, Any]]] = [
        (budget // 4, {"name": "float", "bits": 32}),
        (budget // 2, {"name": "float", "bits": 16}),
        (rest, {"name": "int", "bits": 8}),
        (rest * 2, {"name": "int", "bits": 4}),
        (rest * 4, {"name": "int", "bits": 2}),
        (rest * 8, {"name": "sign"}),
        (budget * 8, {"name": "sign", "scale": "none"}),
    ]
    trained = isinstance(encoder, TrainedEncoder)
    for dim, codes in by_row:
        # Behind an encoder that trains, transform codes leave little to the others.
        if dim >= layers and not (trained and codes["name"] != "float"):
            yield min(dim // layers, limit, _MOST), codes
    for bits in (8, 4, 2):
        dim = min(8 * budget // bits // layers, limit, _MOST)
        if dim >= 1:
            size = min(budget, dim * layers)
            yield dim, {"name": "transform", "size": size}
            # Learned codes need scores that are dot products.
            if trained and not isinstance(encoder, NeuMf):
                yield dim, {"name": "tuned", "size": size}


def _side_by_side(encoder: Encoder) -> int:
    """How many times the encoder's dimensions its vectors have."""
    if isinstance(encoder, LightGcn) and encoder.concatenate:
        return encoder.layers + 1
    return 1


def _least(recipe: Recipe, limit: int) -> int:
    """The smallest budget that something is tried for."""
    return next(bytes for bytes in count(1) if any(candidates(recipe, bytes, limit)))


def _with(recipe: Recipe, dim: int, codes: dict[str, Any]) -> Recipe:
    options = recipe.to_dict()
    key = "rank" if isinstance(recipe.encoder, NeuMf) else "dim"
    return Recipe.from_dict(
        {**options, "encoder": {**options["encoder"], key: dim}, "codes": codes}
    )
