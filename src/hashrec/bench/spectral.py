"""`bench spectral`: the truncated SVD beside scipy's and scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.bench.propagation import weighted
from hashrec.bench.subject import subject
from hashrec.bench.timing import alternate
from hashrec.codes import FloatCodes
from hashrec.encoders import Encoding, FoldIn, Spectral
from hashrec.encoders.svd import truncated_svd
from hashrec.errors import MissingExtraError
from hashrec.graph import BipartiteOperator
from hashrec.graph.operator import degree_power
from hashrec.interactions import Interactions
from hashrec.progress import Progress
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender

__all__ = ["bench_spectral"]

Triplets = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def bench_spectral(
    *, data: str | None, quick: bool, repeats: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """Singular values and right vectors of the normalised operator at d = 256 (64 when quick).

    `randomized_svd` gets the same oversampling and iterations (the default recipe's); `svds` runs
    to its own convergence. `subspace_error` is the share of the energy ||N V||^2 that svds's V
    holds and ours misses. Each V then makes a recommender by the same formula, measured on the
    test part.
    """
    train, test = subject(data, quick=quick, seed=seed)
    dim = 64 if quick else 256
    spec = Spectral(dim=dim)
    operator = BipartiteOperator.normalised(
        train.matrix, user_exponent=spec.user_exponent, item_exponent=spec.item_exponent
    )
    sides = _sides(operator, dim, seed)
    found: dict[str, Triplets] = {}

    def keeping(name: str) -> Callable[[], None]:
        def run() -> None:
            found[name] = sides[name]()

        return run

    timings = alternate({name: keeping(name) for name in sides}, repeats, progress)
    energy = {name: _energy(operator, right) for name, (_, right) in found.items()}
    ours = timings["hashrec"].median
    rows = [
        {
            "engine": name,
            "edges": train.n_interactions,
            "dim": dim,
            **timing.row(),
            "energy": round(energy[name], 3),
            "recall@20": _recall(train, test, spec, *found[name]),
        }
        for name, timing in timings.items()
    ]
    claims = {
        "over_svds": round(timings["scipy svds"].median / ours, 3),
        "over_randomized_svd": round(timings["sklearn randomized_svd"].median / ours, 3),
        "subspace_error": 1 - energy["hashrec"] / energy["scipy svds"],
    }
    return {"rows": rows, "claims": claims}


def _sides(operator: BipartiteOperator, dim: int, seed: int) -> dict[str, Callable[[], Triplets]]:
    from scipy.sparse.linalg import svds

    try:
        from sklearn.utils.extmath import randomized_svd
    except ImportError as fault:
        raise MissingExtraError(
            "scikit-learn is not installed", fix="run pip install 'hashrec[bench]'"
        ) from fault
    matrix = weighted(operator)
    recipe = Spectral()
    iterations, oversampling = recipe.max_iterations, recipe.oversampling

    def ours() -> Triplets:
        svd = truncated_svd(
            operator,
            dim,
            oversampling=oversampling,
            max_iterations=iterations,
            rng=np.random.default_rng(seed),
        )
        return svd.singular, svd.right

    def scipy_side() -> Triplets:
        _, singular, right = svds(matrix, k=dim, random_state=seed)
        return singular[::-1].astype(np.float32), right[::-1].T.astype(np.float32)

    def sklearn_side() -> Triplets:
        _, singular, right = randomized_svd(
            matrix, dim, n_oversamples=oversampling, n_iter=iterations, random_state=seed
        )
        return singular, np.ascontiguousarray(right.T)

    return {"hashrec": ours, "scipy svds": scipy_side, "sklearn randomized_svd": sklearn_side}


def _energy(operator: BipartiteOperator, right: npt.NDArray[np.float32]) -> float:
    """||N V||_F^2, what the subspace holds of the operator."""
    image = operator.to_users(np.ascontiguousarray(right, dtype=np.float32))
    return float(np.square(image, dtype=np.float64).sum())


def _recall(
    train: Interactions,
    test: Interactions,
    spec: Spectral,
    singular: npt.NDArray[np.float32],
    right: npt.NDArray[np.float32],
) -> float:
    """R@20 of the recommender that these triplets make."""
    degrees = train.matrix.column_counts()
    passband = np.power(np.maximum(singular, 0), spec.spectrum_exponent / 2)
    popularity = degree_power(degrees, spec.degree_exponent)[:, None]
    items = (right * passband * popularity).astype(np.float32)
    fold_in = FoldIn(spec.user_exponent, spec.item_exponent + spec.degree_exponent)
    encoding = Encoding(fold_in(train.matrix, items, degrees), items, fold_in)
    recipe = Recipe(encoder=spec, codes=FloatCodes())
    model = Recommender(recipe).code(train, encoding)
    return model.evaluate(test, [20]).metrics["recall@20"]
