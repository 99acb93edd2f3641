"""Draws against the same generator in Python's whole numbers, and against their distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from hashrec.csr import Csr
from hashrec.errors import RecipeError
from hashrec.interactions import planted
from hashrec.learning import SAMPLERS, Source
from hashrec.learning.draws import stream

LOG = planted(300, 200, communities=6, degree=12, noise=0.1, seed=0).interactions
MASK = 2**64 - 1


def source_of(matrix: Csr, hardest: Any = None) -> Source:
    return Source(matrix, matrix.column_counts(), hardest)


SOURCE = source_of(LOG.matrix)
N_ITEMS = LOG.n_items


# The generator again, in exact whole numbers: SplitMix64 as its paper gives it.


def mixed(word: int) -> int:
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & MASK
    return word ^ (word >> 31)


def unit(key: int, number: int) -> float:
    return (mixed((key + (number + 1) * 0x9E3779B97F4A7C15) & MASK) >> 11) / 2**53


def slow_draw(source: Source, users: Any, k: int, key: int, reject: bool, cumulative: Any) -> Any:
    out = np.empty((len(users), k), np.int64)
    for row, user in enumerate(users):
        met = set(source.seen.row(user).tolist())
        for column in range(k):
            for attempt in range(32):
                at = unit(key, (row * k + column) * 32 + attempt)
                if cumulative is None:
                    item = int(at * source.seen.n_columns)
                else:
                    item = next(
                        j for j, sum_ in enumerate(cumulative) if sum_ > at * cumulative[-1]
                    )
                if not reject or item not in met:
                    break
            out[row, column] = item
    return out


class TestStream:
    def test_golden(self) -> None:
        """stream(0) is the first number that SplitMix64 gives for seed 0, as published."""
        assert stream(0) == 0xE220A8397B1DCDAF
        assert stream(1, 2, 3) == mixed((mixed((mixed(1 + 0x9E3779B97F4A7C15) ^ 2)
                                               + 0x9E3779B97F4A7C15 & MASK) ^ 3)
                                        + 0x9E3779B97F4A7C15 & MASK)  # fmt: skip
        assert stream(1, 2, 3) == GOLDEN_KEY

    def test_order_and_number_of_parts_matter(self) -> None:
        keys = {stream(*parts) for parts in [(), (0,), (0, 0), (1, 0), (0, 1), (2**63,), (-1,)]}
        assert len(keys) == 7
        assert all(0 <= key <= MASK for key in keys)

    def test_steps_of_a_run_never_share_a_key(self) -> None:
        keys = {stream(s, e, t) for s in range(3) for e in range(40) for t in range(200)}
        assert len(keys) == 3 * 40 * 200


GOLDEN_KEY = 0xD0734750FDE362B3
GOLDEN_UNIFORM = [[99, 33, 29], [164, 71, 125], [119, 183, 191], [73, 84, 171]]
GOLDEN_POPULAR = [[98, 37, 33], [162, 70, 125], [120, 184, 192], [72, 82, 170]]
USERS = np.array([0, 7, 7, 299])


class TestDraws:
    @pytest.mark.parametrize("reject", [False, True])
    def test_uniform_is_the_generator_in_whole_numbers(self, reject: bool) -> None:
        sampler = SAMPLERS.parse({"name": "uniform", "reject": reject})
        users = np.arange(40)
        found = sampler.draw(SOURCE, users, 9, stream(4))
        assert found.dtype == np.int64
        assert np.array_equal(found, slow_draw(SOURCE, users, 9, stream(4), reject, None))

    @pytest.mark.parametrize("exponent", [0.0, 0.75, 1.0])
    @pytest.mark.parametrize("reject", [False, True])
    def test_popularity_is_the_generator_in_whole_numbers(
        self, exponent: float, reject: bool
    ) -> None:
        sampler = SAMPLERS.parse({"name": "popularity", "exponent": exponent, "reject": reject})
        cumulative, total = [], 0.0
        for degree in SOURCE.degrees.tolist():
            total += degree**exponent if degree else 0.0
            cumulative.append(total)
        users = np.arange(20)
        found = sampler.draw(SOURCE, users, 5, stream(4))
        assert np.array_equal(found, slow_draw(SOURCE, users, 5, stream(4), reject, cumulative))

    def test_hard_is_the_generator_in_whole_numbers(self) -> None:
        """Coin and choice come from the stream of the key turned over, apart from uniform's."""
        key, users = stream(4), np.arange(40)
        lists = np.where(np.arange(6) < users[:, None] % 7, users[:, None] + np.arange(6), -1)
        sampler = SAMPLERS.parse({"name": "hard", "share": 0.4})
        found = sampler.draw(source_of(LOG.matrix, lists.astype(np.int32)), users, 9, key)
        expected = slow_draw(SOURCE, users, 9, key, False, None)
        for user in users:
            n = int((lists[user] >= 0).sum())
            for column in range(9):
                place = 2 * (user * 9 + column)
                if n and unit(MASK - key, int(place)) < 0.4:
                    expected[user, column] = lists[user, int(unit(MASK - key, int(place) + 1) * n)]
        assert np.array_equal(found, expected)

    def test_golden(self) -> None:
        """Another machine or run draws these very items; a change of the generator ends old
        checkpoints."""
        key = stream(0, 1, 2)
        uniform, popularity = SAMPLERS.parse("uniform"), SAMPLERS.parse("popularity")
        assert uniform.draw(SOURCE, USERS, 3, key).tolist() == GOLDEN_UNIFORM
        assert popularity.draw(SOURCE, USERS, 3, key).tolist() == GOLDEN_POPULAR

    @pytest.mark.parametrize("name", ["uniform", "popularity", "hard"])
    def test_the_key_alone_decides(self, name: str) -> None:
        sampler = SAMPLERS.parse(name)
        hardest = np.tile(np.arange(50, dtype=np.int32), (300, 1))
        draws = [
            sampler.draw(source_of(LOG.matrix, hardest), np.arange(300), 4, key)
            for key in (8, 8, 9)
        ]
        assert np.array_equal(draws[0], draws[1])
        # Independent: they agree as often as two draws of a distribution that is never above 5 %.
        assert (draws[0] == draws[2]).mean() < 0.05

    def test_neighbouring_keys_and_places_are_not_correlated(self) -> None:
        """A stream that is another one moved on would repeat itself inside a batch."""
        uniform = SAMPLERS.parse("uniform")
        draws = [
            uniform.draw(SOURCE, np.zeros(4000, np.int64), 2, stream(0, 0, step))
            for step in range(2)
        ]
        columns = np.concatenate(draws, axis=1)
        correlation = np.corrcoef(columns.T)
        assert np.abs(correlation[np.triu_indices(4, 1)]).max() < 4.5 / np.sqrt(4000)


def p_value(drawn: npt.NDArray[np.int64], chances: npt.NDArray[np.float64]) -> float:
    """Of a chi-square test of the draws against the chances."""
    counts = np.bincount(drawn.ravel(), minlength=len(chances))
    assert not counts[chances == 0].any()
    live = chances > 0
    expected = chances[live] / chances.sum() * drawn.size
    return float(scipy.stats.chisquare(counts[live], expected).pvalue)


class TestDistributions:
    @pytest.mark.parametrize("key", [0, 1, 2**64 - 1])
    def test_uniform(self, key: int) -> None:
        drawn = SAMPLERS.parse("uniform").draw(SOURCE, np.arange(300), 300, key)
        assert p_value(drawn, np.ones(N_ITEMS)) > 1e-3

    @pytest.mark.parametrize("exponent", [0.0, 0.75, 1.0])
    def test_popularity_follows_the_power_of_degrees(self, exponent: float) -> None:
        sampler = SAMPLERS.parse({"name": "popularity", "exponent": exponent})
        drawn = sampler.draw(SOURCE, np.arange(300), 300, stream(3))
        chances = np.array([float(d) ** exponent if d else 0.0 for d in SOURCE.degrees])
        assert p_value(drawn, chances) > 1e-3

    def test_rejection_leaves_the_others_alike(self) -> None:
        sampler = SAMPLERS.parse({"name": "uniform", "reject": True})
        drawn = sampler.draw(SOURCE, np.full(300, 5), 100, stream(6))
        chances = np.ones(N_ITEMS)
        chances[SOURCE.seen.row(5)] = 0
        assert p_value(drawn, chances) > 1e-3

    @pytest.mark.parametrize("name", ["uniform", "popularity"])
    def test_the_log_chance_is_how_often_an_item_is_expected(self, name: str) -> None:
        drawn, chance = SAMPLERS.parse(name).sample(SOURCE, np.arange(5), 60_000, stream(1))
        assert drawn.shape == chance.shape == (60_000,)
        counts = np.bincount(drawn, minlength=N_ITEMS)
        for item in (int(SOURCE.degrees.argmax()), 3, 150):
            expected = np.exp(chance[drawn == item][0])
            assert abs(counts[item] - expected) < 4.5 * np.sqrt(expected)

    @pytest.mark.parametrize("name", ["uniform", "popularity"])
    def test_a_sample_rejects_nothing(self, name: str) -> None:
        """User 0, whose row the kernel is given, has no part in a sample shared by all."""
        seen = Csr.from_lists([[0, 1, 2], [3]], n_columns=4)
        sampler = SAMPLERS.parse({"name": name, "reject": True})
        drawn, _ = sampler.sample(source_of(seen), np.array([3]), 400, 1)
        assert set(drawn.tolist()) == {0, 1, 2, 3}


class TestRejection:
    @pytest.mark.parametrize("name", ["uniform", "popularity"])
    def test_never_gives_a_positive(self, name: str) -> None:
        users = np.arange(300)
        met = np.zeros((300, N_ITEMS), bool)
        met[SOURCE.seen.row_of_entry, SOURCE.seen.indices] = True
        drawn = {
            reject: SAMPLERS.parse({"name": name, "reject": reject}).draw(SOURCE, users, 40, 3)
            for reject in (False, True)
        }
        assert not met[users[:, None], drawn[True]].any()
        assert met[users[:, None], drawn[False]].any()
        kept = ~met[users[:, None], drawn[False]]
        assert np.array_equal(drawn[True][kept], drawn[False][kept])

    @pytest.mark.parametrize("name", ["uniform", "popularity"])
    def test_whoever_has_met_everything_gets_something(self, name: str) -> None:
        seen = Csr.from_lists([[0, 1, 2], [1]], n_columns=3)
        sampler = SAMPLERS.parse({"name": name, "reject": True})
        drawn = sampler.draw(source_of(seen), np.array([0, 1]), 50, 3)
        assert set(drawn[0].tolist()) <= {0, 1, 2}
        assert set(drawn[1].tolist()) == {0, 2}

    def test_finds_the_one_that_is_left_within_its_tries(self) -> None:
        """Half the items met: 32 tries all fail once in 4e9."""
        seen = Csr.from_lists([[0, 2, 4, 6], [0]], n_columns=8)
        drawn = SAMPLERS.parse({"name": "uniform", "reject": True}).draw(
            source_of(seen), np.zeros(500, np.int64), 4, 11
        )
        assert set(drawn.ravel().tolist()) == {1, 3, 5, 7}


class TestInBatch:
    def test_is_the_positives_and_their_expected_number(self) -> None:
        """Over the batches of an epoch the expected numbers of an item sum to its degree."""
        sampler = SAMPLERS.parse("in-batch")
        order = np.random.default_rng(0).permutation(len(SOURCE.seen.indices))
        size, total = 100, np.zeros(N_ITEMS)
        for start in range(0, len(order), size):
            items = SOURCE.seen.indices[order[start : start + size]].astype(np.int64)
            drawn, chance = sampler.sample(SOURCE, items, 7, start)
            assert np.array_equal(drawn, items)
            share = len(items) / len(order)
            np.testing.assert_allclose(np.exp(chance), SOURCE.degrees[items] * share, rtol=1e-12)
            total += SOURCE.degrees * share
        np.testing.assert_allclose(total, SOURCE.degrees)

    def test_has_none_of_one_positive(self) -> None:
        with pytest.raises(NotImplementedError, match="no negatives of one positive"):
            SAMPLERS.parse("in-batch").draw(SOURCE, USERS, 3, 0)


class TestHard:
    def hardest(self) -> npt.NDArray[np.int32]:
        """User u: items u and u + 1 (mod 100) alone; user 0 nothing; user 1 one item."""
        lists = np.full((300, 5), -1, np.int32)
        lists[:, 0], lists[:, 1] = np.arange(300) % 100, np.arange(1, 301) % 100
        lists[0], lists[1, 1] = -1, -1
        return lists

    def test_draws_come_from_the_users_own_list(self) -> None:
        sampler = SAMPLERS.parse({"name": "hard", "best": 5, "share": 1})
        drawn = sampler.draw(source_of(LOG.matrix, self.hardest()), np.arange(300), 60, 2)
        for user in range(2, 300):
            assert set(drawn[user].tolist()) == {user % 100, (user + 1) % 100}
        assert set(drawn[1].tolist()) == {1}

    def test_a_user_without_a_list_gets_uniform_draws(self) -> None:
        sampler = SAMPLERS.parse({"name": "hard", "share": 1})
        users = np.zeros(300, np.int64)
        drawn = sampler.draw(source_of(LOG.matrix, self.hardest()), users, 100, 2)
        assert drawn.min() >= 0
        assert p_value(drawn, np.ones(N_ITEMS)) > 1e-3
        assert np.array_equal(drawn, SAMPLERS.parse("uniform").draw(SOURCE, users, 100, 2))

    @pytest.mark.parametrize("share", [0.25, 0.5])
    def test_the_share_of_hard_draws_is_what_was_asked(self, share: float) -> None:
        """The list holds items 198 and 199: a uniform draw gives one of them once in a hundred."""
        lists = np.tile(np.array([198, 199, -1], np.int32), (300, 1))
        sampler = SAMPLERS.parse({"name": "hard", "share": share})
        drawn = sampler.draw(source_of(LOG.matrix, lists), np.arange(300), 100, 4)
        chance = share + (1 - share) * 0.01
        found = (drawn >= 198).mean()
        assert abs(found - chance) < 4.5 * np.sqrt(chance * (1 - chance) / drawn.size)
        assert p_value(drawn[drawn >= 198] - 198, np.ones(2)) > 1e-3
        assert p_value(drawn[drawn < 198], np.ones(198)) > 1e-3

    def test_whether_a_draw_is_hard_says_nothing_about_the_uniform_one(self) -> None:
        """Were both made from one number, the uniform draws kept would be those of half the
        items."""
        lists = np.zeros((300, 1), np.int32)
        drawn = SAMPLERS.parse("hard").draw(source_of(LOG.matrix, lists), np.arange(300), 100, 4)
        kept = drawn[drawn > 0]
        assert p_value(kept - 1, np.ones(N_ITEMS - 1)) > 1e-3

    def test_before_anybody_has_looked_draws_are_uniform(self) -> None:
        found = SAMPLERS.parse("hard").draw(SOURCE, USERS, 3, 9)
        assert np.array_equal(found, SAMPLERS.parse("uniform").draw(SOURCE, USERS, 3, 9))

    def test_is_of_one_user(self) -> None:
        with pytest.raises(NotImplementedError, match="of one user, not of a batch"):
            SAMPLERS.parse("hard").sample(SOURCE, USERS, 3, 0)


class TestOptions:
    @pytest.mark.parametrize("name", list(SAMPLERS))
    def test_round_trip(self, name: str) -> None:
        sampler = SAMPLERS.parse(name)
        assert SAMPLERS.parse(sampler.to_dict()) == sampler

    def test_what_each_can_do(self) -> None:
        """Told by the flags and by the methods alike."""
        for name in SAMPLERS:
            sampler = SAMPLERS.parse(name)
            for able, call in ((sampler.alone, sampler.draw), (sampler.together, sampler.sample)):
                try:
                    call(SOURCE, np.array([0, 7]), 2, 1)
                    did = True
                except NotImplementedError:
                    did = False
                assert did is able, name

    def test_only_hard_looks(self) -> None:
        pools = {name: SAMPLERS.parse(name).pool for name in SAMPLERS}
        assert pools == {"uniform": 0, "popularity": 0, "in-batch": 0, "hard": 200}

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"name": "popularity", "exponent": 2.5}, "sampler.exponent: .*equal to 2, got 2.5"),
            ({"name": "popularity", "exponent": -0.1}, "greater than or equal to 0, got -0.1"),
            ({"name": "hard", "best": 0}, "greater than or equal to 1, got 0"),
            ({"name": "hard", "share": 0}, "greater than 0, got 0"),
            ({"name": "hard", "share": 1.5}, "less than or equal to 1, got 1.5"),
            ({"name": "in-batch", "reject": True}, "unknown key sampler.reject"),
        ],
    )
    def test_bad_options(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(RecipeError, match=words):
            SAMPLERS.parse(options)
