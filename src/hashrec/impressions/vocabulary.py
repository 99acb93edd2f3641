"""Words as tokens: small whole numbers, with one for what was never met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashrec.errors import DataError
from hashrec.impressions.field import Field
from hashrec.impressions.values import Bags, Values, Words

__all__ = ["NOTHING", "Vocabulary"]

Tokens = npt.NDArray[np.int32]

NOTHING = -1  # the token of an empty place
_UNKNOWN = 0


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The words of one field that a model knows.

    Token 0 is of all other words, 1 to `len(words)` are of `words`, and where `missing` the last
    is of rows without a word; without it they are as unknown as a new word. A row of several words
    has `width` places, the unused ones -1.

    Attributes:
        field: categorical or multi. words: (n,) pa.StringArray, ascending.
        width: tokens a row: 1 for a categorical field. missing: as above.
    """

    field: Field
    words: Any
    width: int = 1
    missing: bool = False

    @classmethod
    def of(cls, field: Field, values: Values, *, min_count: int, widest: int) -> Vocabulary:
        """The words that occur in at least `min_count` of these rows; bags are cut to `widest`.

        Raises DataError for a field that says nothing: one value in every row, or none often
        enough.
        """
        assert isinstance(values, Words | Bags)
        counts = _rows_with(values)
        kept = np.flatnonzero(counts >= min_count)
        if not len(kept):
            raise _says_nothing(field, f"no value in {min_count} rows or more",
                                "lower fields.min_count")  # fmt: skip
        words = values.known.take(pa.array(kept))
        words = words.take(pc.sort_indices(words))
        everywhere = len(kept) == 1 and counts.sum() == counts[kept[0]] == len(values)
        if everywhere:
            raise _says_nothing(field, f"{words[0].as_py()!r} in every row")
        if isinstance(values, Bags):
            longest = int(np.diff(values.offsets).max(initial=1))
            return cls(field, words, min(max(longest, 1), widest))
        return cls(field, words, 1, int((values.codes < 0).sum()) >= min_count)

    def __len__(self) -> int:
        """How many tokens there are, the unknown one and that of missing words included."""
        return 1 + len(self.words) + self.missing

    @property
    def nothing_known(self) -> Tokens:
        """(width,) the tokens of a row of which nothing is known."""
        row = np.full(self.width, NOTHING, dtype=np.int32)
        if self.field.kind == "categorical":
            row[0] = len(self) - 1 if self.missing else _UNKNOWN
        return row

    def tokens(self, values: Values) -> Tokens:
        """(n, width) int32."""
        assert isinstance(values, Words | Bags)
        found = pc.index_in(values.known, value_set=self.words)
        token = pc.fill_null(found, _UNKNOWN - 1).to_numpy().astype(np.int32) + np.int32(1)
        if isinstance(values, Words):
            return np.append(token, self.nothing_known)[values.codes][:, None]
        rows = np.full((len(values), self.width), NOTHING, dtype=np.int32)
        lengths = np.diff(values.offsets)
        place = np.arange(len(values.codes)) - np.repeat(values.offsets[:-1], lengths)
        row = np.repeat(np.arange(len(values)), lengths)
        inside = place < self.width
        rows[row[inside], place[inside]] = token[values.codes[inside]]
        return rows

    def scalars(self) -> dict[str, Any]:
        """JSON-ready: with `words`, all that makes it again."""
        return {"field": self.field.to_dict(), "width": self.width, "missing": self.missing}

    @classmethod
    def restore(cls, scalars: Mapping[str, Any], words: Any) -> Vocabulary:
        return cls(Field.from_dict(scalars["field"]), words, scalars["width"], scalars["missing"])


def _rows_with(values: Words | Bags) -> npt.NDArray[np.int64]:
    """(words,) in how many rows each word stands, however often."""
    n = max(len(values.known), 1)
    if isinstance(values, Bags):
        row = np.repeat(np.arange(len(values)), np.diff(values.offsets))
        codes = np.unique(row * n + values.codes) % n
    else:
        codes = values.codes[values.codes >= 0]
    return np.bincount(codes, minlength=len(values.known)).astype(np.int64)


def _says_nothing(field: Field, got: str, otherwise: str = "") -> DataError:
    fix = "leave it out with ignore=... (--ignore)" + (f", or {otherwise}" if otherwise else "")
    return DataError("a field that says nothing", name=field.name,
                     expected="at least two values", got=got, fix=fix)  # fmt: skip
