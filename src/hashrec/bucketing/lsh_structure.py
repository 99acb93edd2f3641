"""`lsh-structure`: ids with similar neighbours share a row, by signs of random projections."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.method import Side, SideMethod
from hashrec.bucketing.projected import Projected, cut
from hashrec.bucketing.projecting import MAX_BITS, codes_of_edges
from hashrec.bucketing.ruled import ruled

__all__ = ["LshStructure"]


class LshStructure(SideMethod):
    """Codes of `bits` signs of the sparse rows of the graph, in order, cut into runs: `projected`.

    With many bits the runs are cut finely, with few there may be fewer codes than rows. An id
    without edges is hashed over all rows; one that comes later is projected by those it has met.
    """

    name: ClassVar[str] = "lsh-structure"

    bits: Annotated[int, Field(ge=1, le=MAX_BITS)] = MAX_BITS

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        stream = f"{side.name} structure"
        codes = codes_of_edges(side.edges, side.weights, self.bits, seed, stream)
        starts = cut(codes[side.edges.lengths > 0], rows)
        return ruled(side, rows, Projected(seed, stream, self.bits, rows, starts))
