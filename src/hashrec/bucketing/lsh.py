"""`lsh`: ids with similar features share a row, by signs of random projections."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from hashrec.bucketing.assignment import Assignment
from hashrec.bucketing.method import Side, SideMethod
from hashrec.bucketing.projected import cut, row_of
from hashrec.bucketing.projecting import MAX_BITS, codes_of_features
from hashrec.bucketing.ruled import hashes, ruled
from hashrec.errors import UsageError

__all__ = ["Lsh"]


class Lsh(SideMethod):
    """As `lsh-structure`, of the side features: compared by their angle at the origin as they are,
    neither centred nor scaled.

    Rows of zeros, and ids that come later (without features), are hashed over all rows. Raises
    UsageError without features.
    """

    name: ClassVar[str] = "lsh"
    takes_features: ClassVar[bool] = True

    bits: Annotated[int, Field(ge=1, le=MAX_BITS)] = MAX_BITS

    def assign_side(self, side: Side, rows: int, seed: int) -> Assignment:
        if side.features is None:
            raise UsageError(
                f"lsh needs features of both sides, and there are none of {side.name}s",
                fix=f"give {side.name}_features, or choose lsh-structure",
            )
        hashed = ruled(side, rows, *hashes(side, 1, seed, rows))
        described = side.features.any(axis=1)
        features = side.features[described]
        codes = codes_of_features(features, self.bits, seed, f"{side.name} features")
        buckets = hashed.buckets.copy()
        buckets[described, 0] = row_of(codes, cut(codes, rows))
        return replace(hashed, buckets=buckets)
