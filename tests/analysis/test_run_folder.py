from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.errors import ReportError
from analysis.run import flat, load


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("report")))


def test_tables_are_read_as_written(folder, run):
    raw = pd.read_parquet(folder / "folds.parquet")
    assert run.confusions.shape == (len(raw), 4, 4)
    np.testing.assert_array_equal(run.confusions.reshape(len(raw), -1), np.stack(list(raw["confusion"])))
    curves = pd.read_parquet(folder / "curves.parquet")
    silent = curves["rows"].isna().to_numpy()
    assert silent.any()
    assert np.isnan(run.curve_rows[silent]).all()
    np.testing.assert_array_equal(run.curve_rows[~silent], np.stack(list(curves["rows"][~silent])).astype(float))
    assert run.finished
    assert run.rows[:4] == [("session 1", 0), ("session 1", 1), ("session 1", 2), ("session 2", 0)]


def test_folds_keep_the_order_of_the_protocol(copy):
    provenance = json.loads((copy / "provenance.json").read_text())
    provenance["rows"] = provenance["rows"][::-1]
    (copy / "provenance.json").write_text(json.dumps(provenance))
    assert list(load(copy).folds["fold"].cat.categories) == [f"session {i}" for i in (5, 4, 3, 2, 1)]


def test_an_unfinished_run_says_so(bare_folder):
    run = load(bare_folder)
    assert not run.finished
    assert run.diagnostics.empty
    assert run.embeddings.empty


def test_a_journal_means_unfinished(copy):
    (copy / "journal.jsonl").write_text("")
    assert not load(copy).finished


@pytest.mark.parametrize("name", ["trials", "folds", "curves"])
def test_a_half_written_run_is_refused(copy, name):
    (copy / f"{name}.parquet").unlink()
    with pytest.raises(ReportError, match=rf"{name}\.parquet is not written yet"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("provenance.json", "{", "is not JSON"),
        ("provenance.json", "[]", "holds a list"),
        ("provenance.json", "{}", "key 'corpus' is missing"),
        ("study.yaml", "a: [", "is not YAML"),
        ("study.yaml", "- a", "holds a list"),
        ("trials.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_broken_file_is_named(copy, name, text, message):
    (copy / name).write_text(text)
    with pytest.raises(ReportError, match=message) as error:
        load(copy)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_study_is_named(copy):
    (copy / "study.yaml").unlink()
    with pytest.raises(ReportError, match=r"study\.yaml: there is no such file"):
        load(copy)


def test_a_broken_status_is_no_reason_to_stop(copy):
    (copy / "status.json").write_text("{")
    assert load(copy).status == {}


def test_a_foreign_folder_is_answered_with_the_runs_in_it(folder, tmp_path):
    with pytest.raises(ReportError, match="no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(ReportError, match="not a run folder"):
        load(tmp_path)
    with pytest.raises(ReportError, match=r"did you mean one of the runs in it \(planted\)"):
        load(folder.parent)


def _rewrite(path: Path, change) -> None:
    table = pd.read_parquet(path)
    change(table).to_parquet(path, index=False)


def test_a_missing_column_is_named(copy):
    _rewrite(copy / "folds.parquet", lambda table: table.drop(columns="uar"))
    with pytest.raises(ReportError, match="lacks the column uar"):
        load(copy)


def test_tables_of_two_runs_are_told_apart(copy):
    _rewrite(copy / "folds.parquet", lambda table: table.assign(arm="x"))
    with pytest.raises(ReportError, match="the arm x is not in trials"):
        load(copy)


def test_an_arm_that_stands_twice_is_refused(copy):
    _rewrite(copy / "trials.parquet", lambda table: pd.concat([table, table.head(1)]))
    with pytest.raises(ReportError, match="stands there twice"):
        load(copy)


def test_counts_of_another_number_of_classes_are_refused(copy):
    _rewrite(copy / "folds.parquet", lambda table: table.assign(confusion=[[1, 0, 0, 1]] * len(table)))
    with pytest.raises(ReportError, match="does not hold 4 x 4 counts"):
        load(copy)


def test_rows_of_another_number_are_refused(copy):
    _rewrite(copy / "curves.parquet", lambda table: table.drop(columns="terms").assign(rows=[[0.5]] * len(table)))
    with pytest.raises(ReportError, match="one value for each of the 15 rows"):
        load(copy)


def test_a_config_that_is_no_mapping_is_refused(copy):
    _rewrite(copy / "trials.parquet", lambda table: table.assign(config="[1]"))
    with pytest.raises(ReportError, match="'config' is not a JSON mapping"):
        load(copy)


def test_an_unknown_arm_is_named(run):
    with pytest.raises(ReportError, match="no arm 'nobody'"):
        run.arm("nobody")


def test_flat_joins_paths():
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": 1, "a.c.d": [2], "e": None}


def test_rows_of_arms_that_an_unfinished_run_does_not_count_yet_are_left_out(copy):
    whole = load(copy)
    cut_off = whole.trials["arm"].iloc[-1]
    _rewrite(copy / "trials.parquet", lambda table: table[table["arm"] != cut_off])
    (copy / "journal.jsonl").write_text("")
    found = load(copy)
    assert not found.finished
    assert cut_off not in set(found.folds["arm"]) | set(found.curves["arm"])
    assert len(found.confusions) == len(found.folds)
    assert len(found.curve_rows) == len(found.curves)
    kept = whole.folds["arm"].ne(cut_off).to_numpy()
    assert (found.confusions == whole.confusions[kept]).all()
