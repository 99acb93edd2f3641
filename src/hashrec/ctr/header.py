"""What the manifest of a model of clicks says beside its recipe, checked when it is opened."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Header"]

_Natural = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Columns(_Part):
    user: str | None
    item: str | None
    label: str | None


class _Calibration(_Part):
    slope: Annotated[float, Field(gt=0)]
    offset: float


class _Field(_Part):
    name: str
    kind: Literal["categorical", "numeric", "multi"]
    owner: Literal["user", "item", "row"]


class _Words(_Part):
    field: _Field
    width: _Natural
    missing: bool


class _Scale(_Part):
    field: _Field
    transform: dict[str, Any]
    missing: bool


class Header(_Part):
    """All that opening a folder and scoring by it asks of its header."""

    recipe: dict[str, Any]
    columns: _Columns
    threshold: float | None
    calibration: _Calibration
    vocabularies: list[_Words]
    scales: list[_Scale]
    known: dict[Literal["user", "item"], list[str]]
    separators: dict[str, str]
    facts: dict[str, Any]
