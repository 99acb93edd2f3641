"""Rows shared by ids: the parameter, the assignment beside it, and what goes with both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from hashrec.bucketing import Assignment
from hashrec.errors import UsageError
from hashrec.training.checks import check_positions, check_shape, from_the_start, shown
from hashrec.training.initial import Mixture

__all__ = ["SharedRows"]


class SharedRows(nn.Module):  # type: ignore[misc]
    """A (rows, width) table and which of its rows each position uses.

    The vector of position p is, over its columns j: sum_j E[b_pj] (`sum`), that sum over the
    number of columns (`mean`), or sum_j w_pj E[b_pj] (`weighted`). Where the assignment's
    `dim_share` is below 1, a row holds the first `width` dimensions and the others are zero.

    Attributes:
        weight: (rows, width) Parameter: what is trained.
        buckets: (n, ways) int32 buffer.
        bucket_weights: (n, ways) float32 buffer, or None where the combiner is not `weighted`.
        num_embeddings: n, how many positions there are.
        embedding_dim: dimensions of a vector.
        combiner: `sum`, `mean` or `weighted`.
        padding_idx: the position whose vector is zero and trains nothing, or None.
        sparse: whether the gradient of `weight` is a sparse tensor.

    Buffers travel with the module, so a state_dict is complete and `.to(device)` moves all of it.
    """

    def __init__(
        self,
        assignment: Assignment,
        dim: int,
        *,
        padding_idx: int | None = None,
        sparse: bool = False,
        weight: Any = None,
        generator: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Rows drawn from N(0, 1), as nn.Embedding draws its own, or given.

        Args:
            assignment: of the ids whose positions will come in; it is copied.
            dim: dimensions of a vector, at least 1.
            padding_idx: counted from the end where negative, as by nn.Embedding.
            sparse: gradients for torch.optim.SparseAdam and SGD.
            weight: (rows, assignment.width(dim)) tensor to start from (copied) instead of draws.
            generator: torch.Generator of the draws, on `device`; torch's global one where None.

        Raises UsageError for a dim below 1, a padding_idx outside the ids and a weight of
        another shape.
        """
        super().__init__()
        if dim < 1:
            raise UsageError("a vector needs dimensions", expected="dim of 1 or more", got=str(dim))
        shape = (assignment.rows, assignment.width(dim))
        if weight is not None:
            check_shape("the weight", weight, shape)
        self.embedding_dim = dim
        self.combiner = assignment.combiner
        self.padding_idx = from_the_start(padding_idx, len(assignment))
        self.sparse = sparse
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self._hold(assignment)
        with torch.no_grad():
            if weight is None:
                self.weight.normal_(generator=generator)
            else:
                self.weight.copy_(weight)

    @classmethod
    def from_full(cls, assignment: Assignment, full: Any, **options: Any) -> Self:
        """A table that starts near a full one: see `init_from`.

        Args:
            full: (n, dim) float tensor by position; its dtype and device become the table's.
            options: as for the class.

        Raises UsageError where `full` has not one vector for each id.
        """
        dim = int(full.shape[-1])
        place = {"device": full.device, "dtype": full.dtype}
        # Given zeros, the table draws nothing: a copy must not advance anyone's generator.
        zeros = torch.zeros(assignment.rows, assignment.width(dim))
        made = cls(assignment, dim, weight=zeros, **{**place, **options})
        made.init_from(full)
        return made

    def init_from(self, full: Any) -> None:
        """Sets the rows, in place, so that the vectors are nearest to `full` in squared error.

        With one way each row becomes the mean of the vectors of the ids that share it; with
        several ways or weights it is the least squares answer, found on the CPU. The vector at
        padding_idx counts for nothing; a row used by nobody gets the mean of all (over the
        number of ways, where vectors are sums).

        Args:
            full: (n, embedding_dim) float tensor by position, left as it is.

        Raises UsageError for another shape.
        """
        check_shape("the full table", full, (self.num_embeddings, self.embedding_dim))
        vectors = full.detach()[:, : self.weight.shape[1]].double().cpu().numpy()
        with torch.no_grad():
            self.weight.copy_(torch.as_tensor(self._mixture().nearest_rows(vectors)))

    def full(self) -> Any:
        """(n, embedding_dim) the vectors of all positions, through which gradients flow.

        For what reads the whole `weight` of an nn.Embedding: propagation, scores of all items.
        """
        if self._own_rows and self.padding_idx is None:
            return self.widened(self.weight)
        return self.vectors(torch.arange(self.num_embeddings, device=self.weight.device))

    def vectors(self, positions: Any) -> Any:
        """(k, embedding_dim) of (k,) int32 or int64 positions; that of padding_idx is zero.

        Raises UsageError for another dtype and for a position that no id has.
        """
        flat = check_positions(positions, self.num_embeddings)
        if self.padding_idx is None:
            return self.widened(self._combined(flat))
        # Left out, not multiplied by zero: no optimiser may meet its row in a sparse gradient.
        kept = torch.nonzero(flat != self.padding_idx).squeeze(1)
        found = self.widened(self._combined(flat[kept]))
        return found.new_zeros(len(flat), self.embedding_dim).index_copy(0, kept, found)

    def rows_of(self, positions: Any) -> Any:
        """(k, ways) int64 rows of the table that (k,) positions use."""
        # Not `buckets[positions]`, which takes -1 for the last; and only what is looked up is
        # widened to the int64 that sparse gradients need.
        return self.buckets.index_select(0, positions).long()

    def shares_of(self, positions: Any) -> Any:
        """(k, ways) weights of the rows in the table's dtype; None where they are all one."""
        if self.bucket_weights is None:
            return None
        return self.bucket_weights.index_select(0, positions).to(self.weight.dtype)

    def widened(self, found: Any) -> Any:
        """(k, embedding_dim) from (k, width): zeros behind."""
        return F.pad(found, (0, self.embedding_dim - found.shape[1]))

    def extend_(self, assignment: Assignment) -> None:
        """Takes an extended assignment in place of the present one; `weight` is not touched.

        An optimiser that holds `weight` goes on as before, and no old position's vector changes.

        Raises UsageError where `assignment` is of another table (rows, ways, combiner, width) or
        moves an old position.
        """
        _check_extension(self, assignment)
        self._hold(assignment)

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return int(self.weight.shape[0])

    @property
    def ways(self) -> int:
        """How many rows make one vector."""
        return int(self.buckets.shape[1])

    @property
    def n_parameters(self) -> int:
        """Numbers that are trained: rows times width."""
        return int(self.weight.numel())

    @property
    def table_bytes(self) -> int:
        """Bytes of the table in memory, in its own dtype."""
        return int(self.weight.nbytes)

    @property
    def index_bytes(self) -> int:
        """Bytes of the assignment in memory: 4 a way, and 4 more where there are weights.

        In a file it may take less: `Assignment.index_bytes`.
        """
        return sum(int(held.nbytes) for held in self.buffers())

    @property
    def total_bytes(self) -> int:
        """`table_bytes` and `index_bytes`, less an identity: that is no index anyone would keep."""
        own = torch.arange(self.rows, dtype=self.buckets.dtype, device=self.buckets.device)
        alone = self.ways == 1 and torch.equal(self.buckets[:, 0], own)
        return self.table_bytes + (0 if alone else self.index_bytes)

    def extra_repr(self) -> str:
        told = f"{self.num_embeddings}, {self.embedding_dim}, rows={self.rows}, ways={self.ways}"
        told += f", combiner={self.combiner}" if self.ways > 1 else ""
        told += f", padding_idx={self.padding_idx}" if self.padding_idx is not None else ""
        return told + (", sparse=True" if self.sparse else "")

    def _hold(self, assignment: Assignment) -> None:
        """Copies the assignment into buffers beside the weight."""
        place = self.weight.device
        weights = assignment.weights
        self.num_embeddings = len(assignment)
        self.register_buffer("buckets", torch.tensor(assignment.buckets, device=place))
        self.register_buffer(
            "bucket_weights", None if weights is None else torch.tensor(weights, device=place)
        )
        self._look_for_own_rows()

    def _look_for_own_rows(self) -> None:
        """Where position p has row p to itself, the table as a whole needs no looking up."""
        each = torch.arange(self.num_embeddings, device=self.buckets.device)
        alone = self.ways == 1 and self.bucket_weights is None and self.rows == len(each)
        self._own_rows = alone and bool(torch.equal(self.buckets[:, 0].long(), each))

    def _combined(self, flat: Any) -> Any:
        """(k, width) from (k,) positions; one kernel whatever the number of ways."""
        rows, shares = self.rows_of(flat), self.shares_of(flat)
        if self.ways == 1 and shares is None:
            return F.embedding(rows[:, 0], self.weight, sparse=self.sparse)
        mode = "mean" if self.combiner == "mean" else "sum"
        return F.embedding_bag(
            rows, self.weight, mode=mode, per_sample_weights=shares, sparse=self.sparse
        )

    def _mixture(self) -> Mixture:
        buckets = self.buckets.cpu().numpy()
        if self.bucket_weights is not None:
            shares = self.bucket_weights.double().cpu().numpy()
        else:
            shares = np.full(buckets.shape, 1 / self.ways if self.combiner == "mean" else 1.0)
        parts = self.ways if self.combiner == "sum" else 1
        return Mixture(buckets, shares, self.rows, self.padding_idx, parts)

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Raises UsageError for the state of a table of other sizes."""
        for name in ("weight", "buckets", "bucket_weights"):
            held, came = getattr(self, name), state.get(prefix + name)
            if held is not None and came is not None and came.shape != held.shape:
                raise UsageError(
                    "the state is of another table",
                    name=prefix + name,
                    expected=f"{shown(held.shape)} ({_MEANING[name]})",
                    got=shown(came.shape),
                    fix="make the table with the assignment it was trained with",
                )
        super()._load_from_state_dict(state, prefix, *rest)
        self._look_for_own_rows()


_MEANING = {
    "weight": "rows x width",
    "buckets": "ids x ways",
    "bucket_weights": "ids x ways",
}


def _check_extension(table: SharedRows, assignment: Assignment) -> None:
    """Raises UsageError where `table` would not be the same under `assignment`."""
    width = assignment.width(table.embedding_dim)
    present = (table.rows, table.ways, table.combiner, int(table.weight.shape[1]))
    coming = (assignment.rows, assignment.ways, assignment.combiner, width)
    if present != coming:
        raise UsageError(
            "the assignment is of another table",
            expected="{} rows, {} ways, combiner {}, width {}".format(*present),
            got="{} rows, {} ways, combiner {}, width {}".format(*coming),
        )
    n = table.num_embeddings
    if not (
        _begins(table.buckets, assignment.buckets)
        and _begins(table.bucket_weights, assignment.weights)
    ):
        raise UsageError(
            "the assignment is no extension of the present one",
            expected=f"the first {n} ids to stay in their rows",
        )


def _begins(held: Any, coming: Any) -> bool:
    """Whether `coming` begins with what a buffer holds; so it does where neither is there."""
    if held is None:
        return True
    return bool(torch.equal(torch.tensor(coming[: len(held)]).to(held), held))
