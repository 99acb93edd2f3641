"""Labels: 1 or 0 in every row, from a column of them or from ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from impressions_cases import column

from hashrec.errors import DataError
from hashrec.impressions.labels import label_column, labels


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 0, 1], pa.int64()),
        ([1, 0, 1], pa.uint8()),
        ([1.0, -0.0, 1.0], pa.float32()),
        ([True, False, True], pa.bool_()),
        (["1", "0", "1"], pa.string()),
        (["1.0", " 0 ", "1"], pa.large_string()),
    ],
    ids=str,
)
def test_zeros_and_ones_of_every_type(values: list[Any], kind: Any) -> None:
    found = labels(column(values, kind), None)
    assert (found.dtype, found.tolist()) == (np.float32, [1, 0, 1])
    coded = labels(column(pa.array(values, kind).dictionary_encode()), None)
    assert coded.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("threshold", "expected"), [(4, [0, 1, 1]), (3.5, [0, 1, 1]), (-9, [1, 1, 1]), (9, [0, 0, 0])]
)
def test_ratings_from_the_threshold_on_are_one(threshold: float, expected: list[int]) -> None:
    found = labels(column([3, 4, 5]), threshold)
    assert (found.dtype, found.tolist()) == (np.float32, expected)
    assert labels(column(["3", "4", "5"]), threshold).tolist() == expected


def test_infinite_ratings_have_a_side() -> None:
    values = [float("inf"), float("-inf"), 1e300]
    assert labels(column(values), 0.0).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ([1, 0, 2, -1], r"2 in row 4 \(2 such\)"),
        ([0.5, 1.0], r"0.5 in row 2 \(1 such\)"),
        (["1", "5"], r"5 in row 3 \(1 such\)"),
        ([1.0, float("inf")], r"inf in row 3 \(1 such\)"),
    ],
    ids=str,
)
def test_other_labels_ask_for_a_threshold(values: list[Any], got: str) -> None:
    words = (
        "log.csv, column 'x': labels are 0 or 1; expected 0 or 1 in every row; "
        f"got {got}. Give threshold=... .--threshold.: 1 is what is at least that"
    )
    with pytest.raises(DataError, match=words):
        labels(column(values), None)


@pytest.mark.parametrize(
    "values", [[1, None, 0], [1.0, float("nan")], ["1", ""], [True, None]], ids=str
)
def test_missing_labels_are_called_labels(values: list[Any]) -> None:
    """Bug: they were "missing ratings", to be ignored with rating="none", which nobody can say."""
    words = "column 'x': missing labels; expected a value in every row; got 1 missing, .* in row 3"
    with pytest.raises(DataError, match=words) as caught:
        labels(column(values), None)
    assert "rating" not in str(caught.value)


def test_labels_that_are_text_are_called_labels() -> None:
    """Bug: they were "ratings", to be ignored or renamed with rating=..., which nobody can say."""
    with pytest.raises(DataError, match="column 'x': labels are .*such as 'yes'") as caught:
        labels(column(["1", "yes"]), None)
    assert "rating" not in str(caught.value)


@pytest.mark.parametrize("values", [[1, None], ["4", "good"]], ids=str)
def test_ratings_must_be_there_and_numbers(values: list[Any]) -> None:
    with pytest.raises(DataError, match="log.csv, column 'x': .*(missing|are not numbers)"):
        labels(column(values), 3.0)


@pytest.mark.parametrize(
    "name",
    ["label", "Label", "clicked", "click", "is_click", "isClick", "y", "target", "conversion"],
)
def test_labels_are_known_by_their_name(name: str) -> None:
    assert label_column(["user", name, "item"], None, "log") == name


def test_a_named_label_wins() -> None:
    assert label_column(["label", "click", "bought"], "bought", "log") == "bought"


@pytest.mark.parametrize(
    ("columns", "named", "words"),
    [
        (["user", "item"], None,
         r"^log: no column is known to be the label; got the columns 'user', 'item'\. "
         r"Name it with label=\.\.\. \(--label\), and for ratings add threshold"),
        (["label", "x", "click"], None,
         "log: 2 columns may be the label; got the columns 'label', 'click'.*--label"),
        (["user", "clicks"], "click",
         "log: there is no column 'click'; expected the label column; "
         "got the columns 'user', 'clicks'. Did you mean clicks"),
    ],
    ids=["none", "two", "absent"],
)  # fmt: skip
def test_which_column_is_asked_where_nobody_can_tell(
    columns: list[str], named: str | None, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        label_column(columns, named, "log")


@pytest.mark.parametrize("values", [["True", "False", "True"], ["TRUE", "false", "true"]])
def test_booleans_in_text_are_labels(values: list[str]) -> None:
    """Bug: what a frame says by a boolean, its csv says by True."""
    assert labels(column(values, text=True), None).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="labels are not numbers; expected a number in"):
        labels(column([*values, "yes"], text=True), None)
    with pytest.raises(DataError, match="labels.*missing|missing labels"):
        labels(column([*values, None], text=True), None)
