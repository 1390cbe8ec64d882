from __future__ import annotations

import math

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis import files, glossary
from analysis.findings import Findings
from analysis.table import MOST, Column, Table, spread_column
from analysis.tables import tables
from analysis.words import change, interval, share, with_spread


def table(frame: pd.DataFrame, *columns: Column, printed: tuple[int, ...] | None = None) -> Table:
    return Table("key", "Title", "Note.", frame, columns, printed)


FRAME = pd.DataFrame({"name": ["a", "b"], "uar": [0.60349, math.nan], "uar_fold_std": [0.02, 0.01], "n": [1200, 3]})


def test_a_number_is_the_raw_one_behind_the_text():
    made = table(
        FRAME,
        Column("Name", lambda r: r.name, numeric=False),
        Column("UAR", lambda r: with_spread(r.uar, r.uar_fold_std)),
        Column("n", lambda r: f"{r.n:,}"),
        spread_column(FRAME, "same", "uar"),
        Column("n as text", lambda r: f"{r.n:,}", numeric=False),
        Column("marked", lambda r: change(r.uar) + (" †" if r.name == "a" else "")),
    )
    first, second = made.lines()
    assert [cell.number for cell in first] == [None, 0.60349, 1200.0, 0.60349, None, 0.60349]
    assert [cell.number for cell in second] == [None, None, 3.0, None, None, None]
    assert [[cell.text for cell in line] for line in made.lines()] == made.cells()
    assert first[1].text == "60.3 ± 2.0"


@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats()), min_size=1, max_size=6))
def test_sorting_by_the_number_is_sorting_by_the_frame(rows):
    frame = pd.DataFrame(rows, columns=["low", "high"])
    (column,) = zip(*table(frame, Column("Interval", lambda r: interval(r.low, r.high))).lines(), strict=True)
    np.testing.assert_array_equal(np.argsort([c.number for c in column]), np.argsort(frame["low"].to_numpy()))


def test_choices_and_truths_are_no_numbers():
    frame = pd.DataFrame({"flag": [True], "value": ["wide"], "score": [0.5]}).astype({"value": object})
    ((cell,),) = table(frame, Column("x", lambda r: f"{r.flag} {r.value} {share(r.score)}")).lines()
    assert cell.number == 0.5


def test_only_printed_lines_are_printed():
    made = table(FRAME, Column("Name", lambda r: r.name, numeric=False), printed=(1,))
    assert made.cells() == [["b"]]
    assert len(made.lines()) == 1


def test_long_tables_are_cut_and_say_so():
    frame = pd.DataFrame({"x": range(MOST + 1)})
    long, short = (table(lines, Column("x", lambda r: f"{r.x}")) for lines in (frame, frame.head(MOST)))
    assert len(long.cells()) == len(long.lines()) == len(short.cells()) == MOST
    assert long.full_note == "Note. The first 100 of 101 lines; the CSV has them all."
    assert short.full_note == "Note."
    assert "of 101 lines" in files.latex(long)
    assert files.csv(long).count("\n") == MOST + 2


def test_numeric_columns_of_a_report_can_be_sorted(run):
    """Every numeric column has a number behind every text that is not empty or missing."""
    for made in tables(Findings(run)):
        for line in made.lines():
            for column, cell in zip(made.columns, line, strict=True):
                if column.numeric and cell.text not in ("", "—"):
                    assert cell.number is not None, (made.key, column.heading, cell.text)


def test_headings_are_explained_by_their_words():
    assert glossary.explain("Test UAR, %").startswith("UAR: unweighted average recall")
    assert "; test: " in glossary.explain("Test UAR, %")
    assert glossary.explain("Row") == ""
    used = glossary.words([table(FRAME, Column("WAR, %", str), Column("p (Holm)", str))])
    assert [word for word, _ in used] == ["WAR", "p (Holm)"]
