"""How good chances are that something happens: ranking, loss and calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from hashrec.errors import DataError

__all__ = ["auc", "calibration_error", "judged", "log_loss"]

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.float32]

_BINS = 15


def judged(logits: Floats, label: Labels) -> dict[str, float]:
    """`auc`, `log_loss`, `calibration_error` and `predicted_over_true`, the sum of the chances
    over that of the labels. Raises DataError for labels of one class."""
    chances = expit(np.asarray(logits, dtype=np.float64))
    return {
        "auc": auc(logits, label),
        "log_loss": log_loss(logits, label),
        "calibration_error": calibration_error(chances, label),
        "predicted_over_true": float(chances.sum() / label.sum(dtype=np.float64)),
    }


def auc(scores: Floats, label: Labels) -> float:
    """The chance that a positive scores above a negative, ties counting half:
    (sum of the positives' mean ranks - p (p + 1) / 2) / (p n), by Mann and Whitney.

    Args:
        scores: (n,) any finite numbers. label: (n,) 0 or 1.

    Raises DataError for labels of one class.
    """
    positives = int(label.sum(dtype=np.float64))
    negatives = len(label) - positives
    if not positives or not negatives:
        raise DataError(
            "labels of one class", expected="both 0 and 1",
            got=f"{len(label):,} labels, {'none' if not positives else 'all'} of them 1",
        )  # fmt: skip
    above = float(_mean_ranks(scores)[label > 0].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def log_loss(logits: Floats, label: Labels) -> float:
    """The mean of -y log p - (1 - y) log(1 - p), p = 1 / (1 + exp(-logit))."""
    z = np.asarray(logits, dtype=np.float64)
    # Not log(1 + e^z) - y z, which is no number where an infinite logit is right.
    return float(np.logaddexp(0, np.where(label > 0, -z, z)).mean())


def calibration_error(chances: Floats, label: Labels) -> float:
    """Expected calibration error: sum over 15 bins of n_b / n |mean chance - mean label|.

    Bins hold equally many, in the order of their chances; equal chances share one (M. P. Naeini et
    al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015).
    """
    n = len(label)
    bins = np.minimum((_mean_ranks(chances) - 0.5) * _BINS / n, _BINS - 1).astype(np.int64)
    gaps = np.bincount(bins, weights=chances - label, minlength=_BINS)
    return float(np.abs(gaps).sum() / n)


def _mean_ranks(values: Floats) -> npt.NDArray[np.float64]:
    """(n,) ranks from 1, equal values having the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)
