"""Every number of a report as plain JSON values, for other tools; nothing is drawn for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis import glossary
from analysis.errors import ReportError
from analysis.findings import Findings
from analysis.protocol import protocol_lines, provenance_lines, selection_lines
from analysis.run import load
from analysis.side_by_side import comparisons
from analysis.summary import summary_of
from analysis.table import Table
from analysis.tables import tables

#: Raised when a key changes its meaning or goes; new keys do not raise it.
FORMAT = 1


def findings(runs: Sequence[str | Path]) -> list[Findings]:
    """What is to be said of some runs.

    Raises:
        ReportError: If there is no run, or one cannot be read.
    """
    if not runs:
        raise ReportError("report: no run was given; give the folder of a run, such as runs/NAME")
    return [Findings(load(path)) for path in runs]


class Counted(NamedTuple):
    """All tables of a report, which the page and the JSON share.

    Attributes:
        found: Of each run.
        tables: Of each run.
        comparison: Of the runs side by side; empty for one.
    """

    found: Sequence[Findings]
    tables: list[list[Table]]
    comparison: list[Table]

    @classmethod
    def of(cls, found: Sequence[Findings]) -> Counted:
        """Count all there is."""
        return cls(found, [tables(one) for one in found], comparisons(found) if len(found) > 1 else [])

    def plain(self) -> dict[str, Any]:
        """Every number of the report, as values that JSON has.

        Shares such as UAR are in [0, 1], differences of them too (0.012 is 1.2 points); a number that is missing or
        cannot be computed is None. Test numbers of arms that were neither chosen on dev nor fixed beforehand are not
        there, as they are not on the page.

        Returns:
            ``format``: `FORMAT`. ``runs``: a mapping for each, in the order given, with the keys of
            `analysis.summary.summary`, and

            - ``path``: the run folder; ``classes``: in the order of the confusion counts;
            - ``protocol``, ``selection``, ``provenance``: text by what it is about;
            - ``confusion``: by test condition, utterances of the best arm over all folds and seeds, shape (C, C),
              truth first;
            - ``tables``: by key, each with ``title``, ``note``, ``columns`` (``heading`` and ``help`` of what is
              printed) and ``records``, all lines of the table with its raw values by name: the columns of the CSV.

            ``comparison``: tables in the same form that set several runs side by side; empty for one.
        """
        return {
            "format": FORMAT,
            "runs": [_run(one, made) for one, made in zip(self.found, self.tables, strict=True)],
            "comparison": _tables(self.comparison),
        }


def read(runs: Sequence[str | Path]) -> dict[str, Any]:
    """Every number of the report of some runs, see `Counted.plain`; nothing is drawn or written.

    Raises:
        ReportError: If there is no run, or one cannot be read.
    """
    return Counted.of(findings(runs)).plain()


def _run(found: Findings, made: Sequence[Table]) -> dict[str, Any]:
    return {
        **summary_of(found),
        "path": str(found.run.path),
        "classes": list(found.run.classes),
        "protocol": dict(protocol_lines(found)),
        "selection": dict(selection_lines(found)),
        "provenance": dict(provenance_lines(found)),
        "confusion": {name: counts.tolist() for name, counts in found.confusions.items()},
        "tables": _tables(made),
    }


def _tables(made: Sequence[Table]) -> dict[str, Any]:
    return {table.key: _table(table) for table in made}


def _table(table: Table) -> dict[str, Any]:
    headings = [column.heading for column in table.columns]
    explained = [column.help or glossary.explain(column.heading) for column in table.columns]
    return {
        "title": table.title,
        "note": table.note,
        "columns": [{"heading": heading, "help": text} for heading, text in zip(headings, explained, strict=True)],
        "records": [plain(record) for record in table.frame.to_dict("records")],
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: missing and infinite numbers as None, numpy's as Python's, all else as text."""
    if isinstance(value, str | bool):
        return value
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else str(value)
