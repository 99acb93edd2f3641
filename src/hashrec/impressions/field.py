"""What is known beside ids: fields, and what kind of values each has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["KINDS", "OWNERS", "Field", "Kind", "Owner"]

Kind = Literal["categorical", "numeric", "multi"]
Owner = Literal["user", "item", "row"]

KINDS: tuple[Kind, ...] = get_args(Kind)
OWNERS: tuple[Owner, ...] = get_args(Owner)


@dataclass(frozen=True)
class Field:
    """A named value of every impression.

    Attributes:
        name: of its column.
        kind: `categorical`, one word; `numeric`, a number; `multi`, any number of words.
        owner: whose it is: the `user`'s or the `item`'s, the same in all of their impressions, or
            the impression's own (`row`).
    """

    name: str
    kind: Kind
    owner: Owner

    def to_dict(self) -> dict[str, str]:
        return {"name": self.name, "kind": self.kind, "owner": self.owner}

    @classmethod
    def from_dict(cls, given: Mapping[str, str]) -> Field:
        """Raises ValueError for what is no kind and no owner."""
        kind, owner = given["kind"], given["owner"]
        if kind not in KINDS or owner not in OWNERS:
            raise ValueError(f"a field of kind {kind!r}, owned by {owner!r}")
        return cls(given["name"], kind, owner)
