"""Subspace iteration against numpy's dense SVD, where enough iterations were given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hashrec.csr import Csr
from hashrec.encoders.svd import TruncatedSVD, truncated_svd
from hashrec.graph import BipartiteOperator

Dense = npt.NDArray[np.float64]


def random_graph(n: int, m: int, *, seed: int = 0, communities: int = 4) -> Csr:
    """Dense inside a community, sparse outside: leading singular values stand apart."""
    rng = np.random.default_rng(seed)
    same = np.arange(n)[:, None] % communities == np.arange(m)[None, :] % communities
    rows, columns = np.nonzero(rng.random((n, m)) < np.where(same, 0.6, 0.05))
    return Csr.from_pairs(rows, columns, n_rows=n, n_columns=m)


def blocks(sizes: list[tuple[int, int]]) -> Csr:
    """Disjoint complete bipartite blocks: the rank is their number, every singular value is 1."""
    lists, start = [], 0
    for n_users, n_items in sizes:
        lists += [list(range(start, start + n_items))] * n_users
        start += n_items
    return Csr.from_lists(lists, n_columns=start)


def dense(rows: Csr) -> Dense:
    """The symmetric normalisation, edge by edge."""
    matrix = np.zeros((rows.n_rows, rows.n_columns))
    for user in range(rows.n_rows):
        matrix[user, rows.row(user)] = 1
    users, items = matrix.sum(axis=1, keepdims=True), matrix.sum(axis=0, keepdims=True)
    scaled: Dense = matrix / np.sqrt(np.maximum(users, 1) * np.maximum(items, 1))
    return scaled


def svd(rows: Csr, dim: int, *, seed: int = 0, **options: float) -> TruncatedSVD:
    given = {"max_iterations": 40, "oversampling": 10, **options}
    operator = BipartiteOperator.normalised(rows)
    return truncated_svd(operator, dim, rng=np.random.default_rng(seed), **given)  # type: ignore[arg-type]


def assert_close(found: TruncatedSVD, rows: Csr, dim: int, *, atol: float = 1e-4) -> None:
    matrix = dense(rows)
    _, singular, right = np.linalg.svd(matrix, full_matrices=False)
    assert found.singular.shape == (dim,)
    assert found.right.shape == (rows.n_columns, dim)
    assert found.singular.dtype == found.right.dtype == np.float32
    assert np.abs(found.singular - singular[:dim]).max() < atol
    gram = found.right.T.astype(np.float64) @ found.right
    assert np.abs(gram - np.eye(dim)).max() < 2e-3
    # The span, which does not depend on signs or on the basis among equal singular values.
    kept = matrix @ found.right.astype(np.float64)
    best = matrix @ right[:dim].T
    assert np.abs(np.linalg.norm(kept) - np.linalg.norm(best)) < atol * 10
    assert np.abs(kept.T @ kept - np.diag(singular[:dim] ** 2)).max() < 2e-3


@pytest.mark.parametrize(("n", "m", "dim"), [(60, 40, 4), (40, 60, 4), (80, 80, 8), (25, 90, 1)])
def test_against_numpy(n: int, m: int, dim: int) -> None:
    rows = random_graph(n, m)
    assert_close(svd(rows, dim), rows, dim)


@pytest.mark.parametrize("tolerance", [0.0, 1e-6])
def test_both_ways_to_iterate(tolerance: float) -> None:
    rows = random_graph(70, 50, seed=1)
    found = svd(rows, 5, tolerance=tolerance)
    assert_close(found, rows, 5)
    assert np.isfinite(found.residual) == (tolerance > 0)


@pytest.mark.parametrize(("n", "m"), [(12, 30), (30, 12), (12, 12)])
def test_as_many_as_there_are(n: int, m: int) -> None:
    rows = random_graph(n, m, seed=2, communities=2)
    singular = np.linalg.svd(dense(rows), compute_uv=False)
    assert singular[11] > 0.01 * singular[0]  # full rank, well above rounding
    assert_close(svd(rows, 12, max_iterations=3), rows, 12, atol=1e-3)


def test_without_oversampling() -> None:
    rows = random_graph(60, 40, seed=3)
    assert_close(svd(rows, 4, oversampling=0), rows, 4)


@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
@pytest.mark.parametrize("sizes", [[(8, 6), (5, 9), (7, 7)], [(20, 20)]])
def test_graphs_of_few_communities(sizes: list[tuple[int, int]], tolerance: float) -> None:
    """Rank-deficient: one direction a block, each with singular value 1; all others are zero."""
    rows, rank = blocks(sizes), len(sizes)
    found = svd(rows, 10, max_iterations=4, tolerance=tolerance)
    assert found.singular[:rank].tolist() == pytest.approx([1.0] * rank, abs=1e-5)
    assert found.singular[rank:].tolist() == [0.0] * (10 - rank)
    assert not found.right[:, rank:].any()
    live = found.right[:, :rank].astype(np.float64)
    assert np.abs(live.T @ live - np.eye(rank)).max() < 1e-4
    # Items of one block are alike, and their projector is 1 / n_items inside it, 0 outside.
    expected, start = np.zeros((rows.n_columns, rows.n_columns)), 0
    for _, n_items in sizes:
        expected[start : start + n_items, start : start + n_items] = 1 / n_items
        start += n_items
    assert np.abs(live @ live.T - expected).max() < 1e-4


def test_one_user() -> None:
    found = svd(Csr.from_lists([[1, 3, 4]], n_columns=6), 1)
    assert found.singular.tolist() == pytest.approx([1.0], abs=1e-6)
    assert found.right[:, 0].tolist() == pytest.approx([0, 3**-0.5, 0, 3**-0.5, 3**-0.5, 0])


def test_one_item() -> None:
    found = svd(Csr.from_lists([[0], [], [0]], n_columns=1), 1)
    assert found.singular.tolist() == pytest.approx([1.0], abs=1e-6)
    assert found.right.tolist() == [[pytest.approx(1.0)]]


def test_no_edges() -> None:
    found = svd(Csr.empty(5, 7), 3)
    assert found.singular.tolist() == [0, 0, 0]
    assert not found.right.any()


def test_more_iterations_come_closer() -> None:
    rows = random_graph(150, 120, seed=4, communities=1)
    exact = np.linalg.svd(dense(rows), compute_uv=False)[:6]
    gaps = []
    for iterations in (1, 3, 12):
        found = svd(rows, 6, oversampling=2, max_iterations=iterations)
        assert found.iterations == iterations
        assert (found.singular <= exact + 1e-4).all()  # Ritz values come from below
        gaps.append(float((exact - found.singular).sum()))
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]


def test_oversampling_comes_closer() -> None:
    rows = random_graph(150, 120, seed=5, communities=1)
    exact = np.linalg.svd(dense(rows), compute_uv=False)[:6]
    gaps = [
        float((exact - svd(rows, 6, oversampling=extra, max_iterations=2).singular).sum())
        for extra in (0, 20)
    ]
    assert gaps[0] > 1.5 * gaps[1]


def test_tolerance_stops_early() -> None:
    rows = random_graph(100, 80, seed=6)
    loose, tight = (svd(rows, 4, tolerance=tolerance) for tolerance in (1e-2, 1e-5))
    assert 1 < loose.iterations < tight.iterations < 40
    assert loose.residual <= 1e-2
    assert tight.residual <= 1e-5
    assert_close(tight, rows, 4)
    never = svd(rows, 4, tolerance=1e-30, max_iterations=5)
    assert never.iterations == 5
    assert never.residual > 1e-30


def test_residual_by_its_formula() -> None:
    """One iteration with a basis of everything: the Ritz pairs of C are exact but for rounding."""
    found = svd(random_graph(30, 12, seed=7), 3, tolerance=1e-3, max_iterations=1)
    assert found.residual < 1e-5
    rough = svd(random_graph(200, 150, seed=7, communities=1), 3, tolerance=1e-9, max_iterations=1)
    assert rough.residual > 1e-2


def test_same_seed_same_bytes() -> None:
    rows = random_graph(60, 40, seed=8)
    one, same, other = (svd(rows, 5, seed=seed, max_iterations=2) for seed in (1, 1, 2))
    assert one.right.tobytes() == same.right.tobytes()
    assert one.singular.tobytes() == same.singular.tobytes()
    assert one.right.tobytes() != other.right.tobytes()


def test_signs_are_settled() -> None:
    for seed in range(5):
        found = svd(random_graph(60, 40, seed=9), 6, seed=seed)
        assert (found.right.astype(np.float64).sum(axis=0) > -1e-4).all()


@pytest.mark.parametrize("dim", [0, 5, -1])
def test_dim_out_of_range(dim: int) -> None:
    with pytest.raises(ValueError, match=rf"dim must be in \[1, 4\], got {dim}"):
        svd(Csr.from_lists([[0, 1], [2], [3], [4]], n_columns=6), dim)


def test_progress_is_told() -> None:
    said: list[object] = []

    class Listener:
        def start(self, stage: str, total: int) -> None:
            said.append((stage, total))

        def advance(self, steps: int = 1) -> None:
            said.append(steps)

        def note(self, line: str) -> None:
            said.append(line)

    operator = BipartiteOperator.normalised(random_graph(20, 20))
    rng = np.random.default_rng(0)
    truncated_svd(operator, 3, max_iterations=3, rng=rng, progress=Listener())
    assert said == [("spectral", 3), 1, 1, 1]
