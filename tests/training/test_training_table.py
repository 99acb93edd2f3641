"""Tables of shared rows against a dense oracle: one-hot (n, rows) matrix times the weight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch
from torch import nn

import hashrec as hr
from hashrec.bucketing import METHODS, Assignment
from hashrec.bucketing.rules import Numbered
from hashrec.errors import UsageError
from hashrec.training import HashedEmbedding, HashedEmbeddingBag

COMBINERS = ("sum", "mean", "weighted")
DIM = 6


def by_hand(buckets: list[list[int]], rows: int, weights: Any = None, **more: Any) -> Assignment:
    table = np.array(buckets, dtype=np.int32)
    if weights is not None:
        more |= {"combiner": "weighted", "weights": np.array(weights, dtype=np.float32)}
    rules = (Numbered(1, rows),) * table.shape[1]
    return Assignment("item", pa.array(range(len(table))), table, rows, rules, **more)


def recombined(assignment: Assignment, combiner: Any, seed: int = 0) -> Assignment:
    """The same buckets under another combiner; random weights of both signs where it has some."""
    random = np.random.default_rng(seed)
    weights = random.normal(size=assignment.buckets.shape).astype(np.float32)
    return replace(
        assignment, combiner=combiner, weights=weights if combiner == "weighted" else None
    )


def dense(assignment: Assignment) -> npt.NDArray[np.float64]:
    """(n, rows): what each row counts in each vector, added up way by way."""
    matrix = np.zeros((len(assignment), assignment.rows))
    for position, used in enumerate(assignment.buckets):
        for way, row in enumerate(used):
            share = 1.0
            if assignment.combiner == "mean":
                share = 1 / len(used)
            elif assignment.weights is not None:
                share = float(assignment.weights[position, way])
            matrix[position, row] += share
    return matrix


@pytest.fixture(scope="module")
def found() -> dict[str, Assignment]:
    """The items of a small log under every method there is."""
    log = hr.planted(50, 40, communities=4, degree=5, noise=0.1, seed=0).interactions
    features = np.random.default_rng(1).normal(size=(50, 5))
    return {
        method: hr.buckets(
            log, method, rows=0.5, user_features=features, item_features=features[:40]
        ).items
        for method in METHODS
    }


# Four ids, three rows; the second id uses row 2 twice, and row 0 belongs to the first alone.
TWO_WAYS = by_hand([[0, 1], [2, 2], [1, 2], [2, 1]], 3)


class TestForwardAndGradient:
    @pytest.mark.parametrize("sparse", [False, True])
    @pytest.mark.parametrize("combiner", COMBINERS)
    @pytest.mark.parametrize("method", list(METHODS))
    def test_equal_the_dense_product(
        self, found: dict[str, Assignment], method: str, combiner: str, sparse: bool
    ) -> None:
        assignment = recombined(found[method], combiner)
        table = HashedEmbedding(assignment, DIM, sparse=sparse, dtype=torch.float64)
        positions = np.random.default_rng(2).integers(0, len(assignment), (3, 7))
        upstream = np.random.default_rng(3).normal(size=(3, 7, DIM))
        vectors = table(torch.tensor(positions))
        vectors.backward(torch.tensor(upstream))

        chosen = dense(assignment)[positions.ravel()]
        width = assignment.width(DIM)
        expected = np.zeros((21, DIM))
        expected[:, :width] = chosen @ table.weight.detach().numpy()
        np.testing.assert_allclose(
            vectors.detach().numpy(), expected.reshape(3, 7, DIM), rtol=1e-12, atol=1e-12
        )
        gradient = table.weight.grad
        assert gradient.is_sparse is sparse
        np.testing.assert_allclose(
            gradient.to_dense().numpy() if sparse else gradient.numpy(),
            chosen.T @ upstream.reshape(21, DIM)[:, :width],
            rtol=1e-12,
            atol=1e-12,
        )

    @pytest.mark.parametrize("combiner", COMBINERS)
    def test_a_row_used_twice_by_one_id(self, combiner: str) -> None:
        assignment = recombined(TWO_WAYS, combiner)
        table = HashedEmbedding(assignment, 2, dtype=torch.float64)
        expected = dense(assignment) @ table.weight.detach().numpy()
        np.testing.assert_allclose(table.full().detach().numpy(), expected, rtol=1e-12)

    def test_one_weighted_way_is_weighted(self) -> None:
        table = HashedEmbedding(by_hand([[0], [0]], 1, [[2.0], [-0.5]]), 2, weight=torch.ones(1, 2))
        assert table.full().tolist() == [[2, 2], [-0.5, -0.5]]

    def test_the_last_dimensions_are_zero_where_rows_are_short(self) -> None:
        short = by_hand([[0], [1]], 2, dim_share=0.5)
        table = HashedEmbedding(short, 4, weight=torch.tensor([[1.0, 2], [3, 4]]))
        assert table.weight.shape == (2, 2)
        assert table(torch.tensor(1)).tolist() == [3, 4, 0, 0]

    @pytest.mark.parametrize("sparse", [False, True])
    def test_untouched_rows_get_no_gradient(self, sparse: bool) -> None:
        table = HashedEmbedding(TWO_WAYS, 2, sparse=sparse)
        table(torch.tensor([2, 2])).sum().backward()
        gradient = table.weight.grad
        if sparse:
            assert gradient.coalesce().indices().tolist() == [[1, 2]]
        assert gradient.to_dense().tolist() == [[0, 0], [2, 2], [2, 2]]

    @pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
    @pytest.mark.parametrize("shape", [(), (3,), (0,), (2, 0), (2, 1, 2)])
    def test_shapes_and_integers(self, dtype: Any, shape: tuple[int, ...]) -> None:
        table = HashedEmbedding(TWO_WAYS, 5)
        vectors = table(torch.ones(shape, dtype=dtype))
        assert vectors.shape == (*shape, 5)
        assert vectors.dtype == torch.float32
        assert torch.equal(vectors, (2 * table.weight[2]).expand(*shape, 5))
        vectors.sum().backward()

    def test_a_table_of_no_ids_takes_no_positions(self) -> None:
        empty = Assignment("item", pa.array([], pa.int64()), np.zeros((0, 2), np.int32), 3,
                           (Numbered(1, 3),) * 2)  # fmt: skip
        table = HashedEmbedding(empty, 4)
        assert table(torch.zeros(0, dtype=torch.int64)).shape == (0, 4)
        with pytest.raises(UsageError, match="no id has the position 0; expected none, without"):
            table(torch.tensor([0]))


class TestPositionsThatNobodyHas:
    @pytest.mark.parametrize("kind", [HashedEmbedding, HashedEmbeddingBag])
    @pytest.mark.parametrize("position", [4, -1])
    def test_are_refused(self, kind: Any, position: int) -> None:
        message = f"no id has the position {position}; expected 0 to 3, the table being of 4 ids"
        with pytest.raises(UsageError, match=message):
            kind(TWO_WAYS, 2)(torch.tensor([[0, position, 3]]))

    def test_minus_one_is_not_the_last(self) -> None:
        """Where looking is too dear (on an accelerator), torch itself must stop."""
        with pytest.raises(IndexError, match="out of range"):
            HashedEmbedding(TWO_WAYS, 2).rows_of(torch.tensor([-1]))

    def test_floats_are_no_positions(self) -> None:
        message = "positions of a wrong dtype; expected int32 or int64; got torch.float32"
        with pytest.raises(UsageError, match=message):
            HashedEmbedding(TWO_WAYS, 2)(torch.tensor([1.0]))


class TestPadding:
    @pytest.mark.parametrize("sparse", [False, True])
    @pytest.mark.parametrize("padding", [2, -2])
    def test_is_zero_and_trains_nothing_while_its_rows_train_through_others(
        self, sparse: bool, padding: int
    ) -> None:
        table = HashedEmbedding(TWO_WAYS, 2, padding_idx=padding, sparse=sparse)
        assert table.padding_idx == 2
        vectors = table(torch.tensor([[2, 0], [2, 2]]))
        assert vectors[0, 0].tolist() == vectors[1, 0].tolist() == [0, 0]
        assert torch.equal(vectors[0, 1], table.weight[0] + table.weight[1])
        vectors.sum().backward()
        if sparse:  # not even a zero: SparseAdam would move a row by its momentum
            assert table.weight.grad.coalesce().indices().tolist() == [[0, 1]]
        assert table.weight.grad.to_dense().tolist() == [[1, 1], [1, 1], [0, 0]]

    def test_stays_zero_where_its_row_is_not_finite(self) -> None:
        rows = torch.tensor([[1.0], [2], [float("nan")]])
        table = HashedEmbedding(TWO_WAYS, 1, padding_idx=1, weight=rows)
        assert table(torch.tensor([1, 0])).tolist() == [[0], [3]]

    def test_outside_the_ids_is_refused(self) -> None:
        with pytest.raises(UsageError, match="padding_idx is no position; expected one of 4 ids"):
            HashedEmbedding(TWO_WAYS, 2, padding_idx=4)


class TestBag:
    """Against nn.EmbeddingBag on the decompressed table."""

    @staticmethod
    def pair(combiner: str, padding: int | None = None, **options: Any) -> tuple[Any, Any]:
        assignment = recombined(TWO_WAYS, combiner)
        table = HashedEmbeddingBag(
            assignment, 3, dtype=torch.float64, padding_idx=padding, **options
        )
        options.pop("sparse", None)
        # Not `full()`, whose padding is zero: the judge must leave it out by itself.
        vectors = torch.tensor(dense(assignment)) @ table.weight.detach()
        judge = nn.EmbeddingBag.from_pretrained(
            vectors, freeze=False, padding_idx=padding, **options
        )
        return table, judge

    @staticmethod
    def check(table: Any, judge: Any, *arguments: Any) -> None:
        """Equal vectors; and A'G of the judge's dense gradient G is the gradient of the rows."""
        found, expected = table(*arguments), judge(*arguments)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        upstream = torch.arange(found.numel(), dtype=torch.float64).reshape(found.shape)
        found.backward(upstream)
        expected.backward(upstream)
        weights = table.bucket_weights
        combiner = {"combiner": table.combiner} if weights is None else {}
        weights = None if weights is None else weights.tolist()
        matrix = dense(by_hand(table.buckets.tolist(), 3, weights, **combiner))
        torch.testing.assert_close(
            table.weight.grad.to_dense(), torch.tensor(matrix.T) @ judge.weight.grad
        )

    @pytest.mark.parametrize("sparse", [False, True])
    @pytest.mark.parametrize("padding", [None, 3])
    @pytest.mark.parametrize("mode", ["sum", "mean"])
    @pytest.mark.parametrize("combiner", COMBINERS)
    @pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
    def test_bags_in_rows(
        self, combiner: str, mode: str, padding: int | None, sparse: bool, dtype: Any
    ) -> None:
        table, judge = self.pair(combiner, padding, mode=mode, sparse=sparse)
        self.check(table, judge, torch.tensor([[0, 3, 1], [3, 3, 3], [2, 2, 0]], dtype=dtype))
        assert table.weight.grad.is_sparse is sparse

    @pytest.mark.parametrize("last", [False, True])
    @pytest.mark.parametrize("padding", [None, 3])
    @pytest.mark.parametrize("mode", ["sum", "mean"])
    @pytest.mark.parametrize("combiner", COMBINERS)
    def test_bags_by_offsets_some_empty(
        self, combiner: str, mode: str, padding: int | None, last: bool
    ) -> None:
        table, judge = self.pair(combiner, padding, mode=mode, include_last_offset=last)
        offsets = [0, 0, 3, 4, 4, 6] + [6] * last
        positions = torch.tensor([0, 3, 1, 3, 2, 2])
        self.check(table, judge, positions, torch.tensor(offsets))
        empty = table(positions, torch.tensor(offsets))[[0, 3, 5]]
        assert empty.tolist() == [[0, 0, 0]] * 3

    @pytest.mark.parametrize("sparse", [False, True])
    @pytest.mark.parametrize("padding", [None, 3])
    @pytest.mark.parametrize("combiner", COMBINERS)
    def test_weights_of_samples_and_their_gradient(
        self, combiner: str, padding: int | None, sparse: bool
    ) -> None:
        table, judge = self.pair(combiner, padding, mode="sum", sparse=sparse)
        positions = torch.tensor([[0, 3, 1], [2, 2, 0]])
        samples = [
            torch.linspace(-1, 2, 6, dtype=torch.float64).reshape(2, 3).requires_grad_()
            for _ in range(2)
        ]
        for bag, sample in zip((table, judge), samples, strict=True):
            (bag(positions, per_sample_weights=sample) ** 2).sum().backward()
        torch.testing.assert_close(samples[0].grad, samples[1].grad)
        table.weight.grad = judge.weight.grad = None
        self.check(table, judge, positions, None, samples[0].detach())

    @pytest.mark.parametrize("mode", ["sum", "mean"])
    def test_no_bags_and_bags_of_nothing(self, mode: Any) -> None:
        table = HashedEmbeddingBag(TWO_WAYS, 3, mode=mode)
        none = torch.zeros(0, dtype=torch.int64)
        assert table(none, none).shape == (0, 3)
        assert table(none, torch.tensor([0, 0])).tolist() == [[0, 0, 0]] * 2
        assert table(none.reshape(2, 0)).tolist() == [[0, 0, 0]] * 2

    def test_short_rows_are_widened(self) -> None:
        short = by_hand([[0], [1]], 2, dim_share=0.5)
        table = HashedEmbeddingBag(short, 2, mode="sum", weight=torch.tensor([[1.0], [3]]))
        assert table(torch.tensor([[0, 1]])).tolist() == [[4, 0]]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([[0]], [0]), "offsets with bags in rows; expected one or the other"),
            (([0],), "positions without bags; .*; got 1 dimensions and no offsets"),
            (([[[0]]], [0]), "positions without bags; .*; got 3 dimensions and offsets"),
            (([0, 1], [1]), r"cut the positions .* ascending from 0 to 2 at most; got \[1, 2\]"),
            (([0, 1], [0, 2, 1]), r"do not cut the positions into bags"),
            (([0, 1], [0, 3]), r"do not cut the positions into bags"),
            (([[0, 1]], None, [1.0]), "per_sample_weights does not fit; expected 1 x 2; got 1"),
        ],
    )
    def test_what_makes_no_bags(self, arguments: Any, message: str) -> None:
        tensors = [None if given is None else torch.tensor(given) for given in arguments]
        with pytest.raises(UsageError, match=message):
            HashedEmbeddingBag(TWO_WAYS, 3, mode="sum")(*tensors)

    def test_an_end_before_the_last_position_is_refused(self) -> None:
        table = HashedEmbeddingBag(TWO_WAYS, 3, include_last_offset=True)
        with pytest.raises(UsageError, match="do not cut the positions into bags"):
            table(torch.tensor([0, 1]), torch.tensor([0, 1]))

    def test_means_take_no_weights_of_samples(self) -> None:
        with pytest.raises(UsageError, match="per_sample_weights need the mode sum"):
            HashedEmbeddingBag(TWO_WAYS, 3)(torch.tensor([[0]]), None, torch.ones(1, 1))

    def test_there_is_no_max(self) -> None:
        mode: Any = "max"
        with pytest.raises(UsageError, match="expected sum or mean; got 'max'"):
            HashedEmbeddingBag(TWO_WAYS, 3, mode=mode)


class TestStartingFromAFullTable:
    def test_a_row_is_the_mean_of_those_that_share_it(self) -> None:
        """Row 1 is shared by the ids 1 and 2; row 2 is nobody's and gets the mean of all."""
        assignment = by_hand([[0], [1], [1]], 3)
        full = torch.tensor([[3.0, 0], [1, 2], [5, 4]])
        table = HashedEmbedding.from_full(assignment, full)
        assert table.weight.tolist() == [[3, 0], [3, 3], [3, 2]]
        assert full.tolist() == [[3, 0], [1, 2], [5, 4]]

    @pytest.mark.parametrize("vector", [100.0, float("nan"), float("inf")])
    def test_the_padding_counts_for_nothing(self, vector: float) -> None:
        assignment = by_hand([[0], [1], [1]], 3)
        full = torch.tensor([[3.0], [vector], [5]])
        table = HashedEmbedding.from_full(assignment, full, padding_idx=-2)
        assert table.weight.tolist() == [[3], [5], [4]]

    def test_one_weighted_way_by_hand(self) -> None:
        """Nearest to x = (2, 8) with weights (1, 2): (1*2 + 2*8) / (1 + 4)."""
        table = HashedEmbedding.from_full(
            by_hand([[0], [0]], 1, [[1.0], [2.0]]), torch.tensor([[2.0], [8.0]])
        )
        assert table.weight.tolist() == [[pytest.approx(3.6)]]

    def test_weights_that_cancel_use_no_row(self) -> None:
        """Id 0 takes row 0 once and leaves it once; so row 0 gets the mean of all."""
        assignment = by_hand([[0, 0], [1, 1]], 2, [[1.0, -1.0], [0.5, 0.5]])
        table = HashedEmbedding.from_full(assignment, torch.tensor([[4.0], [8.0]]))
        assert table.weight.tolist() == [[6], [8]]

    def test_a_row_nobody_uses_under_sum(self) -> None:
        """Two such rows make an id that comes later the mean vector."""
        table = HashedEmbedding.from_full(
            by_hand([[0, 1], [1, 0]], 3), torch.tensor([[4.0], [8.0]])
        )
        assert table.weight.flatten().tolist() == pytest.approx([3, 3, 3])

    @pytest.mark.parametrize("combiner", COMBINERS)
    @pytest.mark.parametrize("dim", [3, 40])
    def test_several_ways_are_least_squares(self, combiner: str, dim: int) -> None:
        random = np.random.default_rng(4)
        buckets = random.integers(0, 12, (60, 2)).tolist()
        assignment = recombined(by_hand(buckets, 12), combiner)
        full = random.normal(size=(60, dim))
        table = HashedEmbedding.from_full(assignment, torch.tensor(full))
        assert table.weight.dtype == torch.float64
        expected = np.linalg.lstsq(dense(assignment), full)[0]
        np.testing.assert_allclose(table.weight.detach().numpy(), expected, atol=1e-4)

    def test_quotient_and_remainder_give_back_what_they_can_hold(self) -> None:
        """Singular normal equations: a constant can move from one way's rows to the other's."""
        assignment = by_hand([[at // 4, 4 + at % 4] for at in range(16)], 8)
        rows = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
        full = HashedEmbedding(assignment, 3, weight=rows, dtype=torch.float64).full()
        again = HashedEmbedding.from_full(assignment, full)
        torch.testing.assert_close(again.full(), full, atol=1e-5, rtol=0)

    def test_short_rows_take_the_first_dimensions(self) -> None:
        short = by_hand([[0], [0]], 1, dim_share=0.5)
        table = HashedEmbedding.from_full(short, torch.tensor([[1.0, 9], [3, 9]]))
        assert table.full().tolist() == [[2, 0], [2, 0]]

    def test_another_shape_is_refused(self) -> None:
        with pytest.raises(UsageError, match="full table does not fit; expected 4 x 2; got 5 x 2"):
            HashedEmbedding(TWO_WAYS, 2).init_from(torch.zeros(5, 2))

    def test_no_generator_is_advanced(self) -> None:
        state = torch.get_rng_state()
        HashedEmbedding.from_full(TWO_WAYS, torch.ones(4, 2))
        assert torch.equal(torch.get_rng_state(), state)


class TestDraws:
    def test_the_same_generator_the_same_rows(self) -> None:
        draws = [
            HashedEmbedding(TWO_WAYS, 50, generator=torch.Generator().manual_seed(seed)).weight
            for seed in (7, 7, 8)
        ]
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2])

    def test_rows_are_standard_normal(self) -> None:
        table = HashedEmbedding(TWO_WAYS, 9000, generator=torch.Generator().manual_seed(0))
        assert table.weight.mean().item() == pytest.approx(0, abs=0.03)
        assert table.weight.std().item() == pytest.approx(1, abs=0.03)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"dim": 0}, "a vector needs dimensions; expected dim of 1 or more; got 0"),
            ({"dim": 2, "weight": torch.zeros(2, 2)}, "weight does not fit; expected 3 x 2; got 2"),
        ],
    )
    def test_what_cannot_be_made(self, options: Any, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            HashedEmbedding(TWO_WAYS, **options)


class TestState:
    @pytest.mark.parametrize("kind", [HashedEmbedding, HashedEmbeddingBag])
    @pytest.mark.parametrize("combiner", COMBINERS)
    def test_is_complete(self, kind: Any, combiner: str) -> None:
        """A table made with other buckets and weights becomes the saved one, rows and all."""
        table = kind(recombined(TWO_WAYS, combiner), 2)
        other = kind(recombined(by_hand([[0, 0]] * 4, 3), combiner, seed=9), 2)
        other.load_state_dict(table.state_dict())
        assert torch.equal(other.full(), table.full())

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (
                by_hand([[0, 1]] * 5, 3),
                r"0.buckets: the state is of another table; expected 5 x 2 \(ids x ways\); got 4 x",
            ),
            (
                by_hand([[0, 1]] * 4, 9),
                r"0.weight: the state is of another table; expected 9 x 2 \(rows x width\); got 3",
            ),
        ],
    )
    def test_of_another_size_is_refused(self, other: Assignment, message: str) -> None:
        state = nn.Sequential(HashedEmbedding(TWO_WAYS, 2)).state_dict()
        with pytest.raises(UsageError, match=message):
            nn.Sequential(HashedEmbedding(other, 2)).load_state_dict(state)

    def test_the_buffers_do_not_follow_the_caller(self) -> None:
        assignment = by_hand([[0], [1]], 2)
        table = HashedEmbedding(assignment, 2)
        assignment.buckets[:] = 0
        assert table.buckets.tolist() == [[0], [1]]

    def test_moving_moves_all(self) -> None:
        table = HashedEmbedding(recombined(TWO_WAYS, "weighted"), 2).to("meta")
        assert {held.device.type for held in table.state_dict().values()} == {"meta"}
        assert len(table.state_dict()) == 3

    def test_other_precision(self) -> None:
        table = HashedEmbedding(recombined(TWO_WAYS, "weighted"), 2).half()
        assert table.full().dtype == torch.float16
        assert table.buckets.dtype == torch.int32

    def test_sizes(self) -> None:
        table = HashedEmbedding(recombined(TWO_WAYS, "weighted"), 5)
        assert (table.num_embeddings, table.embedding_dim, table.rows, table.ways) == (4, 5, 3, 2)
        assert (table.n_parameters, table.table_bytes) == (15, 60)
        assert table.index_bytes == 4 * 2 * (4 + 4)
        assert table.total_bytes == 60 + 64
        assert HashedEmbedding(by_hand([[0], [1], [2]], 3), 5).total_bytes == 60
        assert HashedEmbedding(by_hand([[0], [1], [2]], 4), 5).total_bytes == 80 + 12
        assert HashedEmbedding(by_hand([[0], [2], [2]], 3), 5).total_bytes == 60 + 12
        assert HashedEmbedding(by_hand([[0, 1], [1, 2], [2, 0]], 3), 5).total_bytes == 60 + 24
        assert table.half().table_bytes == 30

    def test_repr(self) -> None:
        table = HashedEmbedding(TWO_WAYS, 5, padding_idx=0, sparse=True)
        assert repr(table) == (
            "HashedEmbedding(4, 5, rows=3, ways=2, combiner=sum, padding_idx=0, sparse=True)"
        )
        bag = HashedEmbeddingBag(by_hand([[0]], 1), 5)
        assert repr(bag) == "HashedEmbeddingBag(1, 5, rows=1, ways=1, mode=mean)"


class TestExtending:
    @pytest.mark.parametrize("combiner", COMBINERS)
    def test_newcomers_share_rows_and_nothing_else_changes(self, combiner: str) -> None:
        assignment = recombined(TWO_WAYS, combiner)
        table = HashedEmbedding(assignment, 2, padding_idx=-1)
        weight, before = table.weight, table.full()
        longer = assignment.extend(pa.array([10, 11]))
        table.extend_(longer)
        assert table.weight is weight
        assert table.num_embeddings == 6
        assert table.padding_idx == 3
        assert torch.equal(table.full()[:4], before)
        assert table.buckets.tolist() == longer.buckets.tolist()
        table(torch.tensor([5])).sum().backward()

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (by_hand([[0, 1]] * 5, 4), "expected 3 rows, 2 ways, combiner sum, width 2; got 4 row"),
            (recombined(TWO_WAYS, "mean"), "got 3 rows, 2 ways, combiner mean, width 2"),
            (replace(TWO_WAYS, dim_share=0.5), "got 3 rows, 2 ways, combiner sum, width 1"),
            (by_hand([[0, 1]] * 5, 3), "expected the first 4 ids to stay in their rows"),
            (by_hand([[0, 1]], 3), "no extension of the present one"),
        ],
    )
    def test_what_is_no_extension(self, other: Assignment, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            HashedEmbedding(TWO_WAYS, 2).extend_(other)

    def test_other_weights_are_no_extension(self) -> None:
        table = HashedEmbedding(recombined(TWO_WAYS, "weighted"), 2)
        with pytest.raises(UsageError, match="no extension of the present one"):
            table.extend_(recombined(TWO_WAYS, "weighted", seed=1))


@pytest.mark.parametrize("device", ["cuda"])
def test_on_an_accelerator(device: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    table = HashedEmbedding(recombined(TWO_WAYS, "weighted"), 2, padding_idx=0)
    moved = HashedEmbedding(recombined(TWO_WAYS, "weighted"), 2, padding_idx=0).to(device)
    moved.load_state_dict(table.state_dict())
    torch.testing.assert_close(moved.full().cpu(), table.full())
