"""RecBole's atomic files: names without their types, and the kinds that the types say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashrec.interactions import read
from hashrec.interactions.formats import open_path


@pytest.mark.parametrize("suffix", ["inter", "user", "item"])
def test_types_in_the_header_are_kinds(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d.{suffix}"
    path.write_text(
        "user_id:token\tx:float\ttags:token_seq\tvector:float_seq\tplain\todd:int\n"
        "u\t1.5\ta b\t1 2\tp\t3\n"
        "v\t\t\t\t\t\n"
    )
    source = open_path(path, None)
    assert (source.format, source.first_row) == ("recbole", 2)
    assert source.columns == ("user_id", "x", "tags", "vector", "plain", "odd:int")
    assert source.kinds == {
        "user_id": "categorical", "x": "numeric", "tags": "multi", "vector": "multi",
    }  # fmt: skip
    assert source.load("x").to_pylist() == ["1.5", None]
    assert source.load("tags").to_pylist() == ["a b", None]
    assert source.load("odd:int").to_pylist() == ["3", None]


def test_formats_without_types_say_no_kinds(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("user_id:token\tx:float\nu\t1.5\n")
    source = open_path(path, None)
    assert (source.columns, dict(source.kinds)) == (("user_id:token", "x:float"), {})


def test_columns_are_read_by_either_name(tmp_path: Path) -> None:
    path = tmp_path / "d.inter"
    path.write_text("who:token\twhat:token\nu\t1\nv\t2\n")
    for user, item in (("who", "what"), ("who:token", "what:token")):
        log = read(path, user=user, item=item)
        assert (log.users.array.to_pylist(), log.items.array.to_pylist()) == (["u", "v"], [1, 2])
