"""Registries and components: names become classes in one place, and errors say what to do."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from hashrec.component import Component, Registry, nearest, validate
from hashrec.encoders import Spectral
from hashrec.errors import RecipeError


class Method(Component):
    """What the registry of this test holds."""


class Alpha(Method):
    name: ClassVar[str] = "alpha"

    width: Annotated[int, Field(ge=1, le=9)] = 3
    mode: Literal["max", "mse"] = "max"


class Beta(Method):
    name: ClassVar[str] = "beta"


class Stranger(Method):
    name: ClassVar[str] = "alpha"  # the name alone lets nobody in


METHODS: Registry[Method] = Registry("method", Alpha, Beta)


def test_iteration_and_lookup() -> None:
    assert list(METHODS) == ["alpha", "beta"]
    assert METHODS["beta"] is Beta


def test_parse_an_instance() -> None:
    alpha = Alpha(width=5)
    assert METHODS.parse(alpha) is alpha


def test_parse_a_name() -> None:
    parsed = METHODS.parse("alpha")
    assert type(parsed) is Alpha
    assert parsed == Alpha()


def test_parse_a_mapping_and_leave_it_alone() -> None:
    options = {"width": 7, "name": "alpha"}
    assert METHODS.parse(options) == Alpha(width=7)
    assert options == {"width": 7, "name": "alpha"}


def test_round_trip() -> None:
    alpha = Alpha(width=2, mode="mse")
    assert alpha.to_dict() == {"name": "alpha", "width": 2, "mode": "mse"}
    assert next(iter(alpha.to_dict())) == "name"
    assert METHODS.parse(alpha.to_dict()) == alpha


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Alpha().width = 4  # type: ignore[misc]


def test_unknown_name_lists_choices_and_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        METHODS.parse("alpa")
    assert str(caught.value) == (
        "unknown method 'alpa'; expected one of alpha, beta. Did you mean alpha?"
    )
    assert caught.value.expected == "one of alpha, beta"
    assert caught.value.fix == "did you mean alpha?"


def test_unknown_name_with_nothing_near() -> None:
    with pytest.raises(RecipeError) as caught:
        METHODS.parse({"name": "zzz"})
    assert str(caught.value) == "unknown method 'zzz'; expected one of alpha, beta."


def test_mapping_without_a_name() -> None:
    with pytest.raises(RecipeError, match="method without a name; expected one of alpha, beta"):
        METHODS.parse({"width": 3})


@pytest.mark.parametrize("stranger", [Stranger(), 3, None])
def test_not_registered(stranger: object) -> None:
    with pytest.raises(RecipeError, match="not a registered method: .*one of alpha, beta"):
        METHODS.parse(stranger)  # type: ignore[arg-type]


def test_unknown_key_names_its_path_and_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        METHODS.parse({"name": "alpha", "widht": 3})
    assert str(caught.value) == (
        "unknown key method.widht, known are width, mode (did you mean width?)."
    )


def test_unknown_key_with_nothing_near_and_none_known() -> None:
    with pytest.raises(RecipeError) as caught:
        METHODS.parse({"name": "beta", "qqq": 3})
    assert str(caught.value) == "unknown key method.qqq, known are none."


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (10, "method.width: input should be less than or equal to 9, got 10"),
        (0, "method.width: input should be greater than or equal to 1, got 0"),
        ("x", "method.width: input should be a valid integer.*got 'x'"),
        (2.5, "method.width: input should be a valid integer.*got 2.5"),
    ],
)
def test_value_out_of_its_range(width: object, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        METHODS.parse({"name": "alpha", "width": width})


def test_all_that_is_wrong_is_reported_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        METHODS.parse({"name": "alpha", "width": 0, "mode": "min", "extra": 1})
    parts = str(caught.value).split("; ")
    assert len(parts) == 3
    assert parts[0].startswith("method.width:")
    assert parts[1].startswith("method.mode: input should be 'max' or 'mse'")
    assert parts[2].startswith("unknown key method.extra")


def test_paths_of_nested_keys() -> None:
    class Outer(BaseModel):
        inner: Alpha

    with pytest.raises(RecipeError, match=r"^outer\.inner\.width: input should be less"):
        validate(Outer, {"inner": {"width": 12}}, where="outer")
    with pytest.raises(RecipeError, match=r"^inner: field required"):
        validate(Outer, {}, where="")
    assert validate(Outer, {"inner": {"width": 2}}, where="").inner == Alpha(width=2)


def test_nearest() -> None:
    assert nearest("bits", ["bits", "clip"]) == "did you mean bits?"
    assert nearest("clip_", ["bits", "clip"]) == "did you mean clip?"
    assert nearest("entirely other", ["bits", "clip"]) == ""
    assert nearest("x", []) == ""


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_options_are_finite_numbers(value: float) -> None:
    """An infinite tolerance was taken, and the manifest could then not be written."""
    with pytest.raises(RecipeError, match="encoder.tolerance: input should be a finite number"):
        validate(Spectral, {"tolerance": value}, where="encoder")
