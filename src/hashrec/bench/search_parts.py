"""The measurements of `bench search`, each a function of sizes that returns rows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.bench.peers import PEERS, binary_flat, fast_scan, flat_ip, implicit_top
from hashrec.bench.subject import subject
from hashrec.bench.timing import Timing, alternate
from hashrec.codes import Codes, FloatCodes, Rotation, SignCodes
from hashrec.csr import Csr
from hashrec.encoders import Spectral
from hashrec.progress import Progress
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender
from hashrec.search import Index, IvfIndex, load_index, open_index, save_index

__all__ = ["PARTS", "Size"]

_EXCLUDED = 100  # items a user
_PROBES = (1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
_RECALL = 0.95

Row = dict[str, Any]
Side = Callable[[], object]


@dataclass(frozen=True)
class Size:
    """What is searched. Attributes: part: which measurement. k: wanted. scaled: with norms."""

    part: str
    items: int
    users: int
    dim: int = 64
    bits: int = 1
    k: int = 100
    scaled: bool = False


@dataclass
class Case:
    items: Codes
    floats: Codes
    signs: Codes
    exclude: Csr

    @classmethod
    def of(cls, size: Size, seed: int) -> Case:
        """Random codes, Gaussian users, and each user's own excluded items."""
        rng = np.random.default_rng(seed)
        space = Rotation("none", size.dim, 0)
        data = rng.integers(0, 256, (size.items, size.dim * size.bits // 8), dtype=np.uint8)
        scales = rng.random(size.items, dtype=np.float32) + 0.5 if size.scaled else None
        users = rng.standard_normal((size.users, size.dim), dtype=np.float32)
        return cls(
            Codes(data, size.bits, size.dim, scales, space),
            FloatCodes().quantise(users, space),
            SignCodes(scale="none").quantise(users, space),
            _own_exclusions(rng, size),
        )


def _own_exclusions(rng: np.random.Generator, size: Size) -> Csr:
    count = min(_EXCLUDED, size.items // 2)
    owner = np.repeat(np.arange(size.users), count)
    return Csr.from_pairs(
        owner, rng.integers(0, size.items, len(owner)), n_rows=size.users, n_columns=size.items
    )


def _row(size: Size, engine: str, bytes_per_item: float, timing: Timing | None, **more: Any) -> Row:
    found: Row = {
        "part": size.part, "engine": engine, "items": size.items, "dim": size.dim,
        "bits": size.bits, "users": size.users, "bytes_per_item": round(bytes_per_item, 2),
        "queries_per_s": None, "median_ms": None, "least_ms": None, "most_ms": None,
        "p50_ms": None, "p99_ms": None, "note": "",
    }  # fmt: skip
    if timing is not None:
        found |= {**timing.row(), "queries_per_s": round(size.users / timing.median)}
    return {**found, **more}


def _latency(singles: list[Any], repeats: int) -> Row:
    """Milliseconds of single users, one after the other; about a second of them."""
    spent: list[float] = []
    singles[0]()
    for ask in (singles * repeats)[:200]:
        began = time.perf_counter()
        ask()
        spent.append(time.perf_counter() - began)
        if sum(spent) > 1 and len(spent) >= 20:
            break
    p50, p99 = np.quantile(spent, [0.5, 0.99]) * 1e3
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def _bytes(index: Index) -> float:
    """Of all arrays that a search reads, an item."""
    held = index.codes.n_bytes - index.codes.shared_bytes
    if isinstance(index, IvfIndex):
        lists = index.lists
        held += lists.order.nbytes + lists.offsets.nbytes + lists.centres.n_bytes
    return held / len(index.codes)


def top_k(size: Size, *, seed: int, repeats: int, progress: Progress, **_more: Any) -> list[Row]:
    """Every engine and peer on the same codes; ours with each user's exclusions, theirs without."""
    case = Case.of(size, seed)
    floats, signs = np.asarray(case.floats.data), case.signs
    indexes = {name: open_index(case.items, name) for name in ("fast", "scan")}
    asked = {name: (index, case.floats) for name, index in indexes.items()}
    if size.bits == 1:
        asked |= {f"{name}, 1-bit users": (index, signs) for name, index in indexes.items()}
    peers: dict[str, tuple[Any, float]] = {}
    bytes_of = case.items.data.shape[1]
    if PEERS["faiss"] and size.bits in (1, 2, 4) and not size.scaled:
        peers["faiss fast scan"] = fast_scan(case.items), bytes_of
        if size.bits == 1:
            peers["faiss binary flat"] = binary_flat(case.items), bytes_of
    if size.part == "headline":
        if PEERS["faiss"]:
            peers["faiss flat ip"] = flat_ip(case.items), 4 * size.dim
        if PEERS["implicit"]:
            peers["implicit"] = implicit_top(case.items.decode()), 4 * size.dim
    sides = {
        name: partial(index.search, queries, size.k, exclude=case.exclude)
        for name, (index, queries) in asked.items()
    }
    sides |= {name: partial(side, floats, size.k) for name, (side, _) in peers.items()}
    timings = alternate(sides, repeats, progress, twice=True)
    rows = []
    for name, (index, queries) in asked.items():
        single = _latency([
            partial(index.search, queries.take(np.array([user])), size.k,
                    exclude=case.exclude.take([user]))
            for user in range(size.users)
        ], repeats)  # fmt: skip
        rows.append(_row(size, name, _bytes(index), timings[name], **single))
    for name, (side, held) in peers.items():
        singles = [partial(side, floats[user : user + 1], size.k) for user in range(size.users)]
        rows.append(
            _row(
                size, name, held, timings[name], **_latency(singles, repeats), note="none excluded"
            )
        )
    return rows


def exactness(size: Size, *, seed: int, progress: Progress, **_more: Any) -> list[Row]:
    """The share of users whose rows are the oracle's in every bit."""
    case = Case.of(size, seed)
    oracle = open_index(case.items, "exact")
    expected = oracle.search(case.floats, size.k, exclude=case.exclude, progress=progress)
    rows = []
    for name in ("fast", "scan"):
        index = open_index(case.items, name)
        found = index.search(case.floats, size.k, exclude=case.exclude)
        same = (found.positions == expected.positions).all(axis=1)
        same &= (found.scores.view(np.int32) == expected.scores.view(np.int32)).all(axis=1)
        same &= (found.counts == expected.counts) & (found.ties == expected.ties)
        share = float(same.mean())
        rows.append(_row(size, name, _bytes(index), None, exact_rows=share,
                         note=f"{share:.4f} of users as the oracle"))  # fmt: skip
    return rows


def threshold(
    size: Size, *, seed: int, repeats: int, progress: Progress, **_more: Any
) -> list[Row]:
    """All items from each user's threshold on, which leaves about k, beside the k best."""
    case, rows = Case.of(size, seed), []
    for name in ("fast", "scan"):
        index = open_index(case.items, name)
        bars = index.search(case.floats, size.k, exclude=case.exclude).scores[:, -1]
        sides: dict[str, Side] = {
            "top": partial(index.search, case.floats, size.k, exclude=case.exclude),
            "threshold": partial(index.search_threshold, case.floats, bars, exclude=case.exclude),
        }
        timings = alternate(sides, repeats, progress, twice=True)
        ratio = timings["threshold"].median / timings["top"].median
        rows.append(_row(size, name, _bytes(index), timings["threshold"], over_top=ratio,
                         note=f"{ratio:.2f} times the {size.k} best"))  # fmt: skip
    return rows


def filters(size: Size, *, seed: int, repeats: int, progress: Progress, **_more: Any) -> list[Row]:
    """The k best of 1, 10 and 90 % of the items, with each user's exclusions."""
    case, rng = Case.of(size, seed), np.random.default_rng(seed)
    index, draw = open_index(case.items), rng.random(size.items)
    masks = {share: draw < share / 100 for share in (1, 10, 90, 100)}
    sides = {
        f"{share} %": partial(index.search, case.floats, size.k, exclude=case.exclude, allow=mask)
        for share, mask in masks.items()
    }
    timings = alternate(sides, repeats, progress, twice=True)
    return [
        _row(size, index.name, _bytes(index), timing, note=f"{share} allowed")
        for share, timing in timings.items()
    ]


_OPENING = """
import json, sys, time
import numpy as np
from hashrec.search import load_index
began = time.perf_counter()
index = load_index(sys.argv[1])
opened = time.perf_counter() - began
index.search(np.ones((1, index.codes.dim), np.float32), 10)
print(opened, flush=True)
sys.stdin.readline()
shared = private = 0
inside = False
for line in open("/proc/self/smaps"):
    words = line.split()
    if "-" in words[0] and ":" not in words[0]:
        inside = line.rstrip().endswith("arrays.safetensors")
    elif inside and words[0] in ("Private_Clean:", "Private_Dirty:"):
        private += int(words[1])
    elif inside and words[0] in ("Shared_Clean:", "Shared_Dirty:"):
        shared += int(words[1])
print(json.dumps({"private_kb": private, "shared_kb": shared}), flush=True)
sys.stdin.readline()
"""


def _answer(process: subprocess.Popen[str]) -> dict[str, int]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    found: dict[str, int] = json.loads(process.stdout.readline())
    return found


def opening(size: Size, *, seed: int, repeats: int, **_more: Any) -> list[Row]:
    """A folder opened by two processes at once, each of which then searches all of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "index"
        index = open_index(Case.of(size, seed).items)
        save_index(index, folder)
        seconds = []
        for _ in range(repeats + 1):
            began = time.perf_counter()
            load_index(folder)
            seconds.append(time.perf_counter() - began)
        running = [
            subprocess.Popen(
                [sys.executable, "-c", _OPENING, str(folder)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        for process in running:  # both have read all of it before either is measured
            assert process.stdout is not None
            process.stdout.readline()
        told = [_answer(process) for process in running]
        for process in running:
            process.communicate("\n")
    last = told[-1]
    note = f"{last['shared_kb'] // 1024} MB shared by two processes, {last['private_kb']} kB not"
    timing = Timing(tuple(seconds[1:]))
    return [_row(size, index.name, _bytes(index), None, **timing.row(), note=note)]


def planted_items(size: Size, communities: int, noise: float, seed: int) -> tuple[Codes, Codes]:
    """One-bit codes of items around the centres of planted communities, and users of the same.

    An item, or user, of community c is mu_c + noise e with mu_c and e standard Gaussian.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((communities, size.dim), dtype=np.float32)
    space = Rotation("orthogonal", size.dim, seed)

    def drawn(n: int) -> npt.NDArray[np.float32]:
        own = centres[rng.integers(0, communities, n)]
        return own + np.float32(noise) * rng.standard_normal((n, size.dim), dtype=np.float32)

    parts = [
        SignCodes().quantise(space.apply(drawn(min(10**6, size.items - first))), space)
        for first in range(0, size.items, 10**6)
    ]
    scales = [part.scales for part in parts if part.scales is not None]
    items = Codes(np.concatenate([part.data for part in parts]), 1, size.dim,
                  np.concatenate(scales), space)  # fmt: skip
    return items, FloatCodes().quantise(space.apply(drawn(size.users)), space)


def inverted(size: Size, *, seed: int, repeats: int, progress: Progress, **_more: Any) -> list[Row]:
    """Inverted lists beside `fast`, with as few probes as find 95 % of the exact k best."""
    if size.part == "ivf, planted":
        items, users = planted_items(size, max(size.items // 5000, 10), 0.5, seed)
    else:
        case = Case.of(size, seed)
        items, users = case.items, case.floats
    exclude = _own_exclusions(np.random.default_rng(seed), size)
    fast = open_index(items)
    exact = fast.search(users, size.k, exclude=exclude)
    began = time.perf_counter()
    index = IvfIndex(items, max(min(4096, size.items // 2048), 1), seed=seed)
    built = time.perf_counter() - began
    recall = index.recall(users, exact)
    enough = 1 + int(np.searchsorted(recall, _RECALL))
    sides = {"fast": partial(fast.search, users, size.k, exclude=exclude)}
    dials = sorted({enough, *(p for p in _PROBES if p < len(recall) and p <= 4 * enough)})[-6:]
    for probes in dials:
        dial = index.with_probes(probes)
        sides[str(probes)] = partial(dial.search, users, size.k, exclude=exclude)
    timings = alternate(sides, repeats, progress, twice=True)
    base = timings["fast"].median
    rows = [_row(size, "fast", _bytes(fast), timings["fast"])]
    for probes in dials:
        times = base / timings[str(probes)].median
        note = f"{probes} of {len(recall)} lists, recall {recall[probes - 1]:.3f}, "
        rows.append(_row(
            size, "ivf", _bytes(index), timings[str(probes)], probes=probes,
            recall=float(recall[probes - 1]), over_fast=times, enough=probes == enough,
            note=note + f"{times:.1f} times fast; built in {built:.0f} s",
        ))  # fmt: skip
    return rows


def everybody(
    size: Size, *, seed: int, repeats: int, progress: Progress, data: str | None, quick: bool,
    **_more: Any,
) -> list[Row]:  # fmt: skip
    """All users of real data, seen items left out, by one-bit items of the spectral encoder."""
    train, _ = subject(data, quick=quick, seed=seed)
    recipe = Recipe(encoder=Spectral(dim=size.dim), users="stored")
    fitted = Recommender(recipe).fit(train, progress=progress).fitted
    users = fitted.queries(np.arange(len(fitted.users)))
    assert isinstance(users.rotation, Rotation)
    signs = SignCodes(scale="none").quantise(users.decode(), users.rotation)
    index = open_index(fitted.item_codes)
    sides: dict[str, Side] = {
        "float users": partial(index.search, users, size.k, exclude=fitted.seen),
        "1-bit users": partial(index.search, signs, size.k, exclude=fitted.seen),
    }
    held = {"float users": _bytes(index), "1-bit users": _bytes(index)}
    if PEERS["implicit"]:
        import scipy.sparse

        seen = fitted.seen
        matrix = scipy.sparse.csr_matrix(
            (np.ones(len(seen.indices), np.float32), seen.indices, seen.offsets),
            shape=(seen.n_rows, seen.n_columns),
        )
        items = fitted.item_codes.decode()
        sides["implicit, floats"] = partial(implicit_top(items, matrix), users.decode(), size.k)
        held["implicit, floats"] = 4 * size.dim
    timings = alternate(sides, repeats, progress, twice=True)
    real = Size(size.part, len(fitted.items), len(fitted.users), size.dim, 1, size.k)
    return [_row(real, name, held[name], timing) for name, timing in timings.items()]


# By the name of the part; several names may share one.
PARTS: dict[str, Callable[..., list[Row]]] = {
    "headline": top_k,
    "exact": exactness,
    "norms": top_k,
    "bits": top_k,
    "catalogue": top_k,
    "threshold": threshold,
    "filter": filters,
    "open": opening,
    "ivf, planted": inverted,
    "ivf, random": inverted,
    "all users": everybody,
}
