"""Which table an encoder learns: all rows, or shared ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import field_validator, model_validator

from hashrec.bucketing import METHODS, BucketMethod, Buckets, buckets
from hashrec.bucketing.full import Full
from hashrec.component import Component
from hashrec.errors import RecipeError
from hashrec.interactions import Interactions
from hashrec.progress import SILENT, Progress

__all__ = ["Table"]

Rows = int | float | str | None


class Table(Component):
    """How ids share rows; see `hashrec.buckets`, whose arguments these are.

    Attributes:
        method: a bucket method; `full`: a row each.
        rows: a share of the ids, a number of rows, or bytes; user_rows, item_rows: of one side.
    """

    name: ClassVar[str] = "table"

    method: BucketMethod = Full()
    rows: Rows = None
    user_rows: Rows = None
    item_rows: Rows = None

    @field_validator("method", mode="before")
    @classmethod
    def _from_registry(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "name" not in value:
            value = {"name": "graph", **value}
        return METHODS.parse(value)

    @model_validator(mode="after")
    def _full_has_no_budget(self) -> Table:
        asked = [
            key for key in ("rows", "user_rows", "item_rows") if getattr(self, key) is not None
        ]
        if asked and isinstance(self.method, Full):
            raise RecipeError(
                "a full table has a row for each id, whatever the budget", name=f"table.{asked[0]}",
                fix="choose a method, say table.method=graph",
            )  # fmt: skip
        return self

    def buckets(
        self,
        log: Interactions,
        dim: int,
        seed: int,
        features: Mapping[str, Any] | None = None,
        progress: Progress = SILENT,
    ) -> Buckets:
        """The assignments of both sides for vectors of `dim` dimensions.

        `features`: (n, f) numbers of `user` and `item`, for a method that takes them.
        """
        given = (features or {}) if self.method.takes_features else {}
        return buckets(
            log,
            self.method,
            self.rows,
            user_rows=self.user_rows,
            item_rows=self.item_rows,
            dim=dim,
            user_features=given.get("user"),
            item_features=given.get("item"),
            seed=seed,
            progress=progress,
        )
