"""The processor's count of ones beside Python's."""

from __future__ import annotations

import numba
import numpy as np

from hashrec.search.popcount import popcount


def test_popcount_is_the_number_of_ones() -> None:
    count = numba.njit(lambda word: popcount(word))
    rng = np.random.default_rng(0)
    words = [0, 1, 2**63, 2**64 - 1, *rng.integers(0, 2**63, 20).tolist()]
    assert [count(np.uint64(word)) for word in words] == [word.bit_count() for word in words]
