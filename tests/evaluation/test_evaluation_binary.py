"""Chances that something happens: each number by slow counting, by hand, and by scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as judge_of_loss
from sklearn.metrics import roc_auc_score

from hashrec.errors import DataError
from hashrec.evaluation.binary import auc, calibration_error, judged, log_loss

ROWS = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=2, max_size=30)


def floats(*values: float) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def labels(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def of_rows(rows: list[tuple[int, int]]) -> tuple[Any, Any]:
    scores, truth = zip(*rows, strict=True)
    return floats(*scores), labels(*truth)


def auc_of_pairs(scores: Any, truth: Any) -> float:
    """Each positive against each negative: 1, 1/2 for equal scores, or 0."""
    found: list[float] = []
    for high, is_one in zip(scores, truth, strict=True):
        for low, other in zip(scores, truth, strict=True):
            if is_one and not other:
                found.append(1.0 if high > low else 0.5 if high == low else 0.0)
    return math.fsum(found) / len(found)


class TestAuc:
    @given(ROWS)
    @settings(max_examples=50, deadline=None)
    def test_it_is_the_share_of_pairs_in_order(self, rows: list[tuple[int, int]]) -> None:
        scores, truth = of_rows(rows)
        if len(set(truth.tolist())) == 1:
            with pytest.raises(DataError, match="labels of one class"):
                auc(scores, truth)
            return
        expected = auc_of_pairs(scores, truth)
        assert auc(scores, truth) == pytest.approx(expected, abs=1e-12)
        assert roc_auc_score(truth, scores) == pytest.approx(expected, abs=1e-12)
        assert auc(-scores, truth) == pytest.approx(1 - expected, abs=1e-12)
        assert auc(scores.astype(np.float32), truth) == auc(scores, truth)

    def test_by_hand(self) -> None:
        # Of 2 x 3 pairs: 9 beats 5, 5, 1; 5 ties with both 5 and beats 1.
        assert auc(floats(9, 5, 5, 5, 1), labels(1, 1, 0, 0, 0)) == (3 + 1 / 2 + 1 / 2 + 1) / 6
        assert auc(floats(1, 2, 3), labels(0, 0, 1)) == 1
        assert auc(floats(1, 2, 3), labels(1, 0, 0)) == 0
        assert auc(floats(7, 7, 7), labels(1, 0, 0)) == 0.5

    def test_only_the_order_of_scores_counts(self) -> None:
        truth = labels(1, 0, 1, 0)
        expected = auc(floats(4, 3, 2, 1), truth)
        for scores in (floats(1e300, 5, -5, -1e300), floats(4, 3, 2, 1) * 5e-324,
                       floats(math.inf, 1, 0, -math.inf)):  # fmt: skip
            assert auc(scores, truth) == expected == 0.75

    def test_both_zeros_are_one_score(self) -> None:
        assert auc(floats(0.0, -0.0), labels(1, 0)) == 0.5

    def test_a_long_log_has_the_auc_of_its_formula(self) -> None:
        n = 2**18
        truth = np.arange(n) % 2
        scores = np.arange(n, dtype=np.float64)
        # Positive 2i + 1 beats the i + 1 negatives 0, 2, ..., 2i: a mean of (n/2 + 1) / 2 of n/2.
        assert auc(scores, truth.astype(np.float32)) == pytest.approx((n / 2 + 1) / n, abs=1e-12)

    @pytest.mark.parametrize(
        ("truth", "got"),
        [((1, 1), "2 labels, all of them 1"), ((0, 0), "2 labels, none of them 1"),
         ((), "0 labels, none of them 1"), ((1,), "1 labels, all")],
        ids=str,
    )  # fmt: skip
    def test_one_class_has_no_order(self, truth: tuple[int, ...], got: str) -> None:
        scores = floats(*range(len(truth)))
        with pytest.raises(
            DataError, match=f"labels of one class; expected both 0 and 1; got {got}"
        ):
            auc(scores, labels(*truth))
        with pytest.raises(DataError, match="labels of one class"):
            judged(scores, labels(*truth))


class TestLogLoss:
    @given(ROWS)
    @settings(max_examples=40, deadline=None)
    def test_it_is_the_mean_surprise(self, rows: list[tuple[int, int]]) -> None:
        logits, truth = of_rows(rows)
        surprises = []
        for logit, is_one in rows:
            chance = 1 / (1 + math.exp(-logit))
            surprises.append(-math.log(chance if is_one else 1 - chance))
        expected = math.fsum(surprises) / len(rows)
        assert log_loss(logits, truth) == pytest.approx(expected, rel=1e-12)
        chances = 1 / (1 + np.exp(-logits))
        assert judge_of_loss(truth, chances, labels=[0, 1]) == pytest.approx(expected, rel=1e-9)

    def test_by_hand(self) -> None:
        # Chances 1/2, 3/4 and 1/4, the last one wrongly.
        logits = floats(0, math.log(3), -math.log(3))
        expected = (math.log(2) + math.log(4 / 3) + math.log(4)) / 3
        assert log_loss(logits, labels(0, 1, 1)) == pytest.approx(expected, rel=1e-12)

    def test_what_is_certain_and_wrong_costs_its_logit_and_what_is_right_nothing(self) -> None:
        assert log_loss(floats(1000), labels(0)) == 1000
        assert log_loss(floats(-1000, 1000), labels(1, 1)) == 500
        assert log_loss(floats(1e300, -1e300), labels(1, 0)) == 0
        assert log_loss(floats(1e300), labels(0)) == 1e300

    def test_infinite_logits_cost_nothing_or_all(self) -> None:
        """Bug: inf - 1 x inf is no number, so one certain and right row made the loss NaN."""
        assert log_loss(floats(math.inf, -math.inf), labels(1, 0)) == 0
        assert log_loss(floats(math.inf, 0), labels(0, 0)) == math.inf

    def test_float32_is_summed_in_float64(self) -> None:
        logits = np.full(100_000, 0.1, np.float32)
        expected = math.log1p(math.exp(float(np.float32(0.1))))
        assert log_loss(logits, np.zeros(100_000, np.float32)) == pytest.approx(expected, rel=1e-12)


def calibration_by_counting(chances: list[float], truth: list[float]) -> float:
    """Each row's bin by its mean rank among all, counted; then the gaps of 15 bins."""
    n = len(chances)
    gaps = [0.0] * 15
    for chance, label in zip(chances, truth, strict=True):
        below = sum(other < chance for other in chances)
        same = sum(other == chance for other in chances)
        rank = below + (same + 1) / 2
        gaps[min(int((2 * rank - 1) * 15 / (2 * n)), 14)] += chance - label
    return math.fsum(map(abs, gaps)) / n


class TestCalibration:
    @given(st.lists(st.tuples(st.integers(0, 64), st.integers(0, 1)), min_size=1, max_size=50))
    @settings(max_examples=40, deadline=None)
    def test_it_is_what_counting_says(self, rows: list[tuple[int, int]]) -> None:
        chances, truth = [place / 64 for place, _ in rows], [float(label) for _, label in rows]
        expected = calibration_by_counting(chances, truth)
        found = calibration_error(floats(*chances), labels(*truth))
        assert found == pytest.approx(expected, abs=1e-12)

    def test_one_row_a_bin_is_the_mean_gap(self) -> None:
        chances = [(at + 1) / 16 for at in range(15)]
        truth = [float(at % 2) for at in range(15)]
        expected = sum(abs(p - y) for p, y in zip(chances, truth, strict=True)) / 15
        found = calibration_error(floats(*chances), labels(*truth))
        assert found == pytest.approx(expected, abs=1e-12)

    def test_two_rows_a_bin_may_make_up_for_each_other(self) -> None:
        # Chances a, a + 1/64 with labels 0 and 1: the gap of each bin is |2a + 1/64 - 1|.
        chances = [(2 * at + 1 + half / 2) / 32 for at in range(15) for half in (0, 1)]
        truth = [0.0, 1.0] * 15
        gaps = [abs(chances[2 * at] + chances[2 * at + 1] - 1) for at in range(15)]
        order = np.random.default_rng(0).permutation(30)
        found = calibration_error(floats(*chances)[order], labels(*truth)[order])
        assert found == pytest.approx(sum(gaps) / 30, abs=1e-12)

    def test_a_bin_ends_at_its_share_of_the_rows(self) -> None:
        # Of 20 rows, rank r is in bin floor((r - 1/2) 15 / 20): 1 and 2 are apart, 2 and 3 are in
        # bin 1, 4 is in 2, and so on, every four. Labels are 1 for ranks 2 and 3 of each four.
        chances = [(at + 1) / 32 for at in range(20)]
        truth = [float(at % 4 in (1, 2)) for at in range(20)]
        gaps = [chance - label for chance, label in zip(chances, truth, strict=True)]
        bins = [(gaps[at], gaps[at + 1] + gaps[at + 2], gaps[at + 3]) for at in range(0, 20, 4)]
        expected = sum(abs(gap) for three in bins for gap in three) / 20
        found = calibration_error(floats(*chances), labels(*truth))
        assert found == pytest.approx(expected, abs=1e-12)

    def test_equal_chances_share_one_bin(self) -> None:
        assert calibration_error(floats(*[0.25] * 40), labels(*[1, 0, 0, 0] * 10)) == 0
        assert calibration_error(floats(*[0.5] * 40), labels(*[1, 0, 0, 0] * 10)) == 0.25

    def test_what_is_always_right_or_always_wrong(self) -> None:
        truth = labels(1, 0, 1, 0)
        assert calibration_error(truth.astype(np.float64), truth) == 0
        assert calibration_error(1 - truth.astype(np.float64), truth) == 1


class TestJudged:
    def test_all_four_at_once(self) -> None:
        logits, truth = floats(0, math.log(3), -math.log(3)), labels(0, 1, 1)
        found = judged(logits, truth)
        assert list(found) == ["auc", "log_loss", "calibration_error", "predicted_over_true"]
        # Chances 1/2, 3/4, 1/4, each in a bin of its own; 3/4 beats 1/2, 1/4 does not.
        assert found["auc"] == 0.5
        assert found["log_loss"] == log_loss(logits, truth)
        assert found["calibration_error"] == pytest.approx((1 / 2 + 1 / 4 + 3 / 4) / 3, abs=1e-12)
        assert found["predicted_over_true"] == pytest.approx(1.5 / 2, abs=1e-12)

    def test_the_order_of_rows_does_not_matter(self) -> None:
        rng = np.random.default_rng(1)
        logits = np.round(rng.normal(size=200), 1).astype(np.float32)
        truth = (rng.random(200) < 0.3).astype(np.float32)
        order = rng.permutation(200)
        assert judged(logits[order], truth[order]) == pytest.approx(judged(logits, truth))

    def test_absurd_logits_make_numbers_and_no_warnings(self) -> None:
        found = judged(floats(1e300, -1e300, 0), labels(1, 0, 1))
        assert found == pytest.approx(
            {"auc": 1, "log_loss": math.log(2) / 3, "calibration_error": 1 / 6,
             "predicted_over_true": 0.75}
        )  # fmt: skip

    def test_nothing_given_is_changed(self) -> None:
        logits, truth = floats(3, 1, 2), labels(1, 0, 1)
        judged(logits, truth)
        assert (logits.tolist(), truth.tolist()) == ([3, 1, 2], [1, 0, 1])
