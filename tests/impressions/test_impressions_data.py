"""Real data: MovieLens 100k, read as likes with all that is known of people and films."""

from __future__ import annotations

from pathlib import Path

import pytest
from impressions_cases import plain

from hashrec.impressions import Fields, Schema, read_impressions, sources_of

DATA = Path(__file__).parents[3] / "shared" / "data" / "ml-100k"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA}"),
]


def test_movielens_100k_with_its_people_and_films() -> None:
    sources = sources_of(DATA)
    log = read_impressions(
        sources.train, threshold=4,
        user_features=sources.user_features, item_features=sources.item_features,
    )  # fmt: skip
    assert log.users is not None and log.items is not None
    assert (len(log), len(log.users), len(log.items)) == (100_000, 943, 1682)
    assert log.positives == 55_375
    assert {one.name: (one.kind, one.owner) for one in log.fields} == {
        "age": ("categorical", "user"), "gender": ("categorical", "user"),
        "occupation": ("categorical", "user"), "zip_code": ("categorical", "user"),
        "movie_title": ("multi", "item"), "release_year": ("categorical", "item"),
        "class": ("multi", "item"),
    }  # fmt: skip
    for owner, ids in (("user", log.users), ("item", log.items)):
        assert log.sides[owner].of(ids).min() == 0
    items = log.sides["item"]
    toy_story = items.ids.positions([1])[0]
    assert plain(items.values["class"])[toy_story] == ["Animation", "Children's", "Comedy"]
    train, test = log.split("random")
    assert (len(train), len(test)) == (80_000, 20_000)
    schema = Schema.of(train, Fields())
    known = {one.field.name: one.words.to_pylist() for one in schema.vocabularies}
    assert known["gender"] == ["F", "M"]
    assert len(known["occupation"]) == 21
    assert {"Animation", "Film-Noir", "War"} <= set(known["class"])
    found = schema.described(test)
    assert found.tokens.shape == (20_000, sum(schema.widths))
    assert 0 < found.tokens.max() < schema.n_tokens
