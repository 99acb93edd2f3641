"""The facade: scores in the caller's ids, the unknown, those who come later, what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from ctr_cases import LOG, TEST, TRAIN, VALID, fitted, recipe

from hashrec.ctr import CtrModel, load_ctr
from hashrec.errors import DataError, UsageError
from hashrec.impressions import Impressions, Kinds, read_impressions
from hashrec.interactions import read

MODEL = fitted("dcn", "graph")


def frame(log: Impressions, *, sides: bool = False) -> Any:
    """The rows of a planted log as a table: ids and the fields of rows, on request all."""
    assert log.users is not None and log.items is not None
    assert log.user is not None and log.item is not None
    columns = {"user": log.users.take(log.user), "item": log.items.take(log.item)}
    for one in log.fields:
        if one.owner == "row":
            values, at = log.rows[one.name], np.arange(len(log))
        elif sides:
            values = log.sides[one.owner].values[one.name]
            at = log.user if one.owner == "user" else log.item
        else:
            continue
        columns[one.name] = _column(values.take(at))
    return pa.table(columns)


def _column(values: Any) -> Any:
    if hasattr(values, "offsets"):
        words = values.known.take(pa.array(values.codes))
        return pa.ListArray.from_arrays(pa.array(values.offsets, pa.int32()), words)
    if hasattr(values, "codes"):
        return values.known.take(pa.array(values.codes, mask=values.codes < 0))
    return pa.array(values.values, mask=np.isnan(values.values))


CANDIDATES = frame(TEST)


class TestScore:
    def test_rows_keep_their_order_and_their_ids(self) -> None:
        found = MODEL.score(CANDIDATES)
        assert found.column_names == ["user", "item", "score"]
        assert found["user"].to_pylist() == CANDIDATES["user"].to_pylist()
        assert found["item"].to_pylist() == CANDIDATES["item"].to_pylist()
        assert found["score"].type == pa.float32()
        expected = 1 / (1 + np.exp(-MODEL.logits(TEST).astype(np.float64)))
        np.testing.assert_allclose(found["score"].to_numpy(), expected, rtol=1e-5)

    def test_fields_of_users_and_items_are_looked_up_or_read(self) -> None:
        plain = MODEL.score(CANDIDATES)["score"].to_numpy()
        whole = MODEL.score(frame(TEST, sides=True))["score"].to_numpy()
        np.testing.assert_array_equal(plain, whole)
        changed = frame(TEST, sides=True)
        changed = changed.set_column(
            changed.column_names.index("price"), "price", pa.array(np.full(len(TEST), 1e6))
        )
        assert (MODEL.score(changed)["score"].to_numpy() != plain).any()

    def test_a_file_is_scored_like_the_frame(self, tmp_path: Path) -> None:
        pa.csv.write_csv(CANDIDATES, tmp_path / "candidates.csv")
        found = MODEL.score(tmp_path / "candidates.csv")
        assert found.equals(MODEL.score(CANDIDATES))

    def test_ids_nobody_has_met_are_scored_by_the_unknown(self) -> None:
        one = CANDIDATES.slice(0, 1)
        rows = pa.concat_tables([
            one.set_column(0, "user", pa.array([user], pa.int64())) for user in (10**9, 10**9 + 1)
        ])  # fmt: skip
        scores = MODEL.score(rows)["score"].to_pylist()
        assert scores[0] == pytest.approx(scores[1], rel=1e-5)
        assert scores[0] != pytest.approx(MODEL.score(one)["score"].to_pylist()[0], rel=1e-5)

    def test_words_never_met_are_unknown_and_alike(self) -> None:
        one = CANDIDATES.slice(0, 1)
        at = one.column_names.index("hour")
        rows = [one.set_column(at, "hour", pa.array([word])) for word in ("noon", "midnight")]
        scores = MODEL.score(pa.concat_tables(rows))["score"].to_pylist()
        assert scores[0] == pytest.approx(scores[1], rel=1e-5)

    def test_columns_the_model_does_not_look_at_may_be_anything(self) -> None:
        more = CANDIDATES.append_column("note", pa.array(["x"] * len(TEST)))
        assert MODEL.score(more).equals(MODEL.score(CANDIDATES))

    def test_new_items_are_described_by_a_file(self) -> None:
        one = CANDIDATES.slice(0, 1).set_column(1, "item", pa.array([777], pa.int64()))
        told = [
            MODEL.score(one, item_features=pa.table({"item": [777], "price": [price]}))
            for price in (0.1, 1e4)
        ]
        assert told[0]["score"] != told[1]["score"]


class TestRefused:
    @pytest.mark.parametrize("name", ["hour", "device"])
    def test_a_field_of_rows_that_is_missing(self, name: str) -> None:
        words = f"fields that the model looks at are missing; expected the columns '{name}'; got"
        with pytest.raises(DataError, match=words):
            MODEL.score(CANDIDATES.drop_columns([name]))

    @pytest.mark.parametrize("name", ["user", "item"])
    def test_an_id_that_is_missing(self, name: str) -> None:
        with pytest.raises(DataError, match=f"there is no column {name!r}"):
            MODEL.score(CANDIDATES.drop_columns([name]))

    def test_text_in_a_numeric_field(self) -> None:
        words = (
            "column 'price': a numeric field holds what is no number; .* got text such as 'dear'"
        )
        with pytest.raises(DataError, match=words):
            MODEL.score(CANDIDATES.append_column("price", pa.array(["dear"] * len(TEST))))

    def test_no_rows(self) -> None:
        with pytest.raises(DataError, match="there are no impressions; expected rows of data"):
            MODEL.score(CANDIDATES.slice(0, 0))

    def test_a_model_before_fit(self) -> None:
        with pytest.raises(UsageError, match="this model is not fitted yet. Call fit first, or hr"):
            CtrModel().score(CANDIDATES)

    def test_labels_of_one_class_or_none_to_measure_by(self) -> None:
        ones = TEST.take(np.flatnonzero(TEST.label))
        with pytest.raises(DataError, match="the test part has labels of one class.* all 1"):
            MODEL.evaluate(ones)
        with pytest.raises(DataError, match="the test part has no labels; expected a label in"):
            MODEL.evaluate(replace(TEST, label=None))


class TestComingLater:
    def test_new_users_are_placed_where_those_they_met_are(self, tmp_path: Path) -> None:
        """By the rule of the graph: somebody who met what user 3 met shares user 3's row."""
        fit = MODEL.fitted
        assert fit.made is not None
        met = TRAIN.interactions()
        position = int(met.users.positions([3])[0])
        items = met.items.take(met.matrix.row(position)).to_pylist()
        log = read(pa.table({"user": [900] * len(items), "item": items}))
        grown = MODEL.extend(log)
        assert grown.fitted.made is not None
        users = grown.fitted.made.users
        assert users.buckets[users.positions([900])[0]] == users.buckets[users.positions([3])[0]]
        rows = pa.concat_tables([
            CANDIDATES.slice(0, 1).set_column(0, "user", pa.array([user], pa.int64()))
            for user in (900, 901)
        ])  # fmt: skip
        before, after = (one.score(rows)["score"].to_pylist() for one in (MODEL, grown))
        assert [before[0], after[1]] == pytest.approx([before[1]] * 2, rel=1e-5)
        assert after[0] != pytest.approx(before[0], rel=1e-5)
        assert grown.score(CANDIDATES).equals(MODEL.score(CANDIDATES))
        grown.save(tmp_path / "grown")
        assert load_ctr(tmp_path / "grown", verify=True).score(rows).equals(grown.score(rows))

    @pytest.mark.parametrize("edges", ["all", "positive"])
    def test_only_what_was_taken_is_met_where_edges_are_of_positives(self, edges: str) -> None:
        """Bug: what was shown and not taken counted there, too."""
        table = pa.table({"user": [900, 900], "item": [1, 2], "label": [0, 1]})
        asked = recipe("dcn", "graph", edges=edges)
        made = CtrModel(asked).fit(read_impressions(frame(TRAIN).append_column(
            "label", pa.array(TRAIN.label))), epochs=1)  # fmt: skip
        met = made.read_met(table)
        assert met.items.array.to_pylist() == [1, 2]  # all have a row to be placed in
        assert met.matrix.indices.tolist() == ([0, 1] if edges == "all" else [1])
        spelled = table.rename_columns(["User", "ITEM", "Label"])
        assert made.read_met(spelled).n_interactions == met.n_interactions
        plain = made.read_met(table.drop_columns("label"))  # nobody says what was taken
        assert plain.n_interactions == 2
        beside = {"rating": pa.array([None, 4]), "date": pa.array(["Monday", ""])}
        for (
            name,
            values,
        ) in beside.items():  # Bug: the log itself was refused, for what is no matter
            table = table.append_column(name, values)
        assert made.read_met(table).n_interactions == met.n_interactions

    def test_a_model_without_ids_has_no_rows_to_place_anyone_in(self) -> None:
        fields = tuple(one for one in TRAIN.fields if one.owner == "row")
        nobody = replace(
            TRAIN, users=None, user=None, items=None, item=None, sides={}, fields=fields
        )
        made = CtrModel(recipe()).fit(nobody, epochs=1)
        with pytest.raises(UsageError, match="a model without users and items has no rows"):
            made.extend(LOG.interactions())
        table = pa.table({name: CANDIDATES[name] for name in ("hour", "device")})
        assert made.score(table).column_names == ["score"]


def test_a_log_read_from_files_goes_all_the_way(tmp_path: Path) -> None:
    """Columns of items in the log itself, ratings for labels, evaluation by the same threshold."""
    rng = np.random.default_rng(0)
    n = 600
    item = rng.integers(0, 12, n)
    rating = rng.integers(1, 6, n)
    rows = {
        "user_id": [f"u{at}" for at in rng.integers(0, 20, n)],
        "item_id": [f"i{at}" for at in item],
        "rating": rating,
        "genres": [("a|b", "b", "")[at % 3] for at in item],
        "price": item * 1.5,
        "page": rng.choice(["home", "search"], n),
    }
    pa.csv.write_csv(pa.table(rows), tmp_path / "log.csv")
    log = read_impressions(
        tmp_path / "log.csv", threshold=4, item_columns=["genres", "price"],
        kinds=Kinds(multi=("genres",)),
    )  # fmt: skip
    model = CtrModel(recipe()).fit(log)
    assert model.fitted.columns == {"user": "user_id", "item": "item_id", "label": "rating"}
    assert {one.name: one.owner for one in model.fitted.schema.fields} == {
        "genres": "item", "price": "item", "page": "row",
    }  # fmt: skip
    test = model.read(tmp_path / "log.csv", labelled=True)
    assert test.label is not None and test.label.sum() == (rating >= 4).sum()
    few = pa.table({"user_id": ["u1"], "item_id": ["i2"], "page": ["home"]})
    assert 0 < model.score(few)["score"][0].as_py() < 1


def test_facts_can_be_added_and_the_model_stays() -> None:
    more = MODEL.with_facts(note="x")
    assert more.fitted.facts["note"] == "x" and "note" not in MODEL.fitted.facts
    assert (more.logits(VALID) == MODEL.logits(VALID)).all()


class TestServing:
    def test_many_may_ask_at_once_and_nobody_meets_dropout(self) -> None:
        """Bug: each call left the module in training mode, so another's scores had dropout."""
        model = fitted("dcn", "full", training={"epochs": 2})
        assert not model.fitted.predictor.training
        expected = model.score(CANDIDATES)
        with ThreadPoolExecutor(4) as pool:
            every = list(pool.map(lambda _: model.score(CANDIDATES), range(24)))
        assert all(one.equals(expected) for one in every)
        assert not model.fitted.predictor.training

    def test_lists_as_text_are_cut_as_in_training(self, tmp_path: Path) -> None:
        """Bug: a model of RecBole's words took 'a b' in a frame for one word never met."""
        rows = ["user:token\titem:token\tlabel:float\ttags:token_seq"]
        rows += [f"{at % 7}\t{at % 5}\t{at % 2}\t{('a b', 'b c', 'c')[at % 3]}" for at in range(90)]
        (tmp_path / "log.inter").write_text("\n".join(rows) + "\n")
        model = CtrModel(recipe()).fit(read_impressions(tmp_path / "log.inter"), epochs=1)
        shown = {"user": [1], "item": [2]}
        text = model.score(pa.table({**shown, "tags": ["a b"]}))
        lists = model.score(pa.table({**shown, "tags": [["a", "b"]]}))
        assert text.equals(lists)
        other = model.score(pa.table({**shown, "tags": ["a;b"]}), separator=";")
        assert other.equals(lists)

    def test_a_column_of_ids_called_as_the_result_is_refused(self) -> None:
        table = pa.table({"score": [1, 2] * 9, "item": [1, 2, 3] * 6, "label": [0, 1, 1] * 6})
        log = read_impressions(table, user="score")
        with pytest.raises(DataError, match="a column of ids called 'score', as results are"):
            CtrModel(recipe()).fit(log, epochs=1)

    def test_nothing_but_labels_is_refused(self) -> None:
        log = read_impressions(pa.table({"label": [0, 1] * 9}), user="none", item="none")
        with pytest.raises(DataError, match="a log of nothing but labels; expected users and item"):
            CtrModel(recipe()).fit(log, epochs=1)

    def test_a_valid_part_of_other_fields_is_refused_before_work(self) -> None:
        fields = tuple(one for one in VALID.fields if one.name != "hour")
        with pytest.raises(DataError, match="hour: the valid part has other fields than the log"):
            CtrModel(recipe()).fit(TRAIN, replace(VALID, fields=fields))
        with pytest.raises(UsageError, match="a valid part for epochs that were chosen before"):
            CtrModel(recipe()).fit(TRAIN, VALID, epochs=1)


def test_another_label_has_another_threshold_or_none() -> None:
    """Bug: labels of 0 and 1 were held against the threshold of ratings."""
    rng = np.random.default_rng(1)
    columns = {"user": rng.integers(0, 9, 200), "item": rng.integers(0, 9, 200)}
    train = pa.table({**columns, "rating": rng.integers(1, 6, 200)})
    made = CtrModel(recipe()).fit(read_impressions(train, threshold=np.int64(4)), epochs=1)
    assert type(made.fitted.threshold) is float
    clicks = pa.table({**columns, "click": rng.integers(0, 2, 200)})
    found = made.read(clicks, labelled=True, label="click")
    assert found.label is not None and 60 < found.label.sum() < 140
    again = made.read(train, labelled=True)
    assert again.label is not None and again.label.sum() == (train["rating"].to_numpy() > 3).sum()


def test_a_field_is_no_label() -> None:
    words = "the column 'hour' is a field of the model, and cannot be the label. Name another"
    with pytest.raises(DataError, match=words):
        MODEL.read(CANDIDATES, labelled=True, label="hour")
