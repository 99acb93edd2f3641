"""`hashrec doctor`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hashrec import __version__
from hashrec.cli.output import print_json

__all__ = ["run"]

_CORE = ("numpy", "scipy", "numba", "pyarrow", "narwhals", "pydantic", "safetensors", "rich")
_EXTRAS = {
    "train": ("torch",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "bench": ("sklearn", "torch"),
    "frames": ("pandas", "polars"),
}


def run(options: argparse.Namespace) -> None:
    result = {
        "hashrec": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: _version(name) for name in _CORE},
        "extras": {
            extra: {name: importlib.util.find_spec(name) is not None for name in names}
            for extra, names in _EXTRAS.items()
        },
        "kernels": _kernels(),
        "engines": _engines(),
    }
    if options.json:
        print_json(result)
        return
    for key, value in result.items():
        if isinstance(value, dict):
            print(key)
            for name, inner in value.items():
                print(f"  {name}: {inner}")
        else:
            print(f"{key}: {value}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _kernels() -> dict[str, Any]:
    """Compiles and runs one, so that what is said works was seen to work."""
    import numba
    import numpy as np

    from hashrec.csr import Csr
    from hashrec.graph import propagate
    from hashrec.simd import instruction_set
    from hashrec.threads import threads

    ones = np.ones(2, np.float32)
    rows = Csr.from_lists([[0, 1], [1]], n_columns=2)
    result = propagate(rows, np.ones((2, 3), np.float32), ones, ones)
    return {
        "work": bool((result[:, 0] == [2, 1]).all()),
        "threads": threads(),
        "instructions": instruction_set() or "plain",
        "layer": numba.threading_layer(),
    }


def _engines() -> dict[str, bool]:
    """Each search engine against the oracle, on a handful of vectors."""
    import numpy as np

    from hashrec.codes import FloatCodes, SignCodes
    from hashrec.search import ENGINES, open_index

    vectors = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)
    works = {}
    for name in ENGINES:
        codes = (FloatCodes() if name == "dense" else SignCodes()).encode(vectors)
        queries = codes.take(np.arange(3))
        found, exact = (open_index(codes, engine).search(queries, 5) for engine in (name, "exact"))
        works[name] = bool((found.positions == exact.positions).all())
    return works
