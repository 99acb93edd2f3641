"""Compiling with and without a writable cache gives the same answers, and silence."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from hashrec.kernels import for_kernels, kernel, parallel_kernel
from hashrec.search.popcount import popcount

SOURCE = """
def doubled(values, out):
    for i in numba.prange(len(values)):
        out[i] = 2 * values[i]
"""


def _without_a_file() -> Callable[..., Any]:
    """A function that has no file, beside which numba could never put a cache."""
    namespace: dict[str, Any] = {"numba": numba}
    exec(SOURCE, namespace)
    function: Callable[..., Any] = namespace["doubled"]
    return function


def test_the_function_without_a_file_really_cannot_be_cached() -> None:
    with pytest.raises(RuntimeError, match="cannot cache function"):
        numba.njit(cache=True)(_without_a_file())


@pytest.mark.parametrize(("decorate", "parallel"), [(kernel, False), (parallel_kernel, True)])
def test_compiles_without_a_place_for_the_cache(decorate: Any, parallel: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = decorate(_without_a_file())
        out = np.empty(3)
        compiled(np.array([1.0, 2.0, -4.5]), out)
    assert out.tolist() == [2.0, 4.0, -9.0]
    assert len(compiled.signatures) == 1
    assert bool(compiled.targetoptions.get("parallel")) is parallel
    assert compiled.targetoptions["nogil"]


@pytest.mark.parametrize("decorate", [kernel, parallel_kernel])
def test_asks_for_a_cache_first(decorate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(**options: Any) -> Callable[..., Any]:
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function 'f': no locator available")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", refuse)
    function = _without_a_file()
    assert decorate(function) is function
    assert [options.get("cache", False) for options in asked] == [True, False]
    assert asked[0].pop("cache") is True
    assert asked[0] == asked[1]


def test_other_faults_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> Callable[..., Any]:
        raise TypeError("not ours")

    monkeypatch.setattr(numba, "njit", broken)
    with pytest.raises(TypeError, match="not ours"):
        kernel(_without_a_file())


def test_no_reassociation() -> None:
    """1 + 2^-24 + 2^-24 in float32: left to right it stays 1, any other order gives more."""

    def total(values):  # type: ignore[no-untyped-def]
        result = np.float32(0)
        for value in values:
            result += value
        return result

    values = np.array([1.0] + [2.0**-24] * 64, np.float32)
    compiled = numba.njit(total)
    assert kernel(total).targetoptions.get("fastmath", False) in (False, set())
    assert compiled(values) == kernel(total)(values) == 1.0
    assert values[::-1].sum(dtype=np.float64) > 1.0


def test_popcount_is_the_number_of_ones() -> None:
    @numba.njit
    def count(words, out):  # type: ignore[no-untyped-def]
        for i in range(len(words)):
            out[i] = popcount(words[i])

    rng = np.random.default_rng(0)
    words = np.concatenate(
        [
            rng.integers(0, 2**64, 500, dtype=np.uint64),
            np.uint64(1) << np.arange(64, dtype=np.uint64),
            np.array([0, 1, 2**63, 2**64 - 1, 2**63 - 1, 0x5555555555555555], np.uint64),
        ]
    )
    out = np.full(len(words), -1, np.int64)
    count(words, out)
    assert out.tolist() == [int(word).bit_count() for word in words]


CALLED = "from hashrec.kernels import kernel\n\n@kernel\ndef inner(x):\n    return x + {added}\n"
CALLING = """
from hashrec.kernels import kernel
from called import inner

@kernel
def outer(x):
    return 10 * inner(x)

print(outer(1), sum(outer.stats.cache_hits.values()))
"""


def test_a_cached_kernel_follows_a_change_in_another_file(tmp_path: Path) -> None:
    """Bug: numba's cache knows a kernel's own file alone, and called what no longer existed."""

    def run() -> list[str]:
        done = subprocess.run(
            [sys.executable, str(tmp_path / "calling.py")],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    (tmp_path / "calling.py").write_text(CALLING)
    (tmp_path / "called.py").write_text(CALLED.format(added=1))
    assert run() == ["20", "0"]
    assert run() == ["20", "1"]
    (tmp_path / "called.py").write_text(CALLED.format(added=5))
    os.utime(tmp_path / "called.py", ns=(0, 10**18))
    assert run() == ["60", "0"]
    assert run() == ["60", "1"]
    (tmp_path / "called.py").write_text(CALLED.format(added=15))
    os.utime(tmp_path / "called.py", ns=(0, 10**18))  # of another size, but no younger
    assert run() == ["160", "0"]


def test_arrays_for_kernels_look_writable_and_are_the_same_memory() -> None:
    numbers = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert for_kernels(numbers) is numbers
    numbers.flags.writeable = False
    lent = for_kernels(numbers)
    assert lent.flags.writeable
    assert np.shares_memory(lent, numbers)
    assert lent.tolist() == numbers.tolist()
    assert for_kernels(numbers[:, ::2]).flags.c_contiguous
    assert for_kernels(numbers[:0]).shape == (0, 4)
    del numbers
    assert lent[2, 3] == 11
