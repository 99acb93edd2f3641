"""By what each protocol divides."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hashrec.errors import UsageError
from hashrec.evaluation import PROTOCOLS
from hashrec.evaluation.protocols import protocol_named

SIZES = np.array([1, 3, 9])  # the cut is 3


@pytest.mark.parametrize(
    ("name", "recall", "ideal"),
    [
        ("lightgcn", [1, 3, 9], [1, 3, 3]),
        ("graphhash", [1, 3, 3], [1, 3, 3]),
        ("hashlgn", [1, 3, 9], [3, 3, 3]),
    ],
)
def test_denominators(name: str, recall: list[int], ideal: list[int]) -> None:
    protocol = protocol_named(name)
    assert protocol.name == name
    assert protocol.recall_hits(SIZES, 3).tolist() == recall
    assert protocol.ideal_hits(SIZES, 3).tolist() == ideal


def test_only_hashlgn_takes_f1_of_the_means() -> None:
    assert [one.name for one in PROTOCOLS.values() if one.f1_of_means] == ["hashlgn"]


def test_protocols_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol_named("lightgcn").name = "mine"  # type: ignore[misc]


def test_an_unknown_protocol_lists_the_choices() -> None:
    with pytest.raises(UsageError, match=r"'lightgnc'.*one of lightgcn, graphhash") as told:
        protocol_named("lightgnc")
    assert "Did you mean lightgcn?" in str(told.value)
