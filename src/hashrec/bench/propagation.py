"""`bench propagate`: one layer of propagation beside scipy and, where installed, torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.bench.subject import subject
from hashrec.bench.timing import alternate
from hashrec.graph import BipartiteOperator
from hashrec.progress import Progress

__all__ = ["bench_propagate", "weighted"]

Block = npt.NDArray[np.float32]
Side = Callable[[], Any]

_CLAIMS = {"torch csr": "over_torch_csr", "scipy csr": "over_scipy"}


def bench_propagate(
    *, data: str | None, quick: bool, repeats: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """N X and N^T Y, 64 dimensions, as every layer of LightGCN needs them.

    The other sides get the values of N ready-made, in their own format; ours makes none. Ours
    writes into memory used before, as our encoders do; the others have no such way. All results
    are compared before anything is timed.
    """
    train, _ = subject(data, quick=quick, seed=seed)
    operator = BipartiteOperator.normalised(train.matrix)
    rng = np.random.default_rng(seed)
    users, items = (rng.standard_normal((n, 64), dtype=np.float32) for n in operator.shape)
    outs = np.empty_like(users), np.empty_like(items)
    sides: dict[str, Side] = {
        "hashrec": lambda: (operator.to_users(items, outs[0]), operator.to_items(users, outs[1])),
        "scipy csr": _scipy_side(operator, users, items),
    }
    torch_side = _torch_side(operator, users, items)
    if torch_side is None:
        progress.note(
            "torch is not installed: over_torch_csr is left out (pip install 'hashrec[bench]')"
        )
    else:
        sides["torch csr"] = torch_side
    _require_equal(sides)
    timings = alternate(sides, repeats, progress)
    ours = timings["hashrec"].median
    claims = {
        _CLAIMS[name]: round(timing.median / ours, 3)
        for name, timing in timings.items()
        if name in _CLAIMS
    }
    rows = [
        {"engine": name, "edges": train.n_interactions, "dim": 64, **timing.row()}
        for name, timing in timings.items()
    ]
    return {"rows": rows, "claims": claims}


def weighted(operator: BipartiteOperator) -> Any:
    """N as a scipy matrix with values."""
    import scipy.sparse

    rows = operator.by_user
    values = operator.user_scale[rows.row_of_entry] * operator.item_scale[rows.indices]
    return scipy.sparse.csr_array(
        (values, rows.indices, rows.offsets.astype(np.int32)), shape=operator.shape
    )


def _scipy_side(operator: BipartiteOperator, users: Block, items: Block) -> Side:
    forward = weighted(operator)
    backward = forward.T.tocsr()
    return lambda: (forward @ items, backward @ users)


def _torch_side(operator: BipartiteOperator, users: Block, items: Block) -> Side | None:
    try:
        import torch
    except ImportError:
        return None

    def tensor(matrix: Any) -> Any:
        parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
        return torch.sparse_csr_tensor(*parts, size=matrix.shape)

    import warnings

    with warnings.catch_warnings():  # torch calls its own CSR support a beta
        warnings.simplefilter("ignore")
        forward, backward = (tensor(m) for m in (weighted(operator), weighted(operator).T.tocsr()))
    torch_users, torch_items = torch.from_numpy(users), torch.from_numpy(items)
    return lambda: ((forward @ torch_items).numpy(), (backward @ torch_users).numpy())


def _require_equal(sides: dict[str, Side]) -> None:
    expected = sides["hashrec"]()
    for side in sides.values():
        for ours, theirs in zip(expected, side(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
