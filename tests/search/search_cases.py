"""Searches to compare: items, queries and exclusions of every kind, and a judge in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hashrec.codes import Codes, Decoder, FloatCodes, IntCodes, Rotation, SignCodes
from hashrec.codes.coder import Coder
from hashrec.csr import Csr
from hashrec.search import Hits, Index, IvfIndex, TopK, open_index

KINDS: dict[str, Coder] = {
    "float32": FloatCodes(),
    "float16": FloatCodes(bits=16),
    "sign": SignCodes(),
    "bare sign": SignCodes(scale="none"),
    **{f"int{bits}": IntCodes(bits=bits, clip="max") for bits in range(2, 9)},
    "even sign": SignCodes(scale="none"),
    "even int3": IntCodes(bits=3),
    "odd sign": SignCodes(),
    "odd int2": IntCodes(bits=2),
    "decoded sign": SignCodes(),
    "decoded bare sign": SignCodes(scale="none"),
    "decoded int3": IntCodes(bits=3),
    "decoded int4": IntCodes(bits=4),
}
STYLES = ("gaussian", "few values", "few rows", "zeros", "wide norms", "all alike")
EXCLUSIONS = ("none", "some", "most", "all of some", "all")
ALLOWANCES = ("all", "most", "few", "one", "none")


@dataclass(frozen=True)
class Case:
    items: Codes
    queries: Codes
    exclude: Csr | None
    allow: npt.NDArray[np.bool_] | None = None

    @property
    def seen(self) -> Csr:
        return self.exclude or Csr.empty(len(self.queries), len(self.items))


def opened(codes: Codes, engine: str) -> Index:
    """An index that must answer exactly: an approximate one with all its doors open."""
    index = open_index(codes, engine)
    return index.with_probes(10**6) if isinstance(index, IvfIndex) else index


def encoded(kind: str, vectors: npt.NDArray[np.float32]) -> Codes:
    made = KINDS[kind].quantise(vectors, Rotation("none", vectors.shape[1], 0))
    if kind.startswith("even"):
        gain = np.full(made.dim, 0.3, np.float32)
        return replace(made, decoder=Decoder(gain, np.zeros_like(gain)))
    if kind.startswith("odd"):  # levels stand for numbers of the other sign
        gain = np.full(made.dim, -0.7, np.float32)
        return replace(made, decoder=Decoder(gain, np.zeros_like(gain)))
    if not kind.startswith("decoded"):
        return made
    # A few exact numbers, so that ties come up, and one dimension that says nothing.
    gain = np.resize(np.array([1, 0.5, 0.3, 0], np.float32), made.dim)
    offset = np.resize(np.array([0.25, 0, -0.7], np.float32), made.dim)
    return replace(made, decoder=Decoder(gain, offset))


def vectors(rng: np.random.Generator, n: int, dim: int, style: str) -> npt.NDArray[np.float32]:
    found = rng.standard_normal((n, dim))
    if style == "few values":
        found = rng.integers(-1, 2, (n, dim)).astype(float)
    elif style == "few rows":
        found = rng.standard_normal((3, dim))[rng.integers(0, 3, n)]
    elif style == "zeros":
        found[rng.random(n) < 0.5] = 0
    elif style == "wide norms":
        found *= 10.0 ** rng.integers(-9, 9, (n, 1))
    elif style == "all alike":
        found[:] = found[:1]
    return found.astype(np.float32)


def exclusion(rng: np.random.Generator, n: int, n_items: int, share: str) -> Csr | None:
    if share == "none":
        return None
    marks = rng.random((n, n_items)) < {"some": 0.2, "most": 0.8, "all of some": 0.3}.get(share, 2)
    if share == "all of some":
        marks[rng.random(n) < 0.5] = True
    rows, columns = np.nonzero(marks)
    return Csr.from_pairs(rows, columns, n_rows=n, n_columns=n_items)


def allowance(rng: np.random.Generator, n_items: int, share: str) -> npt.NDArray[np.bool_] | None:
    if share == "all":
        return None
    if share == "one":
        return np.arange(n_items) == n_items // 2
    return rng.random(n_items) < {"most": 0.9, "few": 0.1, "none": -1}[share]


def case(
    seed: int,
    items: str,
    queries: str,
    *,
    n_items: int,
    n_queries: int,
    dim: int,
    style: str = "gaussian",
    share: str = "some",
    allow: str = "all",
) -> Case:
    rng = np.random.default_rng(seed)
    return Case(
        encoded(items, vectors(rng, n_items, dim, style)),
        encoded(queries, vectors(rng, n_queries, dim, style)),
        exclusion(rng, n_queries, n_items, share),
        allowance(rng, n_items, allow),
    )


def everything(n: int, n_items: int) -> Csr:
    rows, columns = np.divmod(np.arange(n * n_items), max(n_items, 1))
    return Csr.from_pairs(rows, columns, n_rows=n, n_columns=n_items)


def assert_same_top(found: TopK, expected: TopK) -> None:
    assert found.positions.tolist() == expected.positions.tolist()
    assert found.scores.tobytes() == expected.scores.tobytes()
    assert found.counts.tolist() == expected.counts.tolist()
    assert found.ties.tolist() == expected.ties.tolist()
    for name in ("positions", "scores", "counts", "ties"):
        assert getattr(found, name).dtype == getattr(expected, name).dtype
        assert getattr(found, name).shape == getattr(expected, name).shape


def assert_same_hits(found: Hits, expected: Hits) -> None:
    assert found.offsets.tolist() == expected.offsets.tolist()
    assert found.positions.tolist() == expected.positions.tolist()
    assert found.scores.tobytes() == expected.scores.tobytes()
    assert found.totals.tolist() == expected.totals.tolist()
    assert found.offsets.dtype == np.int64
    assert found.positions.dtype == np.int32
    assert found.scores.dtype == np.float32


# Plain Python: no array arithmetic, no shared helper of the library but reading rows of bytes.


def rows_of(codes: Codes) -> list[tuple[list[int] | list[float], float]]:
    """Each row's levels (or floats) and scale, read from its bytes."""
    rows: list[tuple[list[int] | list[float], float]] = []
    for place in range(len(codes)):
        if codes.bits > 8:
            rows.append(([float(value) for value in codes.data[place]], 1.0))
            continue
        number = int.from_bytes(codes.data[place].tobytes(), "little")
        mask = 2**codes.bits - 1
        levels = [2 * ((number >> (codes.bits * j)) & mask) - mask for j in range(codes.dim)]
        rows.append((levels, 1.0 if codes.scales is None else float(codes.scales[place])))
    return rows


def fixed_point(values: list[float], items: Codes) -> tuple[list[int], int, float]:
    """The largest power of two that keeps every possible sum in 31 bits."""
    largest, base, terms = 2**items.bits - 1, 0.0, len(values)
    if items.decoder is not None:
        offsets, gains = items.decoder.offset.tolist(), items.decoder.gain.tolist()
        for value, offset in zip(values, offsets, strict=True):
            base += value * offset
        values = [value * gain for value, gain in zip(values, gains, strict=True)]
        terms += 1
    total = math.fsum(abs(value) for value in values) + abs(base) / largest
    exponent = math.floor(math.log2(((2**31 - 1) // largest - terms) / total)) if total else 0
    fixed = [round(math.ldexp(value, exponent)) for value in values]
    return fixed, round(math.ldexp(base, exponent)), math.ldexp(1.0, -exponent)


def floats_of(queries: Codes, levels: list[int] | list[float], scale: float) -> list[float]:
    """A decoded query, every operation in float32."""
    found = [np.float32(level) for level in levels]
    if queries.decoder is not None:
        each = zip(found, queries.decoder.gain, queries.decoder.offset, strict=True)
        found = [level * gain + offset for level, gain, offset in each]
    return [float(value * np.float32(scale)) for value in found]


def even(codes: Codes) -> float:
    """What every level stands for, where they all stand for the same; else 0."""
    if codes.decoder is None:
        return 1.0
    gains = set(codes.decoder.gain.tolist())
    return 0.0 if codes.decoder.offset.any() or len(gains) > 1 else gains.pop()


def scores_by_hand(items: Codes, queries: Codes) -> list[list[float]]:
    table = []
    item_rows = rows_of(items)
    for values, scale in rows_of(queries):
        row, base = [], 0
        floats = floats_of(queries, values, scale)
        if items.packed:
            if queries.packed and even(queries) and even(items):
                scale *= even(queries) * even(items)
            else:
                values, base, scale = fixed_point(floats, items)
        for item, item_scale in item_rows:
            if items.packed:
                whole = base + sum(a * b for a, b in zip(values, item, strict=True))
                score = whole * (scale * item_scale)
            else:
                score = 0.0
                for a, b in zip(floats, item, strict=True):
                    score += a * b  # float items meet the decoded query, which is float32
            row.append(float(np.float32(score)))
        table.append(row)
    return table


def top_by_hand(scores: list[float], seen: set[int], k: int) -> tuple[list[int], list[float], int]:
    """Positions and scores of the best k, and how many more tie with the last."""
    eligible = sorted((-score, item) for item, score in enumerate(scores) if item not in seen)
    best, rest = eligible[:k], eligible[k:]
    ties = sum(1 for score, _ in rest if best and score == best[-1][0])
    return [item for _, item in best], [-score for score, _ in best], ties
