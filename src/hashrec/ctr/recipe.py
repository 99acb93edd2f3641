"""The configuration of a model of clicks, validated whole and stored inside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from hashrec.component import Component, Registry, section, validate
from hashrec.ctr.architecture import Architecture
from hashrec.ctr.dcn import Dcn
from hashrec.ctr.models import MODELS
from hashrec.impressions import Fields
from hashrec.interactions import SPLITS, RandomSplit, Split
from hashrec.learning import Table
from hashrec.learning.options import Looping
from hashrec.settings import laid_over

__all__ = ["CtrRecipe", "CtrTraining"]

Share = Annotated[float, Field(ge=0, lt=1)]


class CtrTraining(Looping):
    """How a model of clicks is trained: log loss, stopped by AUC on a valid part.

    Attributes:
        batch: impressions a step.
        decay: times half the squared length of the batch's own vectors, a mean over the batch, is
            added to the loss.
        scale: deviation of the first vectors.
        unknown: the chance that an id or a word is taken, at a step, for one never met: what the
            rows of the unknown are learned from.
        negatives: the share of the impressions labelled 0 that an epoch looks at; logits are
            corrected by its logarithm (X. He et al., "Practical Lessons from Predicting Clicks on
            Ads at Facebook", ADKDD 2014, section 6.3).
        positives: how often a positive counts in the loss; corrected likewise.
        calibrate: stretch and shift logits by what is best on the valid part; no order changes.
        sparse: tables of so many rows or more are moved row by row, by lazy Adam; null: never.
    """

    name: ClassVar[str] = "training"

    epochs: Annotated[int, Field(ge=1)] = 20
    batch: Annotated[int, Field(ge=1)] = 1024
    learning_rate: Annotated[float, Field(gt=0)] = 0.003
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Share = 0.0
    every: Annotated[int, Field(ge=1)] = 1
    decay: Annotated[float, Field(ge=0)] = 0.01
    scale: Annotated[float, Field(gt=0)] = 0.05
    unknown: Share = 0.01
    negatives: Annotated[float, Field(gt=0, le=1)] = 1.0
    positives: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    calibrate: bool = True
    sparse: Annotated[int, Field(ge=1)] | None = 100_000

    def shift(self, kept: float) -> float:
        """What is added to logits: log w - log c, where a share `kept` = w of the negatives was
        looked at and a positive counted c times."""
        return math.log(kept) - math.log(self.positives)


_REGISTRIES: Mapping[str, Registry[Any]] = {"model": MODELS, "holdout": SPLITS, "valid": SPLITS}
_SECTIONS: Mapping[str, type[Component]] = {
    "table": Table, "training": CtrTraining, "fields": Fields,
}  # fmt: skip


class CtrRecipe(Component):
    """Everything that decides what a model of clicks becomes.

    Attributes:
        seed: of every draw. model: what is made of the vectors. dim: of vectors.
        table: how users and items share rows. edges: the graph in which rows are found: of `all`
            impressions, or of the `positive` ones.
        fields: how fields are read. training: of the loop.
        valid: the split of train that shows when to stop. holdout: the split that measures a fit
            where no test part is given.
    """

    name: ClassVar[str] = "ctr-recipe"

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    model: Architecture = Dcn()
    dim: Annotated[int, Field(ge=1)] = 16
    table: Table = Table()
    edges: Literal["all", "positive"] = "all"
    fields: Fields = Fields()
    training: CtrTraining = CtrTraining()
    valid: Split = RandomSplit(test=0.1)
    holdout: Split = RandomSplit(test=0.1)

    @field_validator(*_REGISTRIES, mode="before")
    @classmethod
    def _from_registry(cls, value: Any, info: Any) -> Any:
        if isinstance(value, Mapping) and "name" not in value:
            value = {"name": cls.model_fields[info.field_name].default.name, **value}
        return _REGISTRIES[info.field_name].parse(value)

    @field_validator(*_SECTIONS, mode="before")
    @classmethod
    def _section(cls, value: Any, info: Any) -> Any:
        return section(_SECTIONS[info.field_name], value, info.field_name)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `CtrRecipe.from_dict` gives it back."""
        return {key: value for key, value in super().to_dict().items() if key != "name"}

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> CtrRecipe:
        """From (part of) what `to_dict` gives. Raises RecipeError for anything unknown."""
        return validate(cls, options, where="")

    @classmethod
    def from_toml(cls, path: str | Path | None, settings: Iterable[str] = ()) -> CtrRecipe:
        """From a TOML file, if any, with `key.path=value` settings laid over it."""
        return cls.from_dict(laid_over(path, settings, cls.model_fields))
