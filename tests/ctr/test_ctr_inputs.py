"""From positions, tokens and numbers to vectors: slowly, row by row, and at the edges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from ctr_cases import LOG, TABLES, TRAIN

from hashrec.bucketing import buckets
from hashrec.ctr.examples import examples_of
from hashrec.ctr.inputs import Inputs, Lookup, rows_of_words
from hashrec.ctr.layers import Noise
from hashrec.ctr.tables import IdTable, WordTable
from hashrec.impressions import Field, Fields, Schema
from hashrec.impressions.vocabulary import Vocabulary

SCHEMA = Schema.of(TRAIN, Fields())
MET = TRAIN.take(np.arange(60)).interactions()  # who is not among them is unknown
SAMPLE = slice(100, 160)


def made(method: str = "double", **lookup: Any) -> tuple[Inputs, Any]:
    rows = {} if method == "full" else {"rows": 0.5}
    found = buckets(MET, method, **rows)
    options: dict[str, Any] = {"dim": 4, "linear": True, "embeds_numbers": True, "scale": 1.0}
    inputs = Inputs(
        SCHEMA, found, rows_of_words(SCHEMA, None, 0), Lookup(**{**options, **lookup}), Noise(0)
    )
    with torch.no_grad():
        for one in inputs.parameters():
            one.normal_(generator=torch.Generator().manual_seed(1))
        inputs.words.weight[0] = 0
        for table in inputs.ids:
            table.unknown.fill_(7)
    return inputs, found


def slow_vector(table: IdTable, side: Any, position: int) -> Any:
    if position < 0:
        return table.unknown.detach().numpy()
    rows = table.shared.weight.detach().numpy()[side.buckets[position]]
    if side.weights is not None:
        rows = rows * side.weights[position][:, None]
    summed = rows.sum(0) / (side.ways if side.combiner == "mean" else 1)
    return np.pad(summed, (0, table.shared.embedding_dim - len(summed)))


@pytest.mark.parametrize("method", [one for one in TABLES if one != "lsh"])
def test_vectors_are_those_looked_up_one_by_one(method: str) -> None:
    inputs, found = made(method)
    batch = examples_of(LOG, SCHEMA, found).batch(SAMPLE, "cpu")
    looked = inputs(*batch.inputs)
    assert inputs.shape.vectors == looked.vectors.shape[1] == 2 + 4 + 1 + 2
    for row in range(60):
        whole = [
            slow_vector(table, side, int(at[row]))
            for table, side, at in zip(
                inputs.ids, (found.users, found.items), (batch.user, batch.item), strict=True
            )
        ]
        words = inputs.words.weight.detach().numpy()[batch.tokens[row].numpy()]
        whole += list(words[:4])
        tags = [words[at] for at in range(4, 7) if batch.tokens[row, at] > 0]
        whole.append(np.mean(tags, axis=0) if tags else np.zeros(5))
        for at in range(2):
            number = float(batch.numbers[row, at])
            slope, absent = inputs.slopes.detach().numpy()[at], inputs.absent.detach().numpy()[at]
            whole.append(absent if np.isnan(number) else number * slope)
        expected = np.stack(whole)
        np.testing.assert_allclose(looked.vectors[row].detach(), expected[:, 1:], atol=1e-5)
        assert float(looked.linear[row].detach()) == pytest.approx(expected[:, 0].sum(), abs=1e-4)


def test_some_of_the_sample_is_what_the_test_above_is_about() -> None:
    """Unknown ids, empty bags and missing numbers are among its rows."""
    _, found = made()
    batch = examples_of(LOG, SCHEMA, found).batch(SAMPLE, "cpu")
    assert (batch.user < 0).any() and (batch.item < 0).any() and (batch.user >= 0).any()
    assert (batch.tokens[:, 4:].sum(1) == 0).any() and torch.isnan(batch.numbers).any()


def test_ids_nobody_has_met_share_the_vector_of_the_unknown() -> None:
    inputs, _ = made()
    nobody = torch.tensor([-1, 3, -1])
    found = inputs.ids[0](nobody)
    assert (found[0] == 7).all() and (found[2] == 7).all() and not (found[1] == 7).all()


def test_numbers_that_are_not_embedded_come_as_they_are_with_whether_they_are_there() -> None:
    inputs, found = made(linear=False, embeds_numbers=False)
    batch = examples_of(LOG, SCHEMA, found).batch(SAMPLE, "cpu")
    looked = inputs(*batch.inputs)
    assert looked.linear is None and inputs.slopes is None
    absent = torch.isnan(batch.numbers)
    assert torch.equal(looked.numbers[:, 2:], absent.float())
    assert torch.equal(looked.numbers[:, :2], torch.nan_to_num(batch.numbers))


@pytest.mark.parametrize("embeds", [True, False])
def test_a_number_that_training_never_lacked_is_a_middling_one(embeds: bool) -> None:
    """Bug: new users were scored by first weights that nothing had trained, from .12 to .49."""
    scales = tuple(replace(one, missing=at == 0) for at, one in enumerate(SCHEMA.scales))
    schema = replace(SCHEMA, scales=scales)
    found = buckets(MET, "full")
    inputs = Inputs(schema, found, rows_of_words(schema, None, 0), Lookup(4, False, embeds, 1.0),
                    Noise(0))  # fmt: skip
    user, item, tokens, _ = examples_of(LOG, SCHEMA, found).batch(slice(0, 1), "cpu").inputs
    looked = inputs(user, item, tokens, torch.tensor([[np.nan, np.nan]]))
    assert looked.numbers.tolist() == [[0, 0, 1, 0]]
    if embeds:
        assert inputs.absent is not None
        first, second = looked.vectors[0, -2:]
        assert torch.equal(first, inputs.absent[0]) and (second == 0).all()


def test_weights_of_words_start_at_zero_and_vectors_do_not() -> None:
    lookup = Lookup(4, True, True, 1.0)
    inputs = Inputs(SCHEMA, buckets(MET, "full"), rows_of_words(SCHEMA, None, 0), lookup, Noise(0))
    for table in inputs.ids:
        assert (table.shared.weight[:, 0] == 0).all() and (table.shared.weight[:, 1:] != 0).all()
    assert (inputs.words.weight[:, 0] == 0).all() and (inputs.words.weight[1:, 1:] != 0).all()


class TestWords:
    def test_the_empty_place_is_zero_and_gets_no_gradient(self) -> None:
        table = WordTable(np.arange(5, dtype=np.int32), 3, 1.0, False, Noise(0))
        table(torch.tensor([[0, 1], [0, 0]])).sum().backward()
        assert (table.weight[0] == 0).all() and (table.weight.grad[0] == 0).all()
        assert (table.weight.grad[1] == 1).all()

    def test_few_words_have_a_row_each(self) -> None:
        rows = rows_of_words(SCHEMA, 1_000, 0)
        assert (rows == np.arange(SCHEMA.n_tokens)).all()

    def test_more_words_than_rows_share_them_and_the_unknown_keeps_its_own(self) -> None:
        words = pa.array([f"word{at:03}" for at in range(200)])
        many = Vocabulary(Field("many", "categorical", "row"), words, 1, missing=True)
        few = Vocabulary(Field("few", "categorical", "row"), words[:3])
        schema = Schema((many, few), (), {})
        rows = rows_of_words(schema, 20, 0)
        assert len(rows) == 1 + 202 + 4
        assert rows[0] == 0 and rows[1] == 1  # nothing; unknown in `many`
        assert rows[202] == 1  # rows without a word have none of their own left
        assert set(rows[2:202]) == set(range(2, 21))
        assert (rows[203:] == np.arange(21, 25)).all()

    def test_a_word_keeps_its_row_whatever_other_words_there_are(self) -> None:
        words = [f"word{at:03}" for at in range(200)]
        field = Field("many", "categorical", "row")
        one = rows_of_words(Schema((Vocabulary(field, pa.array(words)),), (), {}), 20, 0)
        less = rows_of_words(Schema((Vocabulary(field, pa.array(words[100:])),), (), {}), 20, 0)
        assert (one[102:] == less[2:]).all()
        other = rows_of_words(Schema((Vocabulary(field, pa.array(words)),), (), {}), 20, 1)
        assert (one != other).any()

    def test_shared_rows_are_looked_up(self) -> None:
        rows = np.array([0, 1, 2, 1], dtype=np.int32)
        table = WordTable(rows, 3, 1.0, False, Noise(0))
        assert table.weight.shape == (3, 3)
        found = table(torch.tensor([[1, 3, 2]]))[0]
        assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize("least", [None, 1, 10_000])
def test_gradients_are_sparse_where_tables_are_long(least: int | None) -> None:
    inputs, found = made("full", sparse_from=least)
    looked = inputs(*examples_of(TRAIN, SCHEMA, found).batch(slice(0, 9), "cpu").inputs)
    looked.vectors.sum().backward()
    weights = [table.shared.weight for table in inputs.ids] + [inputs.words.weight]
    assert [one.grad.is_sparse for one in weights] == [least == 1] * 3
