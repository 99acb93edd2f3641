"""Options from a TOML file, and single settings laid over them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hashrec.component import nearest, read_setting
from hashrec.errors import RecipeError

__all__ = ["laid_over"]


def laid_over(
    path: str | Path | None, settings: Iterable[str], sections: Iterable[str]
) -> dict[str, Any]:
    """The options of a TOML file, if any, with `key.path=value` settings laid over them.

    A value is read as JSON where it is JSON (`0.5`, `null`, `true`), else as text. `sections`: the
    keys that exist, for messages. Raises RecipeError for a file that cannot be read, and for a
    setting inside what has no inside.
    """
    options = {} if path is None else _read_toml(Path(path))
    for setting in settings:
        _apply(options, setting, list(sections))
    return options


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise RecipeError(
            "the recipe cannot be read", name=str(path), got=fault.strerror or str(fault)
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise RecipeError(
            "the recipe is not TOML", name=str(path), expected="TOML", got=str(fault)
        ) from fault


def _apply(options: dict[str, Any], setting: str, known: list[str]) -> None:
    path, value = read_setting(setting)
    *sections, key = path.split(".")
    place = options
    for section in sections:
        inner = place.setdefault(section, {})
        if isinstance(inner, str):  # `codes=int` before `codes.bits=4`
            inner = place[section] = {"name": inner}
        if not isinstance(inner, dict):
            raise RecipeError(
                f"{section} has no keys inside, so {path} cannot be set",
                fix=nearest(section, known),
            )
        place = inner
    place[key] = value
