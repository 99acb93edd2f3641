"""What stands in a folder of impressions: parts, or RecBole's atomic files of one log."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from hashrec.errors import DataError
from hashrec.interactions.files import part_files

__all__ = ["Sources", "sources_of"]


@dataclass(frozen=True)
class Sources:
    """Where impressions come from.

    Attributes:
        train, valid, test: logs; user_features, item_features: what else is known.
    """

    train: Any
    valid: Any = None
    test: Any = None
    user_features: Any = None
    item_features: Any = None


def sources_of(source: Any) -> Sources:
    """A folder with NAME.inter, and maybe NAME.user and NAME.item beside it; a folder with files
    named train.*, valid.* and test.*; or any other source, as the log itself.

    Raises DataError for a folder of neither kind, or of two logs.
    """
    if not isinstance(source, (str, PathLike)) or not Path(source).is_dir():
        return Sources(source)
    folder = Path(source)
    logs = sorted(folder.glob("*.inter"))
    if not logs or any(log.stem == "train" for log in logs):
        return Sources(**part_files(folder))
    if len(logs) > 1:
        raise DataError(
            f"{len(logs)} logs in one folder", name=str(folder), expected="one",
            got=", ".join(log.name for log in logs), fix="name one of them",
        )  # fmt: skip
    sides = (logs[0].with_suffix(suffix) for suffix in (".user", ".item"))
    users, items = (str(side) if side.exists() else None for side in sides)
    return Sources(str(logs[0]), user_features=users, item_features=items)
