"""What training computes with is what codes decode to, in every bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hashrec.codes import Codes, Decoder, FloatCodes, Rotation, pack
from hashrec.hashing.hash_layer import DispersedLayer, GuidedLayer, frame
from hashrec.hashing.hash_mlp import HashMlp
from hashrec.hashing.quantisers import BOUNDS, Side, Uniform
from hashrec.search import open_index

RANGES = ("row", "dimension", "table")


def vectors(seed: int, n: int = 30, dim: int = 12, style: str = "normal") -> object:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(n, dim))
    if style == "zeros":
        found[::2] = 0
    elif style == "constant dimension":
        found[:, 3] = 0.5
    elif style == "wide":
        found *= 10.0 ** rng.integers(-6, 6, (n, 1))
    return torch.from_numpy(found.astype(np.float32))


@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.integers(1, 8),
    span=st.sampled_from(RANGES),
    estimator=st.sampled_from(["identity", "clipped", "scaled"]),
    style=st.sampled_from(["normal", "zeros", "constant dimension", "wide"]),
)
def test_training_sees_what_is_served(
    seed: int, bits: int, span: str, estimator: str, style: str
) -> None:
    x = vectors(seed, style=style)
    side = Uniform(bits, span, estimator, x)  # type: ignore[arg-type]
    codes = side.codes(x)
    assert codes.bits == bits and codes.dim == 12
    assert np.array_equal(side(x).detach().numpy(), codes.decode())
    assert np.isfinite(codes.decode()).all()


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(1, 8))
def test_levels_are_the_nearest(seed: int, bits: int) -> None:
    """By a search over all levels, in float64."""
    x = vectors(seed)
    side = Uniform(bits, "table", "identity", x)
    levels = side.codes(x).levels()
    gain = float(side.log_bound.detach().exp()) / side.top
    allowed = np.arange(-side.top, side.top + 1, 2)
    error = np.abs(x.numpy().astype(np.float64)[..., None] - allowed * gain)
    chosen = np.abs(x.numpy().astype(np.float64) - levels * gain)
    assert (chosen <= error.min(axis=-1) + 1e-6 * gain * side.top).all()


@pytest.mark.parametrize("bits", range(1, 9))
def test_bounds_leave_the_least_error(bits: int) -> None:
    """Of a normal variable, beside bounds a tenth smaller and larger."""
    x = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))

    def error(factor: float) -> float:
        side = Uniform(bits, "table", "identity", x)
        with torch.no_grad():
            side.log_bound += float(np.log(factor))
            return float((side(x) - x).square().mean())

    assert error(1.0) < min(error(0.9), error(1.1))
    assert BOUNDS[bits - 1] > 0


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(1, 8), other=st.integers(1, 8))
def test_integer_products_are_the_float_ones(seed: int, bits: int, other: int) -> None:
    """Codes of one range meet codes of one range: sums of small integers, times both gains."""
    users, items = vectors(seed, n=5), vectors(seed + 1, n=20)
    user_codes = Uniform(bits, "table", "scaled", users).codes(users)
    item_codes = Uniform(other, "table", "scaled", items).codes(items)
    assert user_codes.decoder is not None and item_codes.decoder is not None
    gains = user_codes.decoder.gain[0].astype(np.float64) * item_codes.decoder.gain[0]
    whole = user_codes.levels().astype(np.int64) @ item_codes.levels().astype(np.int64).T
    expected = (whole * gains).astype(np.float32)
    found = open_index(item_codes).search(user_codes, 20)
    ordered = np.take_along_axis(expected, found.positions.astype(np.int64), 1)
    assert np.array_equal(found.scores, ordered)


def test_gradients_reach_a_learned_bound() -> None:
    x = vectors(0).requires_grad_(True)
    side = Uniform(2, "dimension", "clipped", x.detach())
    (side(x) * torch.randn(30, 12, generator=torch.Generator().manual_seed(1))).sum().backward()
    assert side.log_bound.grad.shape == (12,)
    assert (side.log_bound.grad != 0).all()


def test_tanh_sharpens_into_the_sign() -> None:
    x = vectors(2)
    side = Uniform(1, "row", "tanh", x)
    hard = torch.from_numpy(side.codes(x).decode())
    far = float((side(x) - hard).abs().mean())
    side.sharpness = 1e4
    assert float((side(x) - hard).abs().mean()) < far / 20
    side.eval()
    assert torch.equal(side(x), hard)


def sides(x: object) -> dict[str, Side]:
    rng = torch.Generator().manual_seed(5)
    start = frame(x, 8, rng)
    dispersed = DispersedLayer(start, 0.3)
    dispersed.look(x)
    mlp = HashMlp(start, 16, "clipped", rng)
    with torch.no_grad():
        mlp.raw_alpha.normal_(generator=rng)
        mlp.third.weight.normal_(std=0.3, generator=rng)
    return {"hashgnn": GuidedLayer(start, 1.0), "bgch": dispersed, "hashlgn": mlp}


@pytest.mark.parametrize("name", ["hashgnn", "bgch", "hashlgn"])
def test_hash_layers_serve_what_they_train(name: str) -> None:
    x = vectors(3)
    side = sides(x)[name].eval()
    codes = side.codes(x)
    assert codes is not None and codes.bits == 1 and codes.dim == 8
    assert np.allclose(side(x).detach().numpy(), codes.decode(), rtol=1e-6)
    assert 0.05 < codes.levels().astype(float).std() <= 1


def test_hashlgn_decodes_by_alpha_and_beta() -> None:
    """g(c) = alpha max(c, 0) + beta min(c, 0)."""
    x = vectors(6)
    side = sides(x)["hashlgn"]
    assert isinstance(side, HashMlp)
    alpha = torch.nn.functional.softplus(side.raw_alpha).detach().numpy()
    beta = torch.nn.functional.softplus(side.raw_beta).detach().numpy()
    assert (alpha >= 0).all() and (beta >= 0).all()
    codes = side.codes(x)
    c = codes.levels()
    expected = alpha * np.maximum(c, 0) + beta * np.minimum(c, 0)
    assert np.allclose(codes.decode(), expected, atol=1e-6)
    assert codes.bytes_per_row == 1 and codes.n_bytes == len(codes) + 2 * 8 * 4


def test_guidance_is_off_out_of_training_and_full_at_the_end() -> None:
    x = vectors(7)
    side = sides(x)["hashgnn"]
    assert isinstance(side, GuidedLayer)
    hard = torch.from_numpy(side.codes(x).decode())
    assert torch.equal(side(x), hard)
    side.share = 0.5
    mixed = side(x)
    as_code = (mixed == hard).all(1)
    assert 0 < int(as_code.sum()) < 30
    assert torch.allclose(mixed[~as_code], side.continuous(x)[~as_code])
    assert torch.equal(side.eval()(x), hard)


def test_dispersion_takes_from_the_strongest_direction_alone() -> None:
    x = vectors(8) + 3 * vectors(9, n=1)
    layer = DispersedLayer(torch.eye(12), 1.0)
    layer.look(x)
    left = x - (x @ layer.v)[:, None] * layer.v
    _, values, _ = torch.linalg.svd(x)
    assert torch.allclose(torch.linalg.svdvals(left)[:11], values[1:], atol=1e-3)


@pytest.mark.parametrize("dim", [1, 5, 12, 30])
def test_frames_keep_lengths_as_far_as_they_can(dim: int) -> None:
    x = vectors(10, n=200)
    turned = frame(x, dim, torch.Generator().manual_seed(0))
    assert turned.shape == (12, dim)
    if dim <= 12:
        assert torch.allclose(turned.T @ turned, torch.eye(dim), atol=1e-5)
        kept = (x @ turned).square().sum() / x.square().sum()
        assert float(kept) >= dim / 12 - 1e-6  # the main directions, so no less than their part
    else:
        assert torch.allclose(turned @ turned.T, torch.eye(12) * dim / 12, atol=1e-4)


@pytest.mark.parametrize("dim", [1, 12, 30])
def test_frames_are_by_rows_in_memory_and_drawn_from_their_generator(dim: int) -> None:
    """Bug: those of as many dimensions as the vectors, or more, lay by columns; checkpoints do
    not."""
    x = vectors(10, n=200)
    found = [frame(x, dim, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert all(one.is_contiguous() for one in found)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_a_long_frame_costs_no_cube_of_its_length() -> None:
    """Bug: a square rotation was drawn and most of it thrown away; of so many dimensions it takes
    32 GB."""
    x = vectors(10, n=5)
    turned = frame(x, 65_536, torch.Generator().manual_seed(0))
    assert torch.allclose(turned @ turned.T, torch.eye(12) * 65_536 / 12, atol=0.1)


def test_a_decoder_refuses_what_it_cannot_be() -> None:
    ones = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="gain is not finite in dimension 1"):
        Decoder(np.array([1, np.nan, 1], np.float32), ones)
    with pytest.raises(ValueError, match=r"offset must be \(dim,\) float32, got \(2,\) float32"):
        Decoder(ones, np.ones(2, np.float32))
    data = pack(np.zeros((2, 4), np.uint8), 1)
    with pytest.raises(ValueError, match="a decoder of 3 for 1-bit codes of 4"):
        Codes(data, 1, 4, None, Rotation("none", 4, 0), Decoder(ones, ones))
    floats = FloatCodes().encode(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="a decoder of 3 for 32-bit codes of 3"):
        Codes(floats.data, 32, 3, None, floats.rotation, Decoder(ones, ones))
