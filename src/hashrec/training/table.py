"""Stand-ins for nn.Embedding and nn.EmbeddingBag whose rows are shared as an assignment says."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F

from hashrec.bucketing import Assignment
from hashrec.errors import UsageError
from hashrec.training.checks import check_positions, check_shape
from hashrec.training.shared import SharedRows

__all__ = ["HashedEmbedding", "HashedEmbeddingBag"]


class HashedEmbedding(SharedRows):
    """Where nn.Embedding stood: positions in, vectors out, but fewer rows behind them.

    table = HashedEmbedding(b.items, 64, padding_idx=0)
    table(torch.tensor([[3, 0], [7, 7]]))    # (2, 2, 64); [0, 1] is all zeros

    max_norm and scale_grad_by_freq are not offered. `weight` has a row for each bucket, not for
    each position: what reads the whole `weight` of an nn.Embedding calls `full()` here.
    """

    def forward(self, positions: Any) -> Any:
        """The vectors of positions of any shape.

        Args:
            positions: (*shape) int32 or int64, in [0, num_embeddings).

        Returns (*shape, embedding_dim) in the dtype of `weight`. Raises UsageError for another
        dtype and for a position that no id has.
        """
        found = self.vectors(positions.reshape(-1))
        return found.reshape(*positions.shape, self.embedding_dim)


class HashedEmbeddingBag(SharedRows):
    """Where nn.EmbeddingBag stood: sums or means of the vectors of whole bags of positions.

    v(bag) = sum_p s_p v_p, s_p being the sample's weight or one; with `mean` that is divided by
    the number of positions in the bag. padding_idx is left out of the bag and of that number. An
    empty bag is zero. `max`, max_norm and scale_grad_by_freq are not offered.
    """

    def __init__(
        self,
        assignment: Assignment,
        dim: int,
        *,
        mode: Literal["sum", "mean"] = "mean",
        include_last_offset: bool = False,
        **options: Any,
    ) -> None:
        """Args as for HashedEmbedding and, as for nn.EmbeddingBag:

        mode: `sum` or `mean`; include_last_offset: whether offsets end with the number of
        positions.

        Raises UsageError as HashedEmbedding does and for another mode.
        """
        if mode not in ("sum", "mean"):
            raise UsageError(
                "no such way to make a bag one vector", expected="sum or mean", got=repr(mode)
            )
        super().__init__(assignment, dim, **options)
        self.mode = mode
        self.include_last_offset = include_last_offset

    def forward(self, positions: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        """One vector for each bag.

        Args:
            positions: (B, L) int32 or int64, a bag a row; or (N,) with `offsets`.
            offsets: (B,) ascending from 0: where each bag begins; with include_last_offset
                (B + 1,), the last being N.
            per_sample_weights: floats of the shape of `positions`, with mode `sum` only.

        Returns (B, embedding_dim). Raises UsageError for positions that no id has, and for
        offsets and weights that do not go with the positions.
        """
        bounds = self._bounds(positions, offsets)
        self._check_weights(positions, per_sample_weights)
        flat = check_positions(positions.reshape(-1), self.num_embeddings)
        weights = None if per_sample_weights is None else per_sample_weights.reshape(-1)
        if self.padding_idx is not None:
            kept = flat != self.padding_idx
            bounds = F.pad(kept.cumsum(0), (1, 0))[bounds]
            flat, weights = flat[kept], None if weights is None else weights[kept]
        return self.widened(self._bagged(flat, bounds, weights) / self._divisors(bounds))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, mode={self.mode}"

    def _bagged(self, flat: Any, bounds: Any, weights: Any) -> Any:
        """(B, width) sums over all rows of all positions of each bag, in one kernel."""
        rows, shares = self.rows_of(flat), self.shares_of(flat)
        if weights is not None:
            weighted = weights.to(self.weight.dtype).unsqueeze(1).expand(rows.shape)
            shares = weighted if shares is None else weighted * shares
        return F.embedding_bag(
            rows.reshape(-1),
            self.weight,
            bounds * self.ways,
            mode="sum",
            sparse=self.sparse,
            per_sample_weights=None if shares is None else shares.reshape(-1),
            include_last_offset=True,
        )

    def _divisors(self, bounds: Any) -> Any:
        """(B, 1) what the sum over a bag's rows is divided by; 1 for an empty bag."""
        ways = self.ways if self.combiner == "mean" else 1
        counts = bounds.diff().clamp(min=1) if self.mode == "mean" else torch.ones_like(bounds[1:])
        return (counts * ways).unsqueeze(1)

    def _bounds(self, positions: Any, offsets: Any) -> Any:
        """(B + 1,) int64 where each bag begins, and the end of the last."""
        if positions.dim() == 2:
            if offsets is not None:
                raise UsageError("offsets with bags in rows", expected="one or the other")
            bags, size = positions.shape
            return torch.arange(bags + 1, device=positions.device) * size
        if positions.dim() != 1 or offsets is None:
            raise UsageError(
                "positions without bags",
                expected="a (B, L) tensor, or a flat one with offsets",
                got=f"{positions.dim()} dimensions and {'no ' * (offsets is None)}offsets",
            )
        bounds = offsets.long()
        if not self.include_last_offset:
            bounds = F.pad(bounds, (0, 1), value=len(positions))
        _check_bounds(bounds, len(positions))
        return bounds

    def _check_weights(self, positions: Any, weights: Any) -> None:
        if weights is None:
            return
        if self.mode != "sum":
            raise UsageError(
                "per_sample_weights need the mode sum", expected="mode='sum'", got="mode='mean'"
            )
        check_shape("per_sample_weights", weights, tuple(positions.shape))


def _check_bounds(bounds: Any, n: int) -> None:
    """On the CPU, where looking costs no waiting: raises UsageError for bounds of no bags."""
    if bounds.device.type != "cpu":
        return
    if not len(bounds) or bounds[0] != 0 or bounds[-1] != n or (bounds.diff() < 0).any():
        raise UsageError(
            "the offsets do not cut the positions into bags",
            expected=f"numbers ascending from 0 to {n} at most",
            got=str(bounds.tolist() if len(bounds) < 9 else f"{len(bounds)} others"),
        )
