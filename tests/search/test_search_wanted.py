"""The threshold for a wanted number of results."""

from __future__ import annotations

import numpy as np
import pytest
from search_cases import case, encoded, opened

from hashrec.errors import UsageError
from hashrec.search import ENGINES, find_threshold


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("average", [0.1, 0.15, 1, 7.49, 60])
def test_as_many_as_wanted_and_no_larger_threshold_does(engine: str, average: float) -> None:
    kind = "float32" if engine == "dense" else "int4"
    found = case(1, kind, "float32", n_items=200, n_queries=20, dim=12, allow="most")
    found.queries.data[3] *= 50  # one query with nearly all high scores
    index = opened(found.items, engine)
    asked = {"exclude": found.exclude, "allow": found.allow}
    tau = find_threshold(index, found.queries, average, **asked)
    assert index.search_threshold(found.queries, tau, **asked).totals.mean() >= average
    above = np.nextafter(np.float32(tau), np.float32(np.inf))
    assert index.search_threshold(found.queries, above, **asked).totals.mean() < average


def test_more_than_there_is() -> None:
    found = case(2, "sign", "float32", n_items=30, n_queries=4, dim=5)
    index = opened(found.items, "scan")
    assert find_threshold(index, found.queries, 30, exclude=found.exclude) == -np.inf
    assert np.isfinite(find_threshold(index, found.queries, 30))
    assert find_threshold(index, found.queries, 31) == -np.inf


def test_a_product_that_is_rounded_up_asks_for_no_more() -> None:
    """Bug: .14 of 50 queries were eight results, for .14 * 50 is above seven."""
    found = case(3, "sign", "float32", n_items=200, n_queries=50, dim=12)
    index = opened(found.items, "fast")
    tau = find_threshold(index, found.queries, 0.14)
    assert index.search_threshold(found.queries, tau).totals.sum() == 7


def test_refused() -> None:
    found = case(2, "sign", "float32", n_items=30, n_queries=4, dim=5)
    index = opened(found.items, "scan")
    for average in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="average is no number of items; expected above 0"):
            find_threshold(index, found.queries, average)
    with pytest.raises(UsageError, match="there are no queries to find a threshold for"):
        find_threshold(index, encoded("float32", np.zeros((0, 5), np.float32)), 1)
