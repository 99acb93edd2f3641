"""SciPy's sparse matrices, in memory or as `.npz`: ids are the numbers of rows and columns."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse

from hashrec.errors import DataError
from hashrec.interactions.formats.source import Source

__all__ = ["open_npz", "open_sparse"]


def open_npz(path: Path) -> Source:
    """A matrix written by `scipy.sparse.save_npz`. Nothing pickled is ever loaded."""
    try:
        with path.open("rb") as file:  # scipy leaves a file it opened itself open when it fails
            matrix = scipy.sparse.load_npz(file)
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as fault:
        raise DataError(
            "this is not a sparse matrix",
            name=str(path),
            expected="a file written by scipy.sparse.save_npz",
            got=str(fault),
        ) from fault
    return open_sparse(matrix, str(path))


def open_sparse(matrix: Any, name: str = "sparse matrix") -> Source:
    """Columns `user`, `item` and `rating`, one row for each stored value that is not zero."""
    if matrix.ndim != 2 or matrix.dtype.kind not in "buif":
        raise DataError(
            "this matrix cannot hold interactions",
            name=name,
            expected="two dimensions and real numbers",
            got=f"{matrix.ndim} dimensions of {matrix.dtype}",
        )
    entries = matrix.tocoo()
    stored = entries.data != 0
    rows, columns = entries.coords
    values = {"user": rows, "item": columns, "rating": entries.data}
    return Source(
        name=name,
        format="sparse",
        columns=tuple(values),
        load=lambda column: pa.array(_wide(values[column][stored])),
    )


def _wide(values: Any) -> Any:
    """Half precision and booleans as numbers Arrow computes with."""
    return values.astype(np.float64) if values.dtype.kind in "bf" else values
