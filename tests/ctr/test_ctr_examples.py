"""Impressions as arrays, and the steps of an epoch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ctr_cases import LOG, TEST, TRAIN

from hashrec.bucketing import buckets
from hashrec.ctr.examples import Lots, examples_of
from hashrec.impressions import Fields, Schema

SCHEMA = Schema.of(TRAIN, Fields())
MADE = buckets(TRAIN.interactions(), "full")
EXAMPLES = examples_of(TRAIN, SCHEMA, MADE)
assert EXAMPLES.label is not None
LABEL = EXAMPLES.label


def lots(size: int = 100, **more: Any) -> Lots:
    bases = (*SCHEMA.bases, SCHEMA.n_tokens)
    return Lots(EXAMPLES, size, 3, **{"bases": bases, **more})


def test_positions_are_those_of_the_ids() -> None:
    """Of rows made from few impressions: the others' users and items are unknown there."""
    made = buckets(TRAIN.take(np.arange(40)).interactions(), "full")
    found = examples_of(TEST, SCHEMA, made)
    for ids, at, side, places in (
        (TEST.users, TEST.user, made.users, found.user),
        (TEST.items, TEST.item, made.items, found.item),
    ):
        assert ids is not None and at is not None
        known = side.ids.to_pylist()
        raw = ids.take(at).to_pylist()
        expected = [known.index(one) if one in known else -1 for one in raw]
        assert places.tolist() == expected and -1 in expected and max(expected) > 0


def test_without_buckets_nobody_is_known() -> None:
    found = examples_of(TEST, SCHEMA, None)
    assert (found.user == -1).all() and (found.item == -1).all()


def test_an_epoch_goes_through_everything_once_in_another_order_each_time() -> None:
    made = lots()
    assert made.population == len(TRAIN) and len(made) == -(-len(TRAIN) // 100)
    orders = [made.order(epoch) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(len(TRAIN)))
    assert not (orders[0] == orders[1]).all()
    assert (orders[1] == made.order(1)).all()
    seen = torch.cat([made.batch(orders[0], 0, step).label for step in range(len(made))])
    assert torch.equal(seen, torch.from_numpy(LABEL[orders[0]]))


def test_half_of_the_negatives_are_others_each_time() -> None:
    made = lots(negatives=0.5)
    negatives = int((LABEL == 0).sum())
    kept = round(0.5 * negatives)
    assert made.population == int(LABEL.sum()) + kept
    assert made.negatives_kept == kept / negatives
    orders = [set(made.order(epoch).tolist()) for epoch in range(2)]
    for order in orders:
        assert len(order) == made.population
        assert set(np.flatnonzero(LABEL)) <= order
    assert orders[0] != orders[1]


def test_one_negative_is_left_however_few_are_wanted() -> None:
    assert lots(negatives=1e-9).population == int(LABEL.sum()) + 1


def test_what_is_forgotten_becomes_the_unknown_of_its_own_field() -> None:
    made, plain = lots(2_000, unknown=0.3), lots(2_000)
    order = made.order(0)
    batch, whole = made.batch(order, 0, 0), plain.batch(order, 0, 0)
    changed = batch.tokens != whole.tokens
    assert torch.equal(batch.numbers.nan_to_num(9), whole.numbers.nan_to_num(9))
    assert torch.equal(batch.label, whole.label)
    assert ((batch.user == whole.user) | (batch.user == -1)).all()
    assert (whole.tokens[changed] > 0).all()
    bounds = np.array([*SCHEMA.bases, SCHEMA.n_tokens])
    field = np.searchsorted(bounds, whole.tokens[changed].numpy(), side="right") - 1
    assert (batch.tokens[changed].numpy() == bounds[field]).all()
    shares = [float((batch.user == -1).float().mean()), float((batch.item == -1).float().mean())]
    assert shares == pytest.approx([0.3, 0.3], abs=0.06)
    again = made.batch(order, 0, 0)
    assert torch.equal(again.tokens, batch.tokens) and again.key == batch.key
    assert not torch.equal(made.batch(order, 1, 0).tokens, batch.tokens)


def test_a_log_without_fields_has_no_places() -> None:
    bare = Schema((), (), {})
    log = replace(LOG, fields=(), rows={}, sides={})
    found = examples_of(log, bare, MADE)
    assert found.tokens.shape == (len(LOG), 0) and found.numbers.shape == (len(LOG), 0)
    made = Lots(found, 64, 0, unknown=0.5, bases=(1,))
    assert made.batch(made.order(0), 0, 0).tokens.shape == (64, 0)
