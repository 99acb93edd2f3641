"""Compile and import once before the tests, so that no property test is timed doing it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hashrec.interactions import read


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    read(pd.DataFrame({"user": ["a", "a"], "item": [1, 1], "time": np.array([1, 2])}))
