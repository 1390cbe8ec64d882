"""What a table is: numbers, and how each of their columns is printed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, NamedTuple

import pandas as pd

from analysis.words import with_spread

#: Lines of a table that are printed at most; the CSV has them all.
MOST = 100


class Column(NamedTuple):
    """A printed column.

    Attributes:
        heading: Its heading.
        text: The text of a row. What a numeric column is sorted by is the first number that its text reads off the
            row, so the number that matters comes first in the text.
        numeric: Whether it holds numbers.
        help: What its heading means; where empty, the words of the heading are looked up in `glossary`.
    """

    heading: str
    text: Callable[[Any], str]
    numeric: bool = True
    help: str = ""


class Cell(NamedTuple):
    """What is printed, and the number behind it as it is; None for text and for what is missing."""

    text: str
    number: float | None = None


def spread_column(
    frame: pd.DataFrame, heading: str, key: str, text: Callable[[float, float], str] = with_spread
) -> Column:
    """The column of a mean, with its spread where there is one: ``KEY`` and ``KEY_fold_std`` of the frame."""
    mean, std = (frame.columns.get_loc(name) for name in (key, f"{key}_fold_std"))
    return Column(heading, lambda row: text(row[mean], row[std]))


class Table(NamedTuple):
    """A table.

    Attributes:
        key: File name without ending.
        title: What it shows.
        note: How its numbers were taken.
        frame: The numbers, one row a line; what the CSV holds.
        columns: What is printed of it.
        printed: Positions of the lines that are printed; None is the first `MOST`. The CSV has them all.
    """

    key: str
    title: str
    note: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]
    printed: tuple[int, ...] | None = None

    def cells(self) -> list[list[str]]:
        """The printed text, row by row."""
        return [[column.text(row) for column in self.columns] for row in self._printed()]

    def lines(self) -> list[list[Cell]]:
        """The printed text and the number behind it, row by row."""
        return [[_cell(column, row) for column in self.columns] for row in self._printed()]

    @property
    def full_note(self) -> str:
        """The note, and how many lines there are where not all are printed."""
        if self.printed is not None or len(self.frame) <= MOST:
            return self.note
        return f"{self.note} The first {MOST} of {len(self.frame):,} lines; the CSV has them all."

    def _printed(self) -> Iterator[Any]:
        lines = self.frame.head(MOST) if self.printed is None else self.frame.iloc[list(self.printed)]
        return iter(lines.itertuples(index=False))


class _Reader:
    """A row that remembers the first number read off it."""

    def __init__(self, row: Any) -> None:
        self._row = row
        self.first: float | None = None

    def __getattr__(self, name: str) -> Any:
        return self._read(getattr(self._row, name))

    def __getitem__(self, place: int) -> Any:
        return self._read(self._row[place])

    def _read(self, value: Any) -> Any:
        if self.first is None and isinstance(value, Real) and not isinstance(value, bool):
            self.first = float(value)
        return value


def _cell(column: Column, row: Any) -> Cell:
    if not column.numeric:
        return Cell(column.text(row))
    reader = _Reader(row)
    text = column.text(reader)
    return Cell(text, reader.first if reader.first is not None and math.isfinite(reader.first) else None)
