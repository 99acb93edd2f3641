"""Numbers brought to scale, and the field that keeps how: by hand, and on absurd values."""

from __future__ import annotations

import json
import math
import statistics
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hashrec.component import validate
from hashrec.errors import DataError, RecipeError
from hashrec.impressions import TRANSFORMS, Field, Log, Quantile, Standard, Transform
from hashrec.impressions.scale import Scale
from hashrec.impressions.values import Numbers

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ROOT = math.sqrt(3)


def applied(transform: Transform, values: list[float], asked: list[float]) -> list[float]:
    """`asked`, by what is learned of `values`."""
    kept = transform.learned(np.array(values, dtype=np.float64))
    assert kept.dtype == np.float64
    found: list[float] = transform.applied(np.array(asked, dtype=np.float64), kept).tolist()
    return found


def test_standard_is_the_distance_from_the_mean_in_deviations() -> None:
    # Mean 5, squares 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32, deviation 2.
    values = [2.0, 4, 4, 4, 5, 5, 7, 9]
    assert applied(Standard(), values, [*values, 0, 5.5]) == pytest.approx(
        [-1.5, -0.5, -0.5, -0.5, 0, 0, 1, 2, -2.5, 0.25]
    )


def test_standard_is_cut_at_eight() -> None:
    asked = [21.0, 20.99, 1e300, -1e300, -11]
    assert applied(Standard(), [3.0, 7.0], asked) == pytest.approx([8, 7.995, 8, -8, -8])


def test_log_is_of_sizes_and_keeps_signs() -> None:
    # log(1 + |x|) of e^2 - 1 and of 0 are 2 and 0: mean 1, deviation 1.
    asked = [math.expm1(2), 0, math.expm1(3), -math.expm1(2), 1e300]
    expected = [1, -1, 2, -3, 8]
    assert applied(Log(), [math.expm1(2), 0.0], asked) == pytest.approx(expected)


def test_quantiles_by_hand() -> None:
    # Shares 0, 1/4, 1/2, 3/4, 1 of 10, 20, 30, 40 are 10, 10, 20, 30, 40: of 10 the middle is 1/8.
    kept = Quantile(knots=5).learned(np.array([30.0, 10, 40, 20]))
    assert kept.tolist() == [[10, 20, 30, 40], [1 / 8, 1 / 2, 3 / 4, 1]]
    asked = [10.0, 20, 25, 40, -1e300, 1e300, 15]
    shares = [1 / 8, 1 / 2, 5 / 8, 1, 1 / 8, 1, 5 / 16]
    found = Quantile(knots=5).applied(np.array(asked), kept)
    assert found.tolist() == pytest.approx([ROOT * (2 * share - 1) for share in shares])


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=60), st.integers(2, 30))
@settings(max_examples=30, deadline=None)
def test_quantiles_are_those_of_slow_counting(values: list[int], knots: int) -> None:
    """Knot j is the least value that a share j / (knots - 1) of all does not exceed.

    Where such a share is a whole number of values, rounding decides which side it falls on.
    """
    assume(min(values) < max(values) and math.gcd(len(values), knots - 1) == 1)
    ordered, steps = sorted(values), knots - 1
    at = [ordered[max(-(-len(values) * step // steps) - 1, 0)] for step in range(knots)]
    middle = {
        value: Fraction(at.index(value) + knots - 1 - at[::-1].index(value), 2 * steps)
        for value in at
    }
    kept = Quantile(knots=knots).learned(np.array(values, dtype=np.float64))
    assert kept[0].tolist() == sorted(middle)
    assert kept[1].tolist() == pytest.approx([float(middle[value]) for value in sorted(middle)])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
@settings(max_examples=30, deadline=None)
def test_many_knots_give_the_share_below_and_half_of_what_is_equal(values: list[float]) -> None:
    """To within the distance of two knots, where there are more knots than values."""
    assume(min(values) < max(values))
    ordered = np.sort(values)
    below, upto = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    expected = (below + upto) / 2 / len(values)
    found = np.array(applied(Quantile(knots=100), values, values)) / ROOT / 2 + 0.5
    assert np.abs(found - expected).max() <= 1 / 99 + 1e-12


def test_a_uniform_field_gets_mean_zero_and_deviation_one() -> None:
    values = np.random.default_rng(0).uniform(-7, 13, 5000).tolist()
    for transform in (Quantile(), Standard()):
        found = applied(transform, values, values)
        assert statistics.fmean(found) == pytest.approx(0, abs=0.02)
        assert statistics.pstdev(found) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", list(TRANSFORMS))
@given(st.lists(FINITE, min_size=2, max_size=20), st.lists(FINITE, max_size=10))
@settings(max_examples=40, deadline=None)
def test_whatever_comes_is_finite_bounded_and_in_its_order(
    name: str, values: list[float], asked: list[float]
) -> None:
    assume(min(values) < max(values))
    every = sorted([*values, *asked, -1.7e308, 1.7e308])
    found = applied(TRANSFORMS.parse(name), values, [*every, math.nan])
    assert math.isnan(found.pop())
    assert max(map(abs, found)) <= (ROOT + 1e-12 if name == "quantile" else 8)
    assert all(low <= high + 1e-12 for low, high in pairwise(found))


@pytest.mark.parametrize("name", list(TRANSFORMS))
@pytest.mark.parametrize(
    "values", [[-1e300, 1e300], [0.0, 5e-324], [1.0, 1 + 2**-52], [1e308, -1.7e308, 3]], ids=str
)
def test_what_differs_is_told_apart_at_any_size(name: str, values: list[float]) -> None:
    """Squares of 1e300 are infinite, those of 5e-324 nothing."""
    found = applied(TRANSFORMS.parse(name), values, sorted(values))
    assert all(low < high for low, high in pairwise(found))


def test_between_far_knots_is_a_line_too() -> None:
    """Bug: 2e308 is infinite, and everything between -1e308 and 1e308 was at the lower end."""
    found = applied(Quantile(knots=2), [-1e308, 1e308], [-1e308, 0, 1e308])
    assert found == pytest.approx([-ROOT, 0, ROOT], abs=1e-9)


def test_transforms_are_registered_and_round_trip() -> None:
    assert list(TRANSFORMS) == ["standard", "log", "quantile"]
    for transform in (Standard(), Log(), Quantile(knots=7)):
        assert TRANSFORMS.parse(transform.to_dict()) == transform
    assert TRANSFORMS.parse("quantile") == Quantile(knots=100)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("quantiles", "unknown transform 'quantiles'.*standard, log, quantile. Did you mean quant"),
        ({"name": "quantile", "knots": 1}, "knots: .*greater than or equal to 2, got 1"),
        ({"name": "log", "base": 2}, "unknown key transform.base"),
        ({"knots": 5}, "transform without a name"),
    ],
    ids=["unknown", "knots", "key", "nameless"],
)
def test_other_transforms_are_refused(options: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        TRANSFORMS.parse(options)
    with pytest.raises(RecipeError, match="knots.*less than or equal to 10000"):
        validate(Quantile, {"knots": 10_001}, where="numeric")


PRICE = Field("price", "numeric", "row")


def numbers(*values: float) -> Numbers:
    return Numbers(np.array(values, dtype=np.float64))


def test_a_scale_learns_from_what_is_there() -> None:
    scale = Scale.of(PRICE, numbers(3, math.nan, 7), Standard())
    found = scale.scaled(numbers(3, 7, 5, math.nan, 9))
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx([-1, 1, 0, math.nan, 2], nan_ok=True)


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ((5.0, 5.0, math.nan), "got 5 in every row"),
        ((0.0, -0.0), "got 0 in every row"),
        ((1e300,), r"got 1e\+300 in every row"),
        ((math.nan, math.nan), "got no number in any row"),
        ((), "got no number in any row"),
    ],
    ids=str,
)
def test_a_field_of_one_number_says_nothing(values: tuple[float, ...], got: str) -> None:
    words = f"^price: a field that says nothing; expected at least two values; {got}. Leave it out"
    for name in TRANSFORMS:
        with pytest.raises(DataError, match=words):
            Scale.of(PRICE, numbers(*values), TRANSFORMS.parse(name))


@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_a_scale_is_made_again_from_what_is_kept(name: str) -> None:
    scale = Scale.of(PRICE, numbers(1, 2, 5, 9), TRANSFORMS.parse(name))
    again = Scale.restore(json.loads(json.dumps(scale.scalars())), scale.kept)
    asked = numbers(0, 2, 3.5, math.nan, 1e300)
    assert again.scaled(asked).tobytes() == scale.scaled(asked).tobytes()
    assert (again.field, again.transform) == (scale.field, scale.transform)
