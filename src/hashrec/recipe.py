"""The recipe: the whole configuration of a model, validated, and stored inside it.

It stands above the rooms whose components it is made of, so that a registry is the only place
where a name becomes a class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from hashrec.codes import Coder, FloatCodes, SignCodes
from hashrec.component import Component, Registry, section, validate
from hashrec.encoders import ENCODERS, Encoder, Spectral, TrainedEncoder
from hashrec.errors import RecipeError
from hashrec.hashing import CODES, LearnedCoder
from hashrec.interactions import SPLITS, Cleaning, Split, UserSplit
from hashrec.learning import Table, Training
from hashrec.settings import laid_over

__all__ = ["Recipe"]

_REGISTRIES: Mapping[str, Registry[Any]] = {
    "encoder": ENCODERS,
    "codes": CODES,
    "user_codes": CODES,
    "rerank_codes": CODES,
    "holdout": SPLITS,
}
# Sections of one kind each: options without a name.
_SECTIONS: Mapping[str, type[Component]] = {"data": Cleaning, "table": Table, "training": Training}


class Recipe(Component):
    """Everything that decides what a model becomes.

    Attributes:
        seed: of the one generator from which every draw of a fit comes.
        data: what is dropped while reading.
        encoder: what gives vectors. table, training: which rows an encoder that trains has, and
            how it is trained. codes: how item vectors are stored.
        users: `computed`: a user is computed from their seen items' codes whenever asked for and
            takes no bytes (only for encoders that can fold histories in); `stored`: the encoder's
            own user vectors are coded and kept; `auto`: stored where users were learned.
        user_codes: how user vectors are coded before they meet the items: float by default; with
            `sign`, both sides are bits and searches are several times faster.
        rerank: so many of the best items by codes are ranked anew by second vectors, those that
            the codes were made of; 0: none. rerank_codes: how these are kept, row by row.
        holdout: the split that measures a fit where no test part is given.
    """

    name: ClassVar[str] = "recipe"

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    data: Cleaning = Cleaning()
    encoder: Encoder = Spectral()
    table: Table = Table()
    training: Training = Training()
    codes: Coder = SignCodes()
    users: Literal["auto", "computed", "stored"] = "auto"
    user_codes: Coder = FloatCodes()
    rerank: Annotated[int, Field(ge=0)] = 0
    rerank_codes: Coder = FloatCodes(bits=16)
    holdout: Split = UserSplit(test=0.2)

    @field_validator(*_REGISTRIES, mode="before")
    @classmethod
    def _from_registry(cls, value: Any, info: Any) -> Any:
        return _REGISTRIES[info.field_name].parse(_named(info.field_name, value))

    @field_validator(*_SECTIONS, mode="before")
    @classmethod
    def _section(cls, value: Any, info: Any) -> Any:
        return section(_SECTIONS[info.field_name], value, info.field_name)

    @model_validator(mode="after")
    def _learned_codes_have_an_encoder_to_learn_with(self) -> Recipe:
        if isinstance(self.user_codes, LearnedCoder):
            raise RecipeError(
                "user codes cannot be learned by themselves", name="user_codes",
                got=self.user_codes.name, fix="learn both: set codes, and codes.users to coded",
            )  # fmt: skip
        if isinstance(self.codes, LearnedCoder):
            if not isinstance(self.encoder, TrainedEncoder):
                raise RecipeError(
                    f"{self.codes.name} codes are learned together with an encoder, and "
                    f"{self.encoder.name} does not train", name="codes.name", got=self.codes.name,
                    fix="set encoder.name to lightgcn, or take codes=sign",
                )  # fmt: skip
            if self.codes.users == "coded" and self.user_codes != FloatCodes():
                raise RecipeError(
                    f"{self.codes.name} codes its users itself", name="user_codes",
                    got=self.user_codes.name, fix="leave it out, or set codes.users to float",
                )  # fmt: skip
            if self.codes.users == "coded" and self.users_are_computed:
                raise RecipeError(
                    "coded users are stored, not computed", name="users", got=self.users,
                    fix='set users to "stored", or codes.users to "float"',
                )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _users_computed_one_by_one_are_coded_one_by_one(self) -> Recipe:
        if self.users_are_computed and not self.user_codes.by_row:
            raise RecipeError(
                f"{self.user_codes.name} codes are fitted to all users at once, and these are "
                "computed one by one", name="user_codes", fix='set users to "stored"',
            )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _a_second_stage_has_vectors_of_both_sides(self) -> Recipe:
        if not self.rerank_codes.by_row or isinstance(self.rerank_codes, LearnedCoder):
            raise RecipeError(
                "the second stage keeps each vector by itself", name="rerank_codes",
                expected="float, int or sign", got=self.rerank_codes.name,
            )  # fmt: skip
        if self.rerank and self.users_are_computed:
            raise RecipeError(
                "a second stage needs stored users, and these are computed", name="rerank",
                got=str(self.rerank), fix='set users to "stored"',
            )  # fmt: skip
        return self

    @property
    def users_are_computed(self) -> bool:
        """What `users` says; `auto` stores what was learned."""
        if self.users == "auto":
            return not isinstance(self.encoder, TrainedEncoder)
        return self.users == "computed"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `Recipe.from_dict` gives it back."""
        return {
            field: value.to_dict() if isinstance(value, Component) else value
            for field, value in ((field, getattr(self, field)) for field in type(self).model_fields)
        }

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Recipe:
        """From (part of) what `to_dict` gives. Raises RecipeError for anything unknown."""
        return validate(cls, options, where="")

    @classmethod
    def from_toml(cls, path: str | Path | None, settings: Iterable[str] = ()) -> Recipe:
        """From a TOML file, if any, with `key.path=value` settings laid over it.

        A value is read as JSON where it is JSON (`0.5`, `null`, `true`), else as text.
        """
        return cls.from_dict(laid_over(path, settings, cls.model_fields))

    def full_precision(self) -> Recipe:
        """The same recipe without any rounding: what codes are measured against."""
        return self.model_copy(
            update={"codes": FloatCodes(), "user_codes": FloatCodes(), "rerank": 0}
        )


def _named(section: str, value: Any) -> Any:
    """Options without a name are of the default method; bits alone choose among the codes."""
    if not isinstance(value, Mapping) or "name" in value:
        return value
    default = Recipe.model_fields[section].default.name
    if section.endswith("codes") and isinstance(value.get("bits"), int):
        bits = value["bits"]
        default = "sign" if bits == 1 else "float" if bits in (16, 32) else "int"
    return {"name": default, **value}
