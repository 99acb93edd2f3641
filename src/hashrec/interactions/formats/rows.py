"""Rows of separated fields: the reader under csv, tsv, RecBole and MovieLens alike.

A log of interactions is read a column a pass over the file: parsing is cheap beside keeping several
columns of text in memory at once. Of a log of many columns a few are read in each pass.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv

from hashrec.errors import DataError
from hashrec.interactions.formats.opening import not_utf8
from hashrec.interactions.formats.source import damaged

__all__ = ["Rows"]

_UNCLOSED = "look for a quotation mark that is opened and never closed"


@dataclass(frozen=True)
class Rows:
    """How the fields of a file are laid out.

    Attributes:
        name: what messages call the file.
        open: gives its bytes, unpacked, as an Arrow stream.
        separator: one character.
        n_columns: fields in every row.
        n_skip: rows before the data.
        quoted: fields may stand in quotation marks. Where none do, saying so makes Arrow read on
            all threads, several times faster.
    """

    name: str
    open: Callable[[], Any]
    separator: str
    n_columns: int
    n_skip: int
    quoted: bool

    def read(self, *columns: int) -> list[Any]:
        """Each column as pa.ChunkedArray of strings; a field with nothing in it is null."""
        try:
            with damaged(self.name, "the file cannot be read", "check that it is whole"):
                return self._parse(columns, None)
        except DataError as error:
            fault = error.__cause__
            if isinstance(fault, pa.ArrowInvalid):
                raise self._explained(columns, fault) from fault
            raise

    def _parse(self, columns: tuple[int, ...], on_bad_row: Any) -> list[Any]:
        wanted = [str(column) for column in columns]
        with self.open() as file:
            table = pa.csv.read_csv(
                file,
                read_options=pa.csv.ReadOptions(
                    # Numbers for names: headers may repeat, and Arrow would take the first.
                    column_names=[str(at) for at in range(self.n_columns)],
                    skip_rows_after_names=self.n_skip,
                    use_threads=on_bad_row is None,
                ),
                parse_options=pa.csv.ParseOptions(
                    delimiter=self.separator,
                    quote_char='"' if self.quoted else False,
                    newlines_in_values=self.quoted,
                    invalid_row_handler=on_bad_row,
                ),
                convert_options=pa.csv.ConvertOptions(
                    include_columns=wanted,
                    column_types=dict.fromkeys(wanted, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        return list(table.columns)

    def _explained(self, columns: tuple[int, ...], fault: Exception) -> DataError:
        if "UTF8" in str(fault):
            return not_utf8(self.name, str(fault))
        bad = self._first_bad_row(columns)
        if bad is None:
            return DataError(
                "the rows cannot be told apart",
                name=self.name,
                got=str(fault),
                fix=_UNCLOSED,
            )
        return DataError(
            f"row {bad.number} has {bad.actual_columns} fields",
            name=self.name,
            expected=f"{bad.expected_columns}, as in the first row",
            got=repr(bad.text[:80]),
            fix=_UNCLOSED
            if "\n" in bad.text
            else "mend that row, or put quotation marks around fields that hold the separator",
        )

    def _first_bad_row(self, columns: tuple[int, ...]) -> Any:
        """The row that broke the parser: read again on one thread, which counts rows."""
        bad: list[Any] = []

        def keep(row: Any) -> str:
            bad.append(row)
            return "error"

        with suppress(pa.ArrowInvalid):
            self._parse(columns, keep)
        return bad[0] if bad else None
