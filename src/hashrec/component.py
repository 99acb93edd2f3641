"""Components: the validated options of one method, and the registries that name them.

A method is one file holding its options (a `Component`) and its work, and one line in the
registry of its room. A recipe is made of components, so it is validated whole, round-trips
through JSON, and travels inside the model.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hashrec.errors import RecipeError

__all__ = ["Component", "Registry", "nearest", "read_setting", "section", "validate"]


class Component(BaseModel):
    """Frozen options of one method; unknown keys are refused. `name` is its registry key."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )
    name: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON-ready values, the name first."""
        parts = {
            field: value.to_dict()
            for field in type(self).model_fields
            if isinstance(value := getattr(self, field), Component)
        }
        plain = self.model_dump(mode="json", exclude=set(parts))
        return {"name": self.name, **plain, **parts}


C = TypeVar("C", bound=Component)


class Registry(Generic[C]):
    """The methods of one kind, by name; the only place where a name becomes a class."""

    def __init__(self, kind: str, *members: type[C]) -> None:
        self.kind = kind
        self._members: Mapping[str, type[C]] = {member.name: member for member in members}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __getitem__(self, name: str) -> type[C]:
        if name not in self._members:
            raise RecipeError(
                f"unknown {self.kind} {name!r}",
                expected="one of " + ", ".join(self._members),
                fix=nearest(name, self._members),
            )
        return self._members[name]

    def parse(self, options: C | Mapping[str, Any] | str) -> C:
        """A component from itself, from its name, or from a mapping that holds its name."""
        if isinstance(options, str):
            return self[options]()
        if isinstance(options, Mapping):
            rest = dict(options)
            if "name" not in rest:
                raise RecipeError(
                    f"{self.kind} without a name", expected="one of " + ", ".join(self._members)
                )
            return validate(self[str(rest.pop("name"))], rest, where=self.kind)
        if type(options) not in self._members.values():
            raise RecipeError(
                f"not a registered {self.kind}: {options!r}",
                expected="one of " + ", ".join(self._members),
            )
        return options


M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], values: Mapping[str, Any], *, where: str) -> M:
    """`model` from `values`; on failure one `RecipeError` that reports all that is wrong.

    `where` is the path of `values` in the recipe (`codes`), so that messages name whole keys.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as fault:
        problems = [_explain(model, error, where) for error in fault.errors()]
        raise RecipeError("; ".join(problems)) from None


def section(model: type[M], value: Any, name: str) -> Any:
    """A section of a recipe: options of one kind, as a mapping, with its name or without."""
    if not isinstance(value, Mapping):
        return value
    options = {key: option for key, option in value.items() if key != "name"}
    return validate(model, options, where=name)


def _explain(model: type[BaseModel], error: Any, where: str) -> str:
    key = ".".join(str(part) for part in error["loc"])
    path = ".".join(part for part in (where, key) if part)
    if error["type"] == "extra_forbidden":
        known = list(model.model_fields)
        hint = nearest(key, known)
        return f"unknown key {path}, known are {', '.join(known) or 'none'}" + (
            f" ({hint})" if hint else ""
        )
    return f"{path}: {error['msg'][0].lower()}{error['msg'][1:]}, got {error['input']!r}"


def read_setting(setting: str) -> tuple[str, Any]:
    """Key and value of `key=value`: read as JSON where it is JSON (`0.5`, `null`), else as text."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise RecipeError(f"cannot read the setting {setting!r}", expected="key=value")
    try:
        return key, json.loads(text)
    except json.JSONDecodeError:
        return key, text


def nearest(word: str, choices: Any) -> str:
    """`did you mean X?` for the closest of `choices`, or nothing where none is close."""
    found = difflib.get_close_matches(word, [str(choice) for choice in choices], n=1)
    return f"did you mean {found[0]}?" if found else ""
