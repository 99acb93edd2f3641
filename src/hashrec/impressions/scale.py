"""One numeric field as a model takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hashrec.errors import DataError
from hashrec.impressions.field import Field
from hashrec.impressions.transforms import TRANSFORMS, Transform
from hashrec.impressions.values import Numbers, Values

__all__ = ["Scale"]


@dataclass(frozen=True, eq=False)
class Scale:
    """A transform, and what it learned of one field (float64).

    `missing`: whether any row lacked a number, so that a model learned what that means.
    """

    field: Field
    transform: Transform
    kept: npt.NDArray[np.float64]
    missing: bool

    @classmethod
    def of(cls, field: Field, values: Values, transform: Transform) -> Scale:
        """Raises DataError for a field that says nothing: one number, or none."""
        assert isinstance(values, Numbers)
        known = values.values[np.isfinite(values.values)]
        if not len(known) or known.min() == known.max():
            raise DataError(
                "a field that says nothing", name=field.name, expected="at least two values",
                got=f"{known[0]:g} in every row" if len(known) else "no number in any row",
                fix="leave it out with ignore=... (--ignore)",
            )  # fmt: skip
        missing = len(known) < len(values)
        return cls(field, transform, transform.learned(known), missing)

    def scaled(self, values: Values) -> npt.NDArray[np.float32]:
        """(n,) float32, NaN where there is no number."""
        assert isinstance(values, Numbers)
        return self.transform.applied(values.values, self.kept).astype(np.float32)

    def scalars(self) -> dict[str, Any]:
        """JSON-ready: with `kept`, all that makes it again."""
        field, transform = self.field.to_dict(), self.transform.to_dict()
        return {"field": field, "transform": transform, "missing": self.missing}

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], kept: npt.NDArray[np.float64]) -> Scale:
        transform = TRANSFORMS.parse(scalars["transform"])
        return cls(Field.from_dict(scalars["field"]), transform, kept, scalars["missing"])
