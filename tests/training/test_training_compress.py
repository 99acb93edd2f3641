"""Swapping a model's tables: what is kept, what is counted, what is refused."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import hashrec as hr
from hashrec.bucketing import Assignment
from hashrec.bucketing.rules import Numbered
from hashrec.errors import UsageError
from hashrec.training import HashedEmbedding, HashedEmbeddingBag, Replaced


def modulo(n: int, rows: int) -> Assignment:
    """Position p uses row p mod rows."""
    buckets = (np.arange(n, dtype=np.int32) % rows)[:, None]
    return Assignment("item", pa.array(range(n)), buckets, rows, (Numbered(1, rows),))


class Model(nn.Module):
    """10 users and 6 items of 4 dimensions, and a layer of 4 * 1 + 1: 69 parameters."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.users = nn.Embedding(10, 4, **options)
        self.items = nn.EmbeddingBag(6, 4, mode="sum", **options)
        self.head = nn.Linear(4, 1)

    def forward(self, users: Any, baskets: Any) -> Any:
        return self.head(self.users(users) + self.items(baskets))


BOTH = {"users": modulo(10, 3), "items": modulo(6, 2)}
BATCH = (torch.tensor([0, 7, 9]), torch.tensor([[0, 1], [5, 5], [2, 3]]))


class TestWhatComesOut:
    def test_counts_by_hand(self) -> None:
        """(3 + 2) rows of 4 and the layer's 5; four bytes each, and four for each position."""
        small = hr.compress(Model(), BOTH)
        assert (small.parameters_before, small.parameters_after) == (69, 25)
        assert (small.bytes_before, small.bytes_after) == (276, 100 + 4 * 16)
        assert small.replaced == (
            Replaced("users", 10, 3, 4, bytes_before=160, bytes_after=48, index_bytes=40),
            Replaced("items", 6, 2, 4, bytes_before=96, bytes_after=32, index_bytes=24),
        )

    def test_reads_well(self) -> None:
        assert str(hr.compress(Model(), BOTH)) == (
            "69 -> 25 parameters (36.2%), 276 -> 164 bytes with the index\n"
            "  users  10 -> 3 rows of 4, index 40 bytes\n"
            "  items  6 -> 2 rows of 4, index 24 bytes"
        )

    def test_the_original_is_untouched(self) -> None:
        model = Model()
        before = copy.deepcopy(model.state_dict())
        small = hr.compress(model, BOTH).model
        with torch.no_grad():
            small.head.weight.fill_(9)
        assert type(model.users) is nn.Embedding
        assert before.keys() == model.state_dict().keys()
        assert all(torch.equal(before[key], held) for key, held in model.state_dict().items())

    def test_inplace_changes_the_model_itself(self) -> None:
        model = Model()
        assert hr.compress(model, BOTH, inplace=True).model is model
        assert type(model.users) is HashedEmbedding
        assert type(model.items) is HashedEmbeddingBag

    def test_rows_are_means_of_what_was_there(self) -> None:
        model = Model()
        small = hr.compress(model, BOTH).model
        expected = model.users.weight[[1, 4, 7]].mean(dim=0)
        torch.testing.assert_close(small.users.weight[1], expected)
        torch.testing.assert_close(small.items.weight[1], model.items.weight[[1, 3, 5]].mean(dim=0))

    def test_one_row_for_each_id_changes_nothing(self) -> None:
        model = Model()
        small = hr.compress(model, {"users": modulo(10, 10), "items": modulo(6, 6)}).model
        torch.testing.assert_close(small(*BATCH), model(*BATCH))

    def test_from_scratch_with_a_generator(self) -> None:
        tables = [
            hr.compress(
                Model(), BOTH, from_weights=False, generator=torch.Generator().manual_seed(seed)
            ).model.users.weight
            for seed in (3, 3, 4)
        ]
        assert torch.equal(tables[0], tables[1])
        assert not torch.equal(tables[0], tables[2])

    @pytest.mark.parametrize("from_weights", [True, False])
    def test_settings_are_kept(self, from_weights: bool) -> None:
        model = Model(padding_idx=2, sparse=True, dtype=torch.float64).eval()
        model.items.include_last_offset = True
        model.users.weight.requires_grad_(False)
        small = hr.compress(model, BOTH, from_weights=from_weights).model
        for table in (small.users, small.items):
            assert (table.padding_idx, table.sparse, table.embedding_dim) == (2, True, 4)
            assert table.weight.dtype == torch.float64
            assert not table.training
        assert (small.users.weight.requires_grad, small.items.weight.requires_grad) == (False, True)
        assert (small.items.mode, small.items.include_last_offset) == ("sum", True)

    @pytest.mark.parametrize("from_weights", [True, False])
    def test_the_device_is_kept(self, from_weights: bool) -> None:
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        small = hr.compress(Model().to("cuda"), BOTH, from_weights=from_weights).model
        assert {held.device.type for held in small.state_dict().values()} == {"cuda"}

    @pytest.mark.parametrize("inplace", [False, True])
    def test_tables_inside_containers(self, inplace: bool) -> None:
        model = nn.ModuleDict(
            {
                "towers": nn.ModuleList([nn.Embedding(6, 2), nn.Embedding(6, 2)]),
                "deep": nn.Sequential(nn.Embedding(6, 2), nn.Linear(2, 2)),
                "alone": nn.Embedding(6, 2),
            }
        )
        paths = ["towers.1", "deep.0", "alone"]
        small = hr.compress(model, dict.fromkeys(paths, modulo(6, 2)), inplace=inplace).model
        for path in paths:
            assert type(small.get_submodule(path)) is HashedEmbedding
        assert type(small["towers"][0]) is nn.Embedding
        assert small["deep"](torch.tensor([1, 5])).shape == (2, 2)

    def test_a_model_that_is_a_table(self) -> None:
        assert type(hr.compress(nn.Embedding(6, 2), {"": modulo(6, 2)}).model) is HashedEmbedding

    @pytest.mark.parametrize("inplace", [False, True])
    def test_a_table_at_two_paths_stays_one(self, inplace: bool) -> None:
        model = nn.Module()
        model.one = model.two = nn.Embedding(6, 2)
        model.deep = nn.Sequential(model.one)
        assignment = modulo(6, 2)
        small = hr.compress(model, {"one": assignment, "deep.0": assignment}, inplace=inplace)
        assert type(small.model.one) is HashedEmbedding
        assert small.model.one is small.model.two is small.model.deep[0]
        assert small.parameters_after == 4
        assert [table.path for table in small.replaced] == ["one"]

    def test_plain_references_follow_into_the_copy(self) -> None:
        """A list that a model keeps of its tables, which is no ModuleList."""
        model = Model()
        model.tables = [model.users]
        small = hr.compress(model, BOTH).model
        assert small.tables[0] is small.users

    def test_a_real_assignment(self) -> None:
        log = hr.planted(10, 6, communities=2, degree=3, noise=0.1, seed=0).interactions
        found = hr.buckets(log, "modulo", rows=0.5)
        small = hr.compress(Model(), {"users": found.users, "items": found.items})
        assert sum(table.rows_after for table in small.replaced) == found.rows


class TestTraining:
    @pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.SparseAdam])
    def test_a_step_moves_the_rows_that_were_used_and_no_other(self, optimiser: Any) -> None:
        model = nn.Sequential(nn.Embedding(10, 4, sparse=True))
        small = hr.compress(model, {"0": modulo(10, 3)}).model
        before = small[0].weight.detach().clone()
        step = optimiser(small.parameters(), lr=0.1)
        small(torch.tensor([0, 4])).square().sum().backward()
        step.step()
        moved = (small[0].weight != before).any(dim=1)
        assert moved.tolist() == [True, True, False]

    def test_the_loss_falls(self) -> None:
        generator = torch.Generator().manual_seed(0)
        small = hr.compress(Model(), BOTH, from_weights=False, generator=generator).model
        step = torch.optim.SGD(small.parameters(), lr=0.1)
        losses = []
        for _ in range(20):
            step.zero_grad()
            loss = (small.users(BATCH[0]) + small.items(BATCH[1]) - 1).square().mean()
            loss.backward()
            step.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] / 2


class Doubling(nn.Embedding):
    def forward(self, positions: Any) -> Any:
        return 2 * super().forward(positions)


class Named(nn.Embedding):
    """A subclass that looks up as its parent does."""


class Half(nn.Module):
    def forward(self, weight: Any) -> Any:
        return weight / 2


def one(table: Any) -> Any:
    model = nn.Module()
    model.table = table
    return model


class TestRefusals:
    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("user", "no module 'user'; expected one of users, items. Did you mean users"),
            ("zzz", "no module 'zzz'; expected one of users, items.$"),
            ("head", "head: this module is no table; expected nn.Embedding .*; got Linear"),
            ("", "the model: this module is no table; .*; got Model"),
        ],
    )
    def test_paths(self, path: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            hr.compress(Model(), {path: modulo(10, 3)})

    def test_a_model_without_tables(self) -> None:
        with pytest.raises(UsageError, match="no module 'users'; expected a model with tables"):
            hr.compress(nn.Linear(1, 1), {"users": modulo(10, 3)})

    def test_what_is_compressed_already(self) -> None:
        small = hr.compress(Model(), BOTH).model
        with pytest.raises(UsageError, match="users: this module is no table; .*HashedEmbedding"):
            hr.compress(small, BOTH)

    @pytest.mark.parametrize("n", [9, 11])
    def test_another_number_of_ids(self, n: int) -> None:
        message = f"users: the assignment is not of this table's ids; expected 10 ids.*; got {n}"
        with pytest.raises(UsageError, match=message):
            hr.compress(Model(), {"users": modulo(n, 3)})

    def test_nothing_is_changed_when_one_of_two_is_refused(self) -> None:
        model = Model()
        with pytest.raises(UsageError, match="items: the assignment is not of this table's ids"):
            hr.compress(model, BOTH | {"items": modulo(7, 2)}, inplace=True)
        assert type(model.users) is nn.Embedding

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (nn.Embedding(6, 2, max_norm=1.0), "got max_norm, which shared rows do not keep"),
            (nn.EmbeddingBag(6, 2, max_norm=1.0), "got max_norm, which shared rows do not keep"),
            (nn.Embedding(6, 2, scale_grad_by_freq=True), "got scale_grad_by_freq"),
            (nn.EmbeddingBag(6, 2, mode="max"), "got mode 'max', which is no sum of rows"),
            (Doubling(6, 2), "got Doubling, whose own forward would be lost"),
        ],
    )
    def test_what_would_be_lost(self, table: Any, message: str) -> None:
        with pytest.raises(UsageError, match=f"table: the table cannot be replaced; {message}"):
            hr.compress(one(table), {"table": modulo(6, 2)})

    @pytest.mark.parametrize(
        "register",
        [
            "register_forward_hook",
            "register_forward_pre_hook",
            "register_full_backward_hook",
            "register_full_backward_pre_hook",
        ],
    )
    def test_hooks(self, register: str) -> None:
        table = nn.Embedding(6, 2)
        getattr(table, register)(lambda *_: None)
        with pytest.raises(UsageError, match="got hooks, which would be lost"):
            hr.compress(one(table), {"table": modulo(6, 2)})

    def test_a_weight_that_is_computed(self) -> None:
        table = nn.Embedding(6, 2)
        parametrize.register_parametrization(table, "weight", Half())
        with pytest.raises(UsageError, match="a weight that is computed"):
            hr.compress(one(table), {"table": modulo(6, 2)})

    def test_a_subclass_that_looks_up_as_its_parent_is_welcome(self) -> None:
        small = hr.compress(one(Named(6, 2)), {"table": modulo(6, 2)}).model
        assert type(small.table) is HashedEmbedding

    def test_a_tied_weight(self) -> None:
        model = one(nn.Embedding(6, 2))
        model.head = nn.Linear(2, 6, bias=False)
        model.head.weight = model.table.weight
        with pytest.raises(UsageError, match="table: the weight is tied to head.weight; .*Untie"):
            hr.compress(model, {"table": modulo(6, 2)})

    def test_one_table_with_two_assignments(self) -> None:
        model = nn.Module()
        model.one = model.two = nn.Embedding(6, 2)
        first = modulo(6, 2)
        with pytest.raises(UsageError, match="one and two are one table; expected one assignment"):
            hr.compress(model, {"one": first, "two": replace(first)})

    def test_a_table_in_place_of_itself(self) -> None:
        with pytest.raises(UsageError, match="a table cannot be replaced in itself"):
            hr.compress(nn.Embedding(6, 2), {"": modulo(6, 2)}, inplace=True)
