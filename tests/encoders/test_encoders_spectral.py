"""The spectral encoder against its formula in dense float64, and on data known by thought."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hashrec.csr import Csr
from hashrec.encoders import ENCODERS, Encoding, FoldIn, Spectral
from hashrec.errors import RecipeError

Dense = npt.NDArray[np.float64]


def planted(n: int, m: int, communities: int, *, seed: int = 0, noise: float = 0.05) -> Csr:
    """User u and item i belong together where u = i modulo the number of communities."""
    rng = np.random.default_rng(seed)
    same = np.arange(n)[:, None] % communities == np.arange(m)[None, :] % communities
    rows, columns = np.nonzero(rng.random((n, m)) < np.where(same, 0.5, noise))
    return Csr.from_pairs(rows, columns, n_rows=n, n_columns=m)


def binary(rows: Csr) -> Dense:
    matrix = np.zeros((rows.n_rows, rows.n_columns))
    for user in range(rows.n_rows):
        matrix[user, rows.row(user)] = 1
    return matrix


def power(degrees: Dense, exponent: float) -> Dense:
    return np.array([degree**exponent if degree else 0.0 for degree in degrees])


def converged(**options: Any) -> Spectral:
    given = {"dim": 6, "max_iterations": 60, "oversampling": 10, **options}
    return Spectral.model_validate(given)


def encode(encoder: Spectral, rows: Csr, seed: int = 0) -> Encoding:
    return encoder.encode(rows, np.random.default_rng(seed))


OPTIONS: list[dict[str, float]] = [
    {},
    {"user_exponent": 0.5, "item_exponent": 0.5, "degree_exponent": 0.5, "spectrum_exponent": 0},
    {"user_exponent": 0, "item_exponent": 0, "degree_exponent": 0, "spectrum_exponent": 1},
    {"user_exponent": 1, "item_exponent": 0.2, "degree_exponent": 1, "spectrum_exponent": 3},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_formula(options: dict[str, float]) -> None:
    rows = planted(140, 100, 6, noise=0.03)
    encoder = converged(**options)
    found = encode(encoder, rows)
    a, b, c, p = (
        encoder.user_exponent, encoder.item_exponent, encoder.degree_exponent,
        encoder.spectrum_exponent,
    )  # fmt: skip
    matrix = binary(rows)
    users, items = matrix.sum(axis=1), matrix.sum(axis=0)
    operator = power(users, -a)[:, None] * matrix * power(items, -b)[None, :]
    _, singular, right = np.linalg.svd(operator)
    assert singular[5] > 1.2 * singular[6]  # six directions are well defined
    v, s = right[:6].T, singular[:6]

    # Signs of columns are free, so compare what does not depend on them.
    item_vectors = power(items, c)[:, None] * v * s ** (p / 2)
    user_vectors = operator @ v * s ** (p / 2)
    scores = operator @ v @ np.diag(s**p) @ v.T @ np.diag(power(items, c))
    for mine, theirs in (
        (found.items @ found.items.T, item_vectors @ item_vectors.T),
        (found.users @ found.users.T, user_vectors @ user_vectors.T),
        (found.users @ found.items.T, scores),
    ):
        assert np.abs(mine - theirs).max() < 1e-3 * np.abs(theirs).max()
    assert found.users.dtype == found.items.dtype == np.float32
    assert found.facts["largest_singular"] == pytest.approx(s[0], rel=1e-4)
    assert found.facts["smallest_singular"] == pytest.approx(s[5], rel=1e-3)
    assert found.facts["iterations"] == 60


def test_folding_the_training_histories_gives_the_users() -> None:
    rows = planted(70, 50, 6)
    found = encode(Spectral(dim=8), rows)
    assert found.fold_in is not None
    again = found.fold_in(rows, found.items, rows.column_counts())
    assert again.tobytes() == found.users.tobytes()
    some = np.array([3, 3, 60])
    assert np.array_equal(
        found.fold_in(rows.take(some), found.items, rows.column_counts()), found.users[some]
    )


def test_fold_in_by_hand() -> None:
    """|H|^-1/2 times the sum of d^-1 item."""
    histories = Csr.from_lists([[0, 1, 2, 3], [], [2]], n_columns=4)
    items = np.array([[1, 0], [0, 1], [4, 4], [2, -2]], np.float32)
    users = FoldIn(0.5, 1.0)(histories, items, np.array([1, 2, 4, 0]))
    assert users.tolist() == [[0.5 * (1 + 0 + 1), 0.5 * (0 + 0.5 + 1)], [0, 0], [1, 1]]
    assert users.dtype == np.float32
    plain = FoldIn(0.0, 0.0)(histories, items, np.array([1, 2, 4, 7]))
    assert plain.tolist() == [[7, 3], [0, 0], [4, 4]]


def test_planted_communities_are_found() -> None:
    rows = planted(80, 120, 5, seed=3)
    found = encode(converged(dim=5), rows)
    scores = found.users @ found.items.T
    scores[binary(rows) > 0] = -np.inf
    best = np.argsort(-scores, axis=1)[:, :3]
    assert (best % 5 == np.arange(80)[:, None] % 5).mean() > 0.99
    unit = found.items / np.linalg.norm(found.items, axis=1, keepdims=True)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    neighbours = np.argsort(-alike, axis=1)[:, :5]
    assert (neighbours % 5 == np.arange(120)[:, None] % 5).mean() > 0.99


def test_a_new_user_gets_the_items_of_their_community() -> None:
    rows = planted(80, 60, 5, seed=4)
    found = encode(Spectral(dim=5), rows)
    assert found.fold_in is not None
    histories = Csr.from_lists([[3, 8, 13], []], n_columns=60)
    users = found.fold_in(histories, found.items, rows.column_counts())
    best = np.argsort(-(users[0] @ found.items.T))[:9]
    assert (best % 5 == 3).all()
    assert not users[1].any()


@pytest.mark.parametrize("options", OPTIONS)
def test_nodes_without_edges_have_zero_vectors(options: dict[str, float]) -> None:
    whole = planted(30, 20, 3)
    rows = Csr.from_pairs(whole.row_of_entry + 1, whole.indices + 2, n_rows=33, n_columns=24)
    found = encode(converged(**options), rows)
    lonely_users, lonely_items = [0, 31, 32], [0, 1, 22, 23]
    assert not found.users[lonely_users].any()
    assert not found.items[lonely_items].any()
    assert found.users[1:31].any(axis=1).all()
    assert found.items[2:22].any(axis=1).all()
    # And they change nothing for the others.
    alone = encode(converged(**options), whole)
    scores = found.users[1:31] @ found.items[2:22].T
    assert np.abs(scores - alone.users @ alone.items.T).max() < 1e-3 * np.abs(scores).max()


@pytest.mark.parametrize(("n", "m"), [(9, 40), (40, 9), (1, 7)])
def test_dim_is_cut_to_the_data(n: int, m: int) -> None:
    found = encode(Spectral(dim=512), planted(n, m, 1))
    assert found.users.shape == (n, min(n, m))
    assert found.items.shape == (m, min(n, m))


def test_directions_beyond_the_rank_are_zero_even_with_no_passband() -> None:
    """0 ** 0 is 1, but a direction outside the rank has nothing to pass."""
    rows = Csr.from_lists([[0, 1, 2]] * 4 + [[3, 4]] * 5 + [[5, 6, 7]] * 3, n_columns=8)
    found = encode(Spectral(dim=8, spectrum_exponent=0), rows)
    assert np.isfinite(found.items).all()
    assert found.items[:, :3].any(axis=0).all()
    assert not found.items[:, 3:].any()
    assert not found.users[:, 3:].any()
    assert found.facts["smallest_singular"] == 0.0
    scores = found.users @ found.items.T
    inside = binary(rows) > 0
    assert scores[inside].min() > 0.1
    assert np.abs(scores[~inside]).max() < 1e-4


def test_same_seed_same_bytes() -> None:
    rows = planted(40, 30, 3)
    one, same, other = (encode(Spectral(dim=4), rows, seed) for seed in (1, 1, 2))
    assert one.items.tobytes() == same.items.tobytes()
    assert one.users.tobytes() == same.users.tobytes()
    assert one.facts == same.facts
    assert one.items.tobytes() != other.items.tobytes()


def test_interactions_are_not_changed() -> None:
    rows = planted(40, 30, 3)
    before = rows.indices.copy(), rows.offsets.copy()
    encode(Spectral(dim=4), rows)
    assert np.array_equal(rows.indices, before[0])
    assert np.array_equal(rows.offsets, before[1])


def test_options_reach_the_iteration() -> None:
    rows = planted(80, 60, 5)
    assert encode(Spectral(dim=5, max_iterations=2), rows).facts["iterations"] == 2
    stopped = encode(converged(dim=5, tolerance=1e-2), rows).facts["iterations"]
    assert 1 <= stopped < 60


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("dim", 0, "greater than or equal to 1, got 0"),
        ("dim", 65_537, "less than or equal to 65536, got 65537"),
        ("dim", 2.5, "valid integer"),
        ("user_exponent", -0.1, "greater than or equal to 0, got -0.1"),
        ("user_exponent", 1.1, "less than or equal to 1, got 1.1"),
        ("item_exponent", 2, "less than or equal to 1, got 2"),
        ("degree_exponent", -1, "greater than or equal to 0, got -1"),
        ("spectrum_exponent", 8.5, "less than or equal to 8, got 8.5"),
        ("oversampling", -1, "greater than or equal to 0, got -1"),
        ("max_iterations", 0, "greater than or equal to 1, got 0"),
        ("tolerance", -1e-9, "greater than or equal to 0"),
        ("tolerance", float("nan"), "got nan"),
        ("user_exponent", float("nan"), "got nan"),
    ],
)
def test_options_out_of_range(option: str, value: float, words: str) -> None:
    with pytest.raises(RecipeError, match=rf"encoder.{option}: .*{words}"):
        ENCODERS.parse({"name": "spectral", option: value})


def test_round_trip_shapes_and_facts() -> None:
    encoder = Spectral(dim=7, item_exponent=0.3)
    assert ENCODERS.parse(encoder.to_dict()) == encoder
    found = encode(encoder, planted(20, 15, 3))
    assert found.users.shape == (20, 7)
    assert found.items.shape == (15, 7)
    assert all(isinstance(fact, (int, float)) for fact in found.facts.values())


def test_unknown_encoder() -> None:
    with pytest.raises(RecipeError, match="unknown encoder 'spectra'.*Did you mean spectral"):
        ENCODERS.parse("spectra")
