"""Propagation against a dense product, and against float32 sums in Python, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashrec.csr import Csr
from hashrec.graph import propagate, propagate_oracle
from hashrec.threads import set_threads

Block = npt.NDArray[np.float32]
# Around the numbers of columns that kernels like to take at once.
WIDTHS = (1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 128, 130, 200)


@pytest.fixture(autouse=True)
def _same_threads_after() -> Iterator[None]:
    yield
    set_threads(int(numba.config.NUMBA_NUM_THREADS))


def graph(rng: np.random.Generator, n: int, m: int, share: float) -> Csr:
    rows, columns = np.nonzero(rng.random((n, m)) < share)
    return Csr.from_pairs(rows, columns, n_rows=n, n_columns=m)


def inputs(rng: np.random.Generator, rows: Csr, width: int) -> tuple[Block, Block, Block]:
    sizes = (rows.n_columns, width), rows.n_rows, rows.n_columns
    block, left, right = (rng.standard_normal(size).astype(np.float32) for size in sizes)
    return block, left, right


def by_hand(rows: Csr, block: Block, left: Block, right: Block) -> Block:
    """Left to right in float32: the sum of weighted neighbours, then the scale."""
    out = np.zeros((rows.n_rows, block.shape[1]), np.float32)
    for row in range(rows.n_rows):
        for neighbour in rows.row(row).tolist():
            out[row] += right[neighbour] * block[neighbour]
        out[row] *= left[row]
    return out


def dense_product(rows: Csr, block: Block, left: Block, right: Block) -> npt.NDArray[np.float64]:
    matrix = np.zeros((rows.n_rows, rows.n_columns))
    for row in range(rows.n_rows):
        matrix[row, rows.row(row)] = 1
    scaled = np.diag(left.astype(np.float64)) @ matrix @ np.diag(right.astype(np.float64))
    product: npt.NDArray[np.float64] = scaled @ block.astype(np.float64)
    return product


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(0, 90),
    m=st.integers(0, 20),
    width=st.sampled_from(WIDTHS),
    share=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
)
def test_any_graph(seed: int, n: int, m: int, width: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    rows = graph(rng, n, m, share)
    block, left, right = inputs(rng, rows, width)
    found = propagate(rows, block, left, right)
    assert (found.shape, found.dtype) == ((n, width), np.float32)
    assert np.array_equal(found, by_hand(rows, block, left, right))
    exact = dense_product(rows, block, left, right)
    assert np.allclose(found, exact, atol=1e-4)
    oracle = propagate_oracle(rows, block, left, right)
    assert oracle.dtype == np.float64
    assert np.allclose(oracle, exact, atol=1e-12)


def test_by_hand() -> None:
    rows = Csr.from_lists([[0, 2], [], [1]], n_columns=3)
    block = np.array([[1, 10], [2, 20], [3, 30]], np.float32)
    left, right = np.array([2, 5, -1], np.float32), np.array([1, 0.5, 4], np.float32)
    expected = [[2 * (1 + 12), 2 * (10 + 120)], [0, 0], [-1, -10]]
    assert propagate(rows, block, left, right).tolist() == expected
    assert propagate_oracle(rows, block, left, right).tolist() == expected


@pytest.mark.parametrize("width", [1, 64, 70])
def test_rows_without_entries_are_zero_whatever_was_there(width: int) -> None:
    rows = Csr.from_lists([[], [0], [], [], [1], []], n_columns=2)
    ones = np.ones(2, np.float32)
    out = np.full((6, width), np.nan, np.float32)
    propagate(rows, np.ones((2, width), np.float32), np.ones(6, np.float32), ones, out)
    assert out[:, 0].tolist() == [0, 1, 0, 0, 1, 0]
    assert (out == out[:, :1]).all()


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 5), (5, 0), (4, 3)])
def test_empty_graphs(n: int, m: int) -> None:
    out = propagate(
        Csr.empty(n, m), np.ones((m, 4), np.float32), np.ones(n, np.float32), np.ones(m, np.float32)
    )
    assert out.tolist() == [[0.0] * 4] * n


def test_no_columns() -> None:
    rows = Csr.from_lists([[0]], n_columns=1)
    one = np.ones(1, np.float32)
    assert propagate(rows, np.ones((1, 0), np.float32), one, one).shape == (1, 0)


def test_one_long_row_among_many() -> None:
    """Stretches of equal work: a row longer than all others, first, last and in the middle."""
    for long in (0, 150, 299):
        lists = [[row % 7] if row % 3 else [] for row in range(300)]
        lists[long] = list(range(2_000))
        rows = Csr.from_lists(lists, n_columns=2_000)
        block, left, right = inputs(np.random.default_rng(long), rows, 5)
        found = propagate(rows, block, left, right)
        assert np.array_equal(found, by_hand(rows, block, left, right))


@pytest.mark.parametrize("width", [3, 70])
def test_out_is_written_and_returned(width: int) -> None:
    rng = np.random.default_rng(1)
    rows = graph(rng, 30, 12, 0.3)
    block, left, right = inputs(rng, rows, width)
    before = [values.copy() for values in (block, left, right)]
    fresh = propagate(rows, block, left, right)
    out = np.full((30, width), np.nan, np.float32)
    for _ in range(2):
        assert propagate(rows, block, left, right, out) is out
        assert np.array_equal(out, fresh)
    after = block, left, right
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_blocks_that_are_not_contiguous() -> None:
    rng = np.random.default_rng(2)
    rows = graph(rng, 30, 12, 0.3)
    block, left, right = inputs(rng, rows, 70)
    expected = by_hand(rows, block, left, right)
    assert np.array_equal(propagate(rows, np.asfortranarray(block), left, right), expected)
    spaced = np.repeat(right, 2)[::2]
    assert np.array_equal(propagate(rows, block, left, spaced), expected)


@pytest.mark.parametrize("width", [1, 7, 64, 130])
def test_same_bits_for_any_number_of_threads(width: int) -> None:
    most = int(numba.config.NUMBA_NUM_THREADS)
    if most == 1:
        pytest.skip("one core: nothing to compare")
    rng = np.random.default_rng(3)
    rows = graph(rng, 500, 80, 0.2)
    block, left, right = inputs(rng, rows, width)
    found = []
    for count in (1, most):
        set_threads(count)
        found.append(propagate(rows, block, left, right).tobytes())
    assert found[0] == found[1] == by_hand(rows, block, left, right).tobytes()


ROWS = Csr.from_lists([[0], [1], [2]], n_columns=4)
BLOCK, LEFT, RIGHT = (np.ones(size, np.float32) for size in ((4, 2), 3, 4))


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (np.ones((4, 2)), "block must be 2-d float32, got 2-d float64"),
        (np.ones(4, np.float32), "block must be 2-d float32, got 1-d float32"),
    ],
)
def test_blocks_refused(block: Block, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        propagate(ROWS, block, LEFT, RIGHT)


@pytest.mark.parametrize(
    ("block", "left", "right"),
    [(BLOCK[:3], LEFT, RIGHT), (BLOCK, LEFT[:2], RIGHT), (BLOCK, LEFT, RIGHT[:3])],
)
def test_shapes_that_do_not_meet(block: Block, left: Block, right: Block) -> None:
    words = (
        f"shapes do not meet: rows 3 x 4, left {len(left)}, right {len(right)}, "
        rf"block \({len(block)}, 2\)"
    )
    with pytest.raises(ValueError, match=words):
        propagate(ROWS, block, left, right)


def test_diagonals_of_another_type() -> None:
    """Bug: kernels read float64 diagonals as they came, and no longer summed in float32."""
    with pytest.raises(TypeError, match="diagonals must be float32, got float64 and float32"):
        propagate(ROWS, BLOCK, np.ones(3), RIGHT)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="diagonals must be float32, got float32 and float64"):
        propagate(ROWS, BLOCK, LEFT, np.ones(4))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((2, 2), np.float32),
        np.zeros((3, 1), np.float32),
        np.zeros((3, 2)),
        np.zeros((2, 3), np.float32).T,
    ],
)
def test_out_of_another_kind(out: Block) -> None:
    """Bug: kernels check no bounds, so an `out` too small was written beyond its end."""
    with pytest.raises(ValueError, match=r"out must be \(3, 2\) contiguous float32, got"):
        propagate(ROWS, BLOCK, LEFT, RIGHT, out)
