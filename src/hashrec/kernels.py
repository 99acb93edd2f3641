"""How this library compiles: one decorator over numba, with a cache that may be missing.

Compiled kernels are cached beside the source, or, where that is read-only, in the user's cache
folder; numba chooses. Where neither can be written it refuses to compile at all, so we then
compile without a cache: slower to start, never wrong, and silent.
"""

from __future__ import annotations

import glob
import inspect
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["for_kernels", "inner_kernel", "kernel", "parallel_kernel"]

# numba works types out by itself, so a compiled kernel has none that mypy could read.
Kernel = Callable[..., Any]


def kernel(function: Kernel) -> Kernel:
    """Compile for one thread. IEEE arithmetic as written: no reassociation, so same bits always."""
    return _compile(function, parallel=False)


def inner_kernel(function: Kernel) -> Kernel:
    """Like `kernel`, made part of whatever calls it: arrays are many arguments to a call."""
    return _compile(function, parallel=False, forceinline=True)


def parallel_kernel(function: Kernel) -> Kernel:
    """Compile with `numba.prange` loops spread over the threads."""
    return _compile(function, parallel=True)


def _compile(function: Kernel, **options: bool) -> Kernel:
    try:
        compiled: Kernel = numba.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # "cannot cache function": no writable place for the cache
        return numba.njit(nogil=True, **options)(function)  # type: ignore[no-any-return]
    _stamp(compiled, function)
    return compiled


# By module: the folders whose files its kernels are made of.
_FOLDERS: dict[str, set[str]] = {}


def _stamp(compiled: Any, function: Kernel) -> None:
    """Makes the cache of a kernel go stale with any file of its room, of the rooms whose kernels it
    calls, and of the ground floor (`simd`, this module).

    numba looks at the kernel's own file alone, and would go on calling what another file held
    before it changed.
    """
    folders = _FOLDERS.setdefault(function.__module__, {_folder(function)})
    for value in list(function.__globals__.values()):
        inner = getattr(value, "py_func", None) or getattr(value, "_defn", None)
        if inspect.isfunction(inner):
            folders |= {_folder(inner)} | _FOLDERS.get(inner.__module__, set())
    files = [*_GROUND, *(name for folder in sorted(folders) for name in _files(folder))]
    cache_file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    # A private place of numba's. Without it, or without files to look at, its own rule holds.
    if cache_file is not None and all(os.path.exists(name) for name in files):
        stats = [os.stat(name) for name in files]
        cache_file._source_stamp = [
            (name, stat.st_mtime_ns, stat.st_size) for name, stat in zip(files, stats, strict=True)
        ]


_GROUND = (__file__, os.path.join(os.path.dirname(__file__), "simd.py"))


def _folder(function: Kernel) -> str:
    return os.path.dirname(function.__code__.co_filename)


@cache
def _files(folder: str) -> list[str]:
    return sorted(glob.glob(os.path.join(glob.escape(folder), "*.py")))


def for_kernels(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, contiguous and looking writable: numba compiles everything once more for
    read-only arrays, such as those of a mapped file. For kernels that only read."""
    contiguous = np.ascontiguousarray(array)
    return contiguous if contiguous.flags.writeable else np.asarray(_Lent(contiguous))


class _Lent:
    """Keeps an array alive and shows its memory."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array
        shown = dict(array.__array_interface__)
        self.__array_interface__ = {**shown, "data": (shown["data"][0], False)}
