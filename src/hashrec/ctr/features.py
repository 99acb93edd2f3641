"""What is known of users and items as numbers, for bucket methods that look at features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.impressions import Schema
from hashrec.impressions.scale import Scale
from hashrec.impressions.vocabulary import Vocabulary
from hashrec.interactions import Ids, Interactions

__all__ = ["features_of"]

Floats = npt.NDArray[np.float32]

_WORDS = 1_000  # of one field: more are ids, not features


def features_of(schema: Schema, log: Interactions) -> dict[str, Floats]:
    """For `user` and `item`, where they have fields: (n, f) float32 by position in `log`.

    A field of words is a column a token, 1 where it stands; a number is itself, 0 where there is
    none. Fields of more than 1,000 tokens are left out.
    """
    sides = {"user": log.users, "item": log.items}
    found = {owner: _side(schema, owner, ids) for owner, ids in sides.items()}
    return {owner: array for owner, array in found.items() if array.shape[1]}


def _side(schema: Schema, owner: str, ids: Ids) -> Floats:
    parts = [np.zeros((len(ids), 0), np.float32)]
    known = schema.known.get(owner)
    if known is None:
        return parts[0]
    rows = known.ids.positions(ids.array)  # -1: the last row, of nothing known
    every: list[Vocabulary | Scale] = [*schema.vocabularies, *schema.scales]
    for one in every:
        if one.field.owner != owner:
            continue
        column: npt.NDArray[Any] = known.columns[one.field.name][rows]
        if isinstance(one, Vocabulary):
            if len(one) <= _WORDS:
                parts.append(_marked(column, len(one)))
        else:
            parts.append(np.nan_to_num(column))
    return np.concatenate(parts, axis=1)


def _marked(tokens: npt.NDArray[np.int32], n: int) -> Floats:
    """(rows, n) 1 for the tokens of each row; empty places are -1."""
    marked = np.zeros((len(tokens), n + 1), np.float32)
    np.put_along_axis(marked, tokens.astype(np.int64) % (n + 1), 1, axis=1)
    return marked[:, :n]
