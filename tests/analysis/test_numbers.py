from __future__ import annotations

import json
import math

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import numbers
from analysis.errors import ReportError
from analysis.findings import Findings
from analysis.tables import tables


@pytest.fixture(scope="module")
def read(folder) -> dict:
    return json.loads(json.dumps(numbers.read([folder]), allow_nan=False))


def test_every_table_is_there_with_its_raw_values(read, run):
    (one,) = read["runs"]
    made = tables(Findings(run))
    assert list(one["tables"]) == [table.key for table in made]
    for table in made:
        records = one["tables"][table.key]["records"]
        assert len(records) == len(table.frame)
        assert [list(record) for record in records[:1]] == [list(map(str, table.frame.columns))]
        for name in table.frame.select_dtypes("number"):
            there = [math.nan if record[name] is None else record[name] for record in records]
            np.testing.assert_allclose(there, table.frame[name].to_numpy(float))


def test_the_summary_comes_with_it(read, folder, run):
    (one,) = read["runs"]
    assert read["format"] == numbers.FORMAT
    assert read["comparison"] == {}
    assert one["path"] == str(folder)
    assert one["best"]["arm"] == Findings(run).best
    assert sum(map(sum, one["confusion"]["audio"])) == 5 * 3 * 4 * 60
    assert one["protocol"]["Protocol"].startswith("leave-one-session-out")


def test_headings_are_explained(read):
    columns = read["runs"][0]["tables"]["ablation"]["columns"]
    help_of = {column["heading"]: column["help"] for column in columns}
    assert help_of["p (Holm)"].startswith("p (Holm): ")
    assert help_of["Row"] == ""


def test_nothing_of_search_arms_on_test(read):
    records = read["runs"][0]["tables"]["best_arms"]["records"]
    hidden = [record for record in records if record["kind"] == "search" and not record["chosen"]]
    assert hidden
    assert all(value is None for record in hidden for key, value in record.items() if key.startswith("test_"))


def test_an_unfinished_run_and_several(bare_folder, folder):
    read = numbers.read([bare_folder, folder])
    json.dumps(read, allow_nan=False)
    assert [one["finished"] for one in read["runs"]] == [False, True]
    assert len(read["comparison"]["comparison"]["records"]) == 2


def test_no_run():
    with pytest.raises(ReportError, match="no run was given"):
        numbers.read([])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(VALUES)
def test_plain_values_are_json_and_stay_what_they_are(value):
    made = numbers.plain(value)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert numbers.plain(made) == made
    if isinstance(value, str | bool | int):
        assert made == value


def test_values_of_libraries_become_plain():
    given_ = {
        "a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": np.nan, "e": -np.inf, "f": pd.NaT,
        "g": np.array([1.0, np.nan]), "h": pd.Timestamp("2024-05-06"), 7: ("x", None), "i": pd.NA,
    }  # fmt: skip
    assert numbers.plain(given_) == {
        "a": 0.5, "b": 3, "c": True, "d": None, "e": None, "f": None,
        "g": [1.0, None], "h": "2024-05-06T00:00:00", "7": ["x", None], "i": None,
    }  # fmt: skip
    assert numbers.plain(fake_run.Plan) == str(fake_run.Plan)
