"""What a table is: numbers, and how each of their columns is printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from analysis.words import with_spread


class Column(NamedTuple):
    """A printed column: heading, the text of a row, and whether it holds numbers."""

    heading: str
    text: Callable[[Any], str]
    numeric: bool = True


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
    """

    key: str
    title: str
    note: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]

    def cells(self) -> list[list[str]]:
        """The printed text, row by row."""
        return [[c.text(row) for c in self.columns] for row in self.frame.itertuples(index=False)]
