from __future__ import annotations

import pytest
from hashing_cases import TRAIN, TRAINED, recipe

from hashrec.encoders import Encoding
from hashrec.recommender import Recommender


@pytest.fixture(scope="session")
def encodings() -> dict[str, Encoding]:
    """One teacher for each encoder."""
    return {name: Recommender(recipe(name, "float")).encode(TRAIN) for name in TRAINED}
