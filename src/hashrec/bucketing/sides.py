"""From what the caller has (a log, any sparse matrix) to the two sides of a weighted graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse

from hashrec.bucketing.method import Side, Sides
from hashrec.clustering import transposed
from hashrec.csr import Csr
from hashrec.errors import DataError, UsageError
from hashrec.interactions import Interactions

__all__ = ["sides_of", "weights_of"]

Weights = npt.NDArray[np.float32]
Features = tuple[npt.ArrayLike | None, npt.ArrayLike | None]


def sides_of(
    interactions: Interactions | Any,
    *,
    weights: npt.ArrayLike | None = None,
    half_life: float | None = None,
    tied: bool = False,
    features: Features = (None, None),
) -> Sides:
    """Both sides, checked. Raises DataError for no edges and for weights that are not positive."""
    if isinstance(interactions, Interactions):
        user_ids, item_ids = interactions.users.array, interactions.items.array
        matrix = _with_edges(interactions.matrix)
        by_user = weights_of(interactions, weights, half_life)
    elif scipy.sparse.issparse(interactions):
        if weights is not None or half_life is not None:
            raise UsageError("weights beside a sparse matrix", expected="its stored values alone")
        matrix, by_user = _from_scipy(interactions)
        user_ids, item_ids = (pa.array(np.arange(n)) for n in (matrix.n_rows, matrix.n_columns))
    else:
        raise UsageError(
            "these are no interactions",
            expected="Interactions (hashrec.read) or a scipy sparse matrix",
            got=type(interactions).__name__,
        )
    if tied and not user_ids.equals(item_ids):
        raise UsageError("tied sides must have the same ids", fix="leave tied out")
    by_item, item_weights = transposed(matrix, by_user)
    return Sides(
        Side("user", user_ids, matrix, by_user, _features("user", features[0], len(user_ids))),
        Side(
            "item", item_ids, by_item, item_weights, _features("item", features[1], len(item_ids))
        ),
        tied,
    )


def _with_edges(matrix: Csr) -> Csr:
    if not len(matrix.indices):
        raise DataError("a graph without edges", expected="at least one interaction", got="none")
    return matrix


def weights_of(
    log: Interactions, weights: npt.ArrayLike | None, half_life: float | None
) -> Weights | None:
    """(n_interactions,) float32 beside `log.matrix.indices`, or None where all are one."""
    if half_life is not None:
        if weights is not None:
            raise UsageError("both weights and a half-life", expected="one of the two")
        return _recency(log, half_life)
    if weights is None:
        return None
    given = np.asarray(weights)
    if given.shape != (log.n_interactions,):
        raise UsageError(
            "weights of another length",
            expected=f"one for each of the {log.n_interactions} interactions",
            got=f"shape {given.shape}",
        )
    return _checked(given)


def _recency(log: Interactions, half_life: float) -> Weights:
    """2^(-age / half_life), the newest counting 1."""
    if not (np.isfinite(half_life) and half_life > 0):
        raise UsageError(
            "half_life out of range", expected="a positive number", got=repr(half_life)
        )
    if log.times is None:
        raise DataError("a half-life needs times", fix="name the time column when reading")
    age = (log.times.max() - log.times).astype(np.float64)
    weights: Weights = np.exp2(-age / half_life).astype(np.float32)
    return _checked(np.maximum(weights, np.finfo(np.float32).tiny))


def _checked(weights: npt.NDArray[Any]) -> Weights:
    """As float32; refuses NaN, infinities, zeros and negatives, naming the first."""
    with np.errstate(over="ignore"):  # what is too large for float32 is named below
        as_float: Weights = weights.astype(np.float32)
    bad = np.flatnonzero(~(np.isfinite(as_float) & (as_float > 0)))
    if len(bad):
        raise DataError(
            "weights must be positive and finite",
            got=f"{weights[bad[0]]} for interaction {bad[0]} ({len(bad)} such)",
            fix="leave such interactions out",
        )
    return as_float


def _from_scipy(given: Any) -> tuple[Csr, Weights | None]:
    """Rows and columns of any sparse format; repeated entries are summed."""
    if given.ndim != 2:
        raise UsageError("a sparse matrix of two dimensions is wanted", got=f"{given.ndim}")
    # Sums in float64: those of small integers would wrap around.
    rows = scipy.sparse.csr_array(given.astype(np.float64).tocsr())
    rows.sum_duplicates()
    weights = _checked(rows.data)
    csr = Csr(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.shape[1])
    return _with_edges(csr), None if (weights == 1).all() else weights


def _features(side: str, given: npt.ArrayLike | None, n: int) -> npt.NDArray[np.float32] | None:
    if given is None:
        return None
    with np.errstate(over="ignore"):  # infinities are refused below
        features = np.asarray(given, dtype=np.float32)
    if features.ndim != 2 or len(features) != n or not np.isfinite(features).all():
        raise DataError(
            f"{side} features that do not fit",
            expected=f"({n}, f) finite numbers, by position",
            got=f"shape {features.shape}",
        )
    return features
