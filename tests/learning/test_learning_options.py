"""Options of training and tables: what they take, what they refuse, and their way through JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hashrec.bucketing import METHODS, buckets
from hashrec.errors import RecipeError, UsageError
from hashrec.interactions import planted
from hashrec.learning import Table, Task, Training
from hashrec.recipe import Recipe

LOG = planted(60, 40, communities=4, degree=6, noise=0.1, seed=0).interactions


class TestTraining:
    def test_round_trip_through_json(self) -> None:
        given = Training(
            loss={"name": "bpr", "sampler": {"name": "hard", "best": 30}, "negatives": 2},
            epochs=7, batch=50, accumulate=3, schedule="constant", decay=0.01, refit=False,
        )  # fmt: skip
        read = json.loads(json.dumps(given.to_dict()))
        assert read.pop("name") == "training"
        assert Training(**read) == given
        assert Recipe(training=given.to_dict()).training == given

    def test_a_loss_without_a_name_is_softmax(self) -> None:
        found = Training(loss={"temperature": 0.2, "weight": "equal", "popularity": 0.05}).loss
        assert found.to_dict() == {
            "name": "softmax",
            "temperature": 0.2,
            "weight": "equal",
            "popularity": 0.05,
        }

    def test_a_loss_by_its_name(self) -> None:
        assert Training(loss="directau").loss.name == "directau"

    @pytest.mark.parametrize(
        ("option", "value", "words"),
        [
            ("epochs", 0, "training.epochs: .*greater than or equal to 1, got 0"),
            ("batch", 0, "greater than or equal to 1, got 0"),
            ("accumulate", 0, "greater than or equal to 1, got 0"),
            ("learning_rate", 0, "greater than 0, got 0"),
            ("learning_rate", float("inf"), "got inf"),
            ("schedule", "linear", "'constant' or 'cosine'"),
            ("warmup", 1, "less than 1, got 1"),
            ("warmup", -0.1, "greater than or equal to 0, got -0.1"),
            ("decay", -1, "greater than or equal to 0, got -1"),
            ("valid", 1, "less than 1, got 1"),
            ("every", 0, "greater than or equal to 1, got 0"),
            ("patience", 0, "greater than or equal to 1, got 0"),
            ("precision", "float16", "'auto', 'float32' or 'bfloat16'"),
            ("loss", "hinge", "unknown loss 'hinge'"),
            ("epoch", 3, "unknown key training.epoch.*did you mean epochs"),
        ],
    )
    def test_out_of_range(self, option: str, value: Any, words: str) -> None:
        with pytest.raises(RecipeError, match=words):
            Recipe(training={option: value})


class TestTable:
    def test_by_default_everybody_has_a_row(self) -> None:
        found = Table().buckets(LOG, 8, 0)
        assert (found.users.rows, found.items.rows) == (60, 40)

    @pytest.mark.parametrize("method", ["modulo", "graph", "double-frequency"])
    def test_gives_the_buckets_of_the_one_call(self, method: str) -> None:
        table = Table(method=method, user_rows=0.5, item_rows=10)
        found, expected = (
            table.buckets(LOG, 8, 3),
            buckets(LOG, method, user_rows=0.5, item_rows=10, seed=3),
        )
        assert found.fingerprint() == expected.fingerprint()

    def test_bytes_are_of_the_dimensions_given(self) -> None:
        table = Table(method="modulo", rows="1KB")
        assert table.buckets(LOG, 8, 0).rows == 31  # of 32 bytes each in 1,000
        assert table.buckets(LOG, 16, 0).rows == 15

    def test_options_without_a_name_are_of_graph(self) -> None:
        option = next(iter(METHODS["graph"].model_fields))
        default = getattr(METHODS["graph"](), option)
        assert Table(method={option: default}, rows=0.5).method.name == "graph"

    def test_round_trip_through_json(self) -> None:
        table = Table(method="double", rows=0.25)
        read = json.loads(json.dumps(table.to_dict()))
        assert Recipe(table=read).table == table

    @pytest.mark.parametrize("key", ["rows", "user_rows", "item_rows"])
    def test_a_full_table_takes_no_budget(self, key: str) -> None:
        words = f"table.{key}: a full table has a row for each id.*Choose a method, say table"
        with pytest.raises(RecipeError, match=words):
            Recipe(table={key: 0.5})

    def test_an_unknown_method(self) -> None:
        with pytest.raises(RecipeError, match="unknown bucket method 'grap'.*Did you mean graph"):
            Recipe(table={"method": "grap", "rows": 0.5})


class TestTask:
    def test_nobody_measures_or_searches_unless_told_how(self) -> None:
        task = Task(LOG)
        words = "nobody is there to measure or to search.*Fit with hashrec.Recommender"
        with pytest.raises(UsageError, match=words):
            task.watcher(LOG, LOG)
        with pytest.raises(UsageError, match=words):
            task.finder(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), LOG.matrix, 3)
