"""What is printed of every table, as it was when somebody last looked at it.

The numbers have tests of their own; this one shows, in a diff, what a change does to the pages and papers of others.
After looking: `SWEEPER_GOLDEN=write python -m pytest tests/analysis/test_golden_tables.py`.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import fake_run
import pytest

from analysis import tables
from analysis.findings import Findings
from analysis.run import load

GOLDEN = Path(__file__).parent / "golden"
KEYS = (
    *("best_arms", "optimism", "ablation", "evidence", "baselines", "evidence_baselines", "spread", "stage_gains"),
    *("sensitivity", "recalls", "folds", "speakers"),
)


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> dict[str, str]:
    plan = fake_run.Plan(name="golden", search=6, stopped=2, baselines={"linear": -0.05})
    found = Findings(load(fake_run.write(tmp_path_factory.mktemp("runs") / "golden", plan)))
    return {table.key: _text(table) for table in tables.tables(found)}


def _text(table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.heading for column in table.columns])
    writer.writerows(table.cells())
    return out.getvalue()


@pytest.mark.parametrize("key", KEYS)
def test_a_table_is_printed_as_it_was(printed, key):
    path = GOLDEN / f"{key}.csv"
    if os.environ.get("SWEEPER_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(printed[key], encoding="utf-8")
    assert printed[key] == path.read_text(encoding="utf-8")
