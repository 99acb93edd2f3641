"""What each method means exactly, on cases small enough to be worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from hashrec.bucketing import METHODS, Assignment
from hashrec.bucketing.arrivals import Arrivals
from hashrec.bucketing.budget import Budget
from hashrec.bucketing.frequency import busiest
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.hashing import Universal, hash_oracle
from hashrec.bucketing.method import Side, SideMethod, Sides
from hashrec.bucketing.modulo import Modulo
from hashrec.bucketing.projected import Projected, cut, row_of
from hashrec.bucketing.projecting import codes_of_edges, codes_of_features, normal_oracle
from hashrec.bucketing.quotient_remainder import divisor
from hashrec.bucketing.rules import RULES, Numbered
from hashrec.csr import Csr
from hashrec.errors import RecipeError, UsageError

Weights = npt.NDArray[np.float32]


def side_of(rows: list[list[int]], *, columns: int = 50, **more: Any) -> Side:
    """Ids 100, 101, ... that have met the given columns."""
    ids = pa.array(range(100, 100 + len(rows)))
    return Side("user", ids, Csr.from_lists(rows, n_columns=columns), **more)


def plain(n: int) -> Side:
    return side_of([[at % 50] for at in range(n)])


def assigned(method: Any, side: Side, rows: int, seed: int = 0) -> Assignment:
    parsed = METHODS.parse(method)
    assert isinstance(parsed, SideMethod)
    return parsed.assign_side(side, rows, seed)


def hashed(side: Side, seed: int, way: int, rows: int) -> npt.NDArray[np.int64]:
    stream = Universal(seed, f"{side.name} {way}")
    return np.array(hash_oracle(side.ids.to_pylist(), stream, rows))


class TestModulo:
    def test_position_modulo_rows(self) -> None:
        found = assigned("modulo", plain(7), 3)
        assert found.buckets[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
        assert found.rules == (Numbered(1, 3),)
        assert found.extend([200, 201]).buckets[7:, 0].tolist() == [1, 2]


class TestRandom:
    def test_hash_of_the_raw_id(self) -> None:
        side = plain(60)
        found = assigned("random", side, 9, seed=4)
        assert found.buckets[:, 0].tolist() == hashed(side, 4, 0, 9).tolist()
        assert found.rules == (Hashed(4, "user 0", 9),)

    def test_an_id_has_its_row_whenever_it_comes(self) -> None:
        early = assigned("random", plain(60), 9)
        late = assigned("random", plain(40), 9).extend(list(range(140, 160)))
        assert late.buckets.tolist() == early.buckets.tolist()

    def test_users_and_items_are_hashed_apart(self) -> None:
        users = plain(60)
        found = assigned("random", users, 9), assigned("random", replace(users, name="item"), 9)
        assert found[0].buckets.tolist() != found[1].buckets.tolist()


class TestDouble:
    def test_two_hashes_into_the_same_rows(self) -> None:
        side = plain(60)
        found = assigned("double", side, 9, seed=4)
        assert (found.combiner, found.rows) == ("sum", 9)
        for way in range(2):
            assert found.buckets[:, way].tolist() == hashed(side, 4, way, 9).tolist()
        assert (found.buckets[:, 0] != found.buckets[:, 1]).any()


# Degrees 1, 3, 2, 3, 1, 2: by falling degree and then position, ids 1, 3, 2, 5, 0, 4.
UNEVEN = [[0], [0, 1, 2], [1, 2], [3, 4, 5], [5], [6, 7]]
# Weights that turn the order round: sums 9, 3, 2, 3, 1, 20.
HEAVY = np.array([9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10, 10], dtype=np.float32)


class TestFrequency:
    def test_the_busiest_own_the_first_rows_ties_by_position(self) -> None:
        found = assigned("frequency", side_of(UNEVEN), 4)
        assert found.buckets[[1, 3], 0].tolist() == [0, 1]
        others = [0, 2, 4, 5]
        wanted = 2 + hashed(side_of(UNEVEN), 0, 0, 2)[others]
        assert found.buckets[others, 0].tolist() == wanted.tolist()
        assert found.rules == (Hashed(0, "user 0", 2, 2),)

    def test_weights_count_if_there_are_any(self) -> None:
        side = side_of(UNEVEN, weights=HEAVY)
        assert busiest(side).tolist() == [5, 0, 1, 3, 2, 4]
        assert busiest(replace(side, weights=None)).tolist() == [1, 3, 2, 5, 0, 4]
        assert assigned("frequency", side, 4).buckets[[5, 0], 0].tolist() == [0, 1]

    @pytest.mark.parametrize(
        ("share", "rows", "owned"),
        [(0.5, 5, 2), (0.5, 1, 0), (0.0, 5, 0), (1.0, 5, 4), (0.2, 5, 1), (0.8, 5, 4)],
    )
    def test_share_of_the_rows_is_owned_and_one_row_left(
        self, share: float, rows: int, owned: int
    ) -> None:
        found = assigned({"name": "frequency", "share": share}, side_of(UNEVEN), rows)
        assert found.rules == (Hashed(0, "user 0", rows - owned, owned),)
        first = [1, 3, 2, 5, 0, 4][:owned]
        assert found.buckets[first, 0].tolist() == list(range(owned))
        assert np.delete(found.buckets, first).min() >= owned

    def test_a_share_that_floats_miss_is_still_whole(self) -> None:
        """0.29 * 100 is 28.999..., and 29 rows are meant."""
        found = assigned({"name": "frequency", "share": 0.29}, plain(200), 100)
        assert found.rules == (Hashed(0, "user 0", 71, 29),)

    def test_a_share_above_one_is_refused(self) -> None:
        with pytest.raises(RecipeError, match="share.*less than or equal to 1.*1.5"):
            METHODS.parse({"name": "frequency", "share": 1.5})


class TestDoubleFrequency:
    def test_owned_rows_stand_twice_the_others_are_hashed_twice(self) -> None:
        side = side_of(UNEVEN)
        found = assigned("double-frequency", side, 4)
        assert found.combiner == "sum"
        assert found.buckets[[1, 3]].tolist() == [[0, 0], [1, 1]]
        for way in range(2):
            wanted = 2 + hashed(side, 0, way, 2)[[0, 2, 4, 5]]
            assert found.buckets[[0, 2, 4, 5], way].tolist() == wanted.tolist()


class TestQuotientRemainder:
    def test_by_hand(self) -> None:
        """10 ids, 7 rows: m = 5 and 2 quotients are 7; m = 6 would be 6 + 2."""
        found = assigned("quotient-remainder", plain(10), 7)
        assert found.buckets[:, 0].tolist() == [0] * 5 + [1] * 5
        assert found.buckets[:, 1].tolist() == [2, 3, 4, 5, 6] * 2
        assert found.combiner == "sum"
        assert found.extend([200]).buckets[10].tolist() == [0, 2]

    @pytest.mark.parametrize("n", [4, 5, 30, 97, 100, 1000])
    def test_pairs_are_distinct_and_no_row_is_wasted(self, n: int) -> None:
        least = math.ceil(2 * math.sqrt(n))
        for rows in sorted({least, least + 1, (least + n) // 2, n}):
            found = assigned("quotient-remainder", plain(n), rows)
            assert found.rows == rows
            assert len(np.unique(found.buckets, axis=0)) == n
            assert (found.sizes > 0).all()

    def test_the_least_number_of_rows_is_the_least(self) -> None:
        for n in range(4, 200):
            least = min(m + -(-n // m) for m in range(1, n + 1))
            with pytest.raises(UsageError, match=f"user_rows: too few rows.*at least {least} "):
                assigned("quotient-remainder", plain(n), least - 1)
            assert assigned("quotient-remainder", plain(n), least).rows == least

    def test_the_divisor_is_the_largest(self) -> None:
        for n in range(4, 60):
            for rows in range(math.ceil(2 * math.sqrt(n)), n + 1):
                m = max(m for m in range(1, n + 1) if m + -(-n // m) <= rows)
                assert divisor(n, rows) == m
                assert m + -(-n // m) == rows


class TestLowDim:
    def test_all_rows_of_fewer_dimensions(self) -> None:
        found = assigned("low-dim", plain(40), 10)
        assert found.buckets[:, 0].tolist() == list(range(40))
        assert (found.rows, found.dim_share) == (40, 0.25)
        assert found.table_bytes(64) == 10 * 64 * 4


def dense_codes(
    edges: Csr, weights: Weights | None, bits: int, seed: int, stream: str
) -> list[int]:
    """The projection of dense rows by whole numbers, bit by bit."""
    dense = np.zeros((edges.n_rows, edges.n_columns))
    dense[edges.row_of_entry, edges.indices] = 1 if weights is None else weights
    normals = np.array(
        [[normal_oracle(q, j, seed, stream) for j in range(bits)] for q in range(edges.n_columns)]
    )
    signs = dense @ normals >= 0
    return [int("".join("01"[int(bit)] for bit in row), 2) for row in signs]


def random_rows(n: int, columns: int, seed: int = 0) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [sorted(random.choice(columns, random.integers(1, 9), replace=False)) for _ in range(n)]


class TestProjection:
    # Twice the entries, from the formula in Python's integers.
    GOLDEN: ClassVar = {
        (0, 0): -12016, (0, 1): 16024, (0, 60): 125122,
        (1, 0): 88954, (1, 1): -944, (1, 60): -32934,
        (2**31 - 1, 0): 29206, (2**31 - 1, 1): 45444, (2**31 - 1, 60): -30968,
    }  # fmt: skip

    def test_entries_are_those_of_the_first_release(self) -> None:
        for (column, bit), wanted in self.GOLDEN.items():
            assert normal_oracle(column, bit, 0, "user structure") == wanted
        far = Csr(np.array([0, 1]), np.array([2**31 - 2], np.int32), 2**31 - 1)
        found = codes_of_edges(far, None, 61, 0, "user structure")
        signs = [normal_oracle(2**31 - 2, j, 0, "user structure") >= 0 for j in range(61)]
        assert [int(bit) for bit in f"{found[0]:061b}"] == signs

    @pytest.mark.parametrize("bits", [1, 7, 61])
    def test_codes_are_the_signs_of_the_dense_product(self, bits: int) -> None:
        edges = Csr.from_lists([[], *random_rows(40, 30)], n_columns=30)
        # Quarters, so that both sums are exact whatever their order.
        weights = (1 + np.arange(len(edges.indices)) % 7).astype(np.float32) / 4
        for given in (None, weights):
            found = codes_of_edges(edges, given, bits, 5, "s")
            assert found.dtype == np.int64
            assert found.tolist() == dense_codes(edges, given, bits, 5, "s")
        assert found[0] == 2**bits - 1

    def test_dense_features_have_the_codes_of_the_same_sparse_rows(self) -> None:
        edges = Csr.from_lists([[], *random_rows(40, 30)], n_columns=30)
        weights = np.random.default_rng(1).standard_normal(len(edges.indices)).astype(np.float32)
        dense = np.zeros((41, 30), dtype=np.float32)
        dense[edges.row_of_entry, edges.indices] = weights
        sparse = codes_of_edges(edges, weights, 61, 5, "s")
        assert codes_of_features(dense, 61, 5, "s").tolist() == sparse.tolist()

    def test_bits_differ_as_often_as_the_angle_says(self) -> None:
        """Half of 20 neighbours in common: cos t = 1/2, so a third of the bits differ."""
        rows = [list(range(20)), list(range(10, 30))]
        edges = Csr.from_lists(rows, n_columns=30)
        codes = [codes_of_edges(edges, None, 61, seed, "s") for seed in range(50)]
        differ = sum(int(one ^ other).bit_count() for one, other in codes)
        bits = 50 * 61
        # Five standard deviations; entries that were signs instead of normal would do as well.
        assert abs(differ - bits / 3) < 5 * math.sqrt(bits * 2 / 9)


class TestCut:
    def test_equal_runs_of_the_distinct_codes(self) -> None:
        codes = np.array([9, 1, 1, 4, 7, 30, 9, 2])  # 1 2 4 | 7 9 30
        assert cut(codes, 2).tolist() == [1, 7]
        assert row_of(codes, cut(codes, 2)).tolist() == [1, 0, 0, 0, 1, 1, 1, 0]
        assert row_of(np.array([0, 6, 99]), cut(codes, 2)).tolist() == [0, 0, 1]
        assert row_of(codes, cut(codes, 2)).dtype == np.int32

    def test_fewer_codes_than_rows_have_one_each(self) -> None:
        assert cut(np.array([5, 3, 5]), 10).tolist() == [3, 5]
        assert cut(np.zeros(0, np.int64), 3).tolist() == []

    def test_rows_of_every_number_are_all_used(self) -> None:
        codes = np.random.default_rng(0).integers(0, 1000, 100)
        for rows in range(1, len(np.unique(codes)) + 1):
            used = np.bincount(row_of(np.unique(codes), cut(codes, rows)))
            assert len(used) == rows
            assert used.max() - used.min() <= 1


class TestLshStructure:
    def test_rows_are_runs_of_the_dense_codes(self) -> None:
        side = side_of(random_rows(60, 50))
        found = assigned("lsh-structure", side, 11, seed=2)
        codes = np.array(dense_codes(side.edges, None, 61, 2, "user structure"))
        distinct = sorted(set(codes.tolist()))
        starts = [distinct[row * len(distinct) // 11] for row in range(11)]
        wanted = [max(row for row in range(11) if starts[row] <= code) for code in codes]
        assert found.buckets[:, 0].tolist() == wanted

    def test_same_neighbours_share_a_row_and_similar_ones_more_often_than_others(self) -> None:
        """Pairs of users: the same 12 items, 11 of 12, none of 12."""
        base = [list(range(block * 12, block * 12 + 12)) for block in range(40)]
        near = [[*row[:-1], (row[0] + 300) % 480] for row in base]
        side = side_of([*base, *base, *map(sorted, near)], columns=480)
        shared = np.zeros(3)
        for seed in range(10):
            row = assigned("lsh-structure", side, 10, seed).buckets[:, 0]
            first, twin, cousin = row[:40], row[40:80], row[80:]
            others = np.roll(first, 1)
            shared += [np.mean(first == twin), np.mean(first == cousin), np.mean(first == others)]
        assert shared[0] == 10
        assert 10 > shared[1] > 3 * shared[2]

    def test_ids_without_edges_are_hashed_over_all_rows(self) -> None:
        side = side_of([*random_rows(20, 50), *[[] for _ in range(40)]])
        found = assigned("lsh-structure", side, 10)
        wanted = hash_oracle(side.ids.to_pylist(), Universal(0, "user structure"), 10)
        assert found.buckets[20:, 0].tolist() == wanted[20:]
        assert len(set(wanted[20:])) > 5

    def test_ids_without_edges_move_no_other(self) -> None:
        rows = random_rows(9, 50)
        alone, beside = side_of(rows), side_of([*rows, []])
        for n in range(1, 10):
            found = assigned("lsh-structure", beside, n).buckets[:9]
            assert found.tolist() == assigned("lsh-structure", alone, n).buckets.tolist()

    def test_a_later_id_goes_where_its_neighbours_send_it(self) -> None:
        side = side_of(random_rows(30, 50))
        found = assigned("lsh-structure", side, 10)
        twins = Csr.from_lists([side.edges.row(3).tolist(), [], []], n_columns=50)
        longer = found.extend([900, 901, 902], twins)
        by_hash = hash_oracle([901, 902], Universal(0, "user structure"), 10)
        assert longer.buckets[30:, 0].tolist() == [found.buckets[3, 0], *by_hash]
        blind = found.extend([901, 902])
        assert blind.buckets[30:, 0].tolist() == by_hash

    def test_the_rule_comes_back_with_its_runs(self) -> None:
        side = side_of(random_rows(30, 50))
        (rule,) = assigned("lsh-structure", side, 10).rules
        again = RULES["projected"].restore(rule.scalars(), rule.arrays())
        assert isinstance(again, Projected)
        assert set(rule.arrays()) == {"starts"}
        arrivals = Arrivals(side.ids, 0, side.edges)
        assert again.place(arrivals).tolist() == rule.place(arrivals).tolist()

    def test_few_bits_leave_rows_unused_but_never_more_than_allowed(self) -> None:
        found = assigned({"name": "lsh-structure", "bits": 2}, side_of(random_rows(60, 50)), 10)
        assert np.count_nonzero(found.sizes) == 4
        with pytest.raises(RecipeError, match="bits.*less than or equal to 61.*62"):
            METHODS.parse({"name": "lsh-structure", "bits": 62})


class TestLsh:
    def side(self) -> Side:
        random = np.random.default_rng(0)
        features = random.standard_normal((40, 6)).astype(np.float32)
        features[5, 0] = 0  # one zero is no row of zeros
        features[20:38] = 3 * features[:18]
        features[38:] = 0
        return replace(plain(40), features=features)

    def test_the_length_of_features_does_not_matter_and_zeros_are_hashed(self) -> None:
        side = self.side()
        found = assigned("lsh", side, 10, seed=1).buckets[:, 0]
        assert found[20:38].tolist() == found[:18].tolist()
        assert found[38:].tolist() == hashed(side, 1, 0, 10)[38:].tolist()

    def test_rows_are_runs_of_the_codes(self) -> None:
        side = self.side()
        assert side.features is not None
        codes = codes_of_features(side.features[:38], 61, 1, "user features")
        found = assigned("lsh", side, 10, seed=1).buckets[:38, 0]
        assert found.tolist() == row_of(codes, cut(codes, 10)).tolist()

    def test_a_later_id_is_hashed(self) -> None:
        found = assigned("lsh", self.side(), 10, seed=1).extend([900])
        assert found.buckets[40].tolist() == hash_oracle([900], Universal(1, "user 0"), 10)

    @pytest.mark.parametrize("name", ["user", "item"])
    def test_without_features_it_says_which_to_give(self, name: Any) -> None:
        with pytest.raises(UsageError, match=f"Give {name}_features"):
            assigned("lsh", replace(plain(40), name=name), 10)


class TestTied:
    def sides(self) -> Sides:
        side = plain(12)
        return Sides(side, replace(side, name="item"), tied=True)

    def test_both_sides_get_the_same_rows(self) -> None:
        """They were hashed apart, and of an odd total one side got a row more."""
        for name in ("random", "modulo"):
            found = METHODS.parse(name).assign(self.sides(), Budget(9), 0)
            assert (found.users.side, found.items.side) == ("user", "item")
            assert found.users.buckets.tolist() == found.items.buckets.tolist()
            assert found.users.rows == found.items.rows == 4

    def test_two_budgets_are_refused(self) -> None:
        with pytest.raises(UsageError, match="tied sides share their rows.*got 4 and 5"):
            Modulo().assign(self.sides(), Budget(9, 4, 5), 0)


ONE_SIDED = [name for name in METHODS if issubclass(METHODS[name], SideMethod)]


@pytest.mark.parametrize("name", [name for name in ONE_SIDED if name != "quotient-remainder"])
def test_one_row_is_enough(name: str) -> None:
    side = replace(side_of([*UNEVEN, []]), features=np.ones((7, 2), np.float32))
    found = assigned(name, side, 1)
    assert found.buckets.max() == (6 if name in {"full", "low-dim"} else 0)


@pytest.mark.parametrize("name", ONE_SIDED)
def test_one_id_is_enough(name: str) -> None:
    side = replace(side_of([[0]]), features=np.ones((1, 2), np.float32))
    if name == "quotient-remainder":
        with pytest.raises(UsageError, match="too few rows for quotients"):
            assigned(name, side, 1)
    else:
        assert (assigned(name, side, 1).buckets == 0).all()
