"""Every number of a report as plain JSON values, for other tools; nothing is drawn for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

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


def read(runs: Sequence[str | Path]) -> dict[str, Any]:
    """Every number of the report of some runs.

    Args:
        runs: Run folders.

    Returns:
        See `numbers`.

    Raises:
        ReportError: If there is no run, or one cannot be read.
    """
    if not runs:
        raise ReportError("report: no run was given; give the folder of a run, such as runs/NAME")
    return numbers([Findings(load(path)) for path in runs])


def numbers(found: Sequence[Findings], made: Sequence[Sequence[Table]] | None = None) -> dict[str, Any]:
    """Every number of the report of some runs, as values that JSON has.

    Shares such as UAR are in [0, 1], differences of them too (0.012 is 1.2 points); a number that is missing or
    cannot be computed is None. Test numbers of arms that were neither chosen on dev nor fixed beforehand are not
    there, as they are not on the page.

    Args:
        found: Of each run.
        made: The tables of each run, where they are there already.

    Returns:
        ``format``: `FORMAT`. ``runs``: a mapping for each, in the order given, with the keys of
        `analysis.summary.summary`, and

        - ``path``: the run folder; ``classes``: in the order of the confusion counts;
        - ``protocol``, ``selection``, ``provenance``: text by what it is about;
        - ``confusion``: by test condition, utterances of the best arm over all folds and seeds, shape (C, C),
          truth first;
        - ``tables``: by key, each with ``title``, ``note``, ``columns`` (``heading`` and ``help`` of what is printed)
          and ``records``, all lines of the table with its raw values by name. These are the columns of the CSV.

        ``comparison``: with several runs, tables in the same form that set them side by side; else None.
    """
    made = [tables(one) for one in found] if made is None else made
    return {
        "format": FORMAT,
        "runs": [_run(one, its) for one, its in zip(found, made, strict=True)],
        "comparison": _tables(comparisons(found)) if len(found) > 1 else None,
    }


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
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) and value == value else str(value)
