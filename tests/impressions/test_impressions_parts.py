"""What stands in a folder: parts, or one log of RecBole with its users and items."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hashrec.errors import DataError
from hashrec.impressions import Sources, sources_of


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("user_id:token\titem_id:token\tlabel:float\n1\t2\t1\n")
    return folder


def names_of(sources: Sources) -> dict[str, str]:
    return {role: Path(path).name for role, path in vars(sources).items() if path is not None}


def test_what_is_no_folder_is_the_log() -> None:
    frame = pd.DataFrame({"user": [1]})
    for source in (frame, "log.csv", Path("/no/such/file")):
        found = sources_of(source)
        assert found.train is source
        assert [found.valid, found.test, found.user_features, found.item_features] == [None] * 4


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["d.inter"], {"train": "d.inter"}),
        (["d.inter", "d.user"], {"train": "d.inter", "user_features": "d.user"}),
        (["d.inter", "d.item", "d.user", "d.link"],
         {"train": "d.inter", "user_features": "d.user", "item_features": "d.item"}),
        (["d.inter", "e.user"], {"train": "d.inter"}),
        (["train.csv", "valid.csv", "test.csv"],
         {"train": "train.csv", "valid": "valid.csv", "test": "test.csv"}),
        (["train.tsv", "val.csv"], {"train": "train.tsv", "valid": "val.csv"}),
        (["train.inter"], {"train": "train.inter"}),
        (["train.inter", "valid.inter"], {"train": "train.inter", "valid": "valid.inter"}),
        (["test.inter", "train.inter"], {"train": "train.inter", "test": "test.inter"}),
        (["test.inter", "train.inter", "valid.inter"],
         {"train": "train.inter", "valid": "valid.inter", "test": "test.inter"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_folder_is_a_log_or_parts(
    tmp_path: Path, names: list[str], expected: dict[str, str]
) -> None:
    """Bug: test.inter, being the first by name, made parts "two logs in one folder"."""
    assert names_of(sources_of(filled(tmp_path, *names))) == expected
    assert names_of(sources_of(str(tmp_path))) == expected


def test_two_logs_are_refused(tmp_path: Path) -> None:
    words = "2 logs in one folder; expected one; got d.inter, e.inter. Name one of them"
    with pytest.raises(DataError, match=words):
        sources_of(filled(tmp_path, "d.inter", "e.inter"))


def test_a_folder_of_neither_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this folder has no train part.*got an empty folder"):
        sources_of(tmp_path)
    with pytest.raises(DataError, match="no train part.*got d.user"):
        sources_of(filled(tmp_path, "d.user"))
    with pytest.raises(DataError, match="2 files may be the train part; expected one; got train"):
        sources_of(filled(tmp_path, "train.csv", "train.tsv"))
