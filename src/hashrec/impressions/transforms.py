"""Numbers as a model takes them: about mean 0 and deviation 1, by what was seen in training."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field as Limits

from hashrec.component import Component, Registry

__all__ = ["TRANSFORMS", "Log", "Quantile", "Standard", "Transform"]

Floats = npt.NDArray[np.float64]

_FARTHEST = 8.0  # deviations: one absurd number must not drown a row


class Transform(Component):
    """How a numeric field is brought to scale."""

    @abstractmethod
    def learned(self, values: Floats) -> Floats:
        """What is kept of finite `values`, at least two of which differ."""

    @abstractmethod
    def applied(self, values: Floats, kept: Floats) -> Floats:
        """Scaled values; NaN stays NaN."""


class Standard(Transform):
    """(x - mean) / deviation, cut at 8."""

    name: ClassVar[str] = "standard"

    def learned(self, values: Floats) -> Floats:
        unit = float(np.abs(values).max())  # squares of 1e300 are infinite
        scaled = values / unit
        return np.array([scaled.mean(), max(scaled.std(), np.finfo(float).tiny), unit])

    def applied(self, values: Floats, kept: Floats) -> Floats:
        mean, deviation, unit = kept
        with np.errstate(over="ignore"):
            found: Floats = np.clip((values / unit - mean) / deviation, -_FARTHEST, _FARTHEST)
        return found


class Log(Transform):
    """sign(x) log(1 + |x|), then as `standard`: for counts and prices."""

    name: ClassVar[str] = "log"

    def learned(self, values: Floats) -> Floats:
        return Standard().learned(_log(values))

    def applied(self, values: Floats, kept: Floats) -> Floats:
        return Standard().applied(_log(values), kept)


class Quantile(Transform):
    """sqrt(3) (2 q - 1), q being the share of training values below, linear between knots.

    Whatever the distribution, what comes out is about uniform, and what lies beyond all values
    seen is at the end.

    Attributes:
        knots: how many quantiles are kept; equal ones count once.
    """

    name: ClassVar[str] = "quantile"

    knots: Annotated[int, Limits(ge=2, le=10_000)] = 100

    def learned(self, values: Floats) -> Floats:
        shares = np.linspace(0, 1, self.knots)
        at = np.quantile(values, shares, method="inverted_cdf")
        # Of equal quantiles the middle share: half of what is equal counts as below.
        knots, first, count = np.unique(at, return_index=True, return_counts=True)
        middle = (shares[first] + shares[first + count - 1]) / 2
        return np.stack([knots, middle])

    def applied(self, values: Floats, kept: Floats) -> Floats:
        knots, shares = kept
        with np.errstate(over="ignore"):
            far = not np.isfinite(knots[-1] - knots[0])
            unit = float(np.abs(knots).max()) if far else 1.0
            share = np.interp(values / unit, knots / unit, shares)
        found: Floats = np.sqrt(3) * (2 * share - 1)
        return np.where(np.isnan(values), np.nan, found)


TRANSFORMS: Registry[Transform] = Registry("transform", Standard, Log, Quantile)


def _log(values: Floats) -> Floats:
    found: Floats = np.sign(values) * np.log1p(np.abs(values))
    return found
