"""The threshold that gives as many results as are wanted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes
from hashrec.errors import UsageError
from hashrec.search.index import Index
from hashrec.search.results import Hits

__all__ = ["find_threshold"]


def find_threshold(
    index: Index,
    queries: Codes | npt.ArrayLike,
    average: float,
    *,
    exclude: Any = None,
    allow: npt.ArrayLike | None = None,
) -> float:
    """The largest threshold at which these queries find at least `average` items each, on average.

    For a catalogue of many users a sample of them as queries will do. -inf where there are not so
    many items that are allowed and not excluded.

    Raises UsageError for an average that is not above zero, and where there are no queries.
    """
    if not 0 < average < math.inf:
        raise UsageError("average is no number of items", expected="above 0", got=str(average))
    if average > len(index.codes):
        return -math.inf
    top = index.search(queries, max(1, math.ceil(2 * average)), exclude=exclude, allow=allow)
    if not len(top):
        raise UsageError("there are no queries to find a threshold for")
    wanted = math.ceil(average * len(top))
    if (wanted - 1) / len(top) >= average:  # the product was rounded up
        wanted -= 1
    listed = top.scores[top.scores > -np.inf]
    # The listed are some of all pairs, so their wanted-th score is not above that of all.
    low = _nth_largest(listed, wanted)
    hits: Hits = index.search_threshold(queries, low, exclude=exclude, allow=allow)
    return float(_nth_largest(hits.scores, wanted))


def _nth_largest(scores: npt.NDArray[np.float32], n: int) -> np.float32:
    if len(scores) < n:
        return np.float32(-np.inf)
    return np.float32(np.partition(scores, len(scores) - n)[len(scores) - n])
