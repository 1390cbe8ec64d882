from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pytest

from analysis import by_arm, diagnostics, tables
from analysis.findings import Findings


def test_words_come_from_the_run(several):
    assert list(diagnostics.words(several)) == ["recovery_error", "spread", "recall"]
    assert diagnostics.words(several)["spread"] == ("Spread", "spread of the latents; 0 is collapse")


def test_a_run_of_before_words_were_recorded_has_those_of_its_method(run):
    assert "measures" not in run.provenance["method"]
    titles = {one.measure: one.title for one in diagnostics.measures(run, Findings(run).best)}
    assert titles["spread_ratio"] == "Spread ratio"
    assert list(titles) == [*list(diagnostics.words(run))[:5], "recall_real", "recall_generated"]


def test_measures_are_means_over_folds_of_means_over_seeds(several):
    best = Findings(several).best
    rows = several.diagnostics[(several.diagnostics["arm"] == best) & (several.diagnostics["measure"] == "spread")]
    by_fold = [rows["value"][rows["fold"] == fold].mean() for fold in rows["fold"].unique()]
    one = next(one for one in diagnostics.measures(several, best) if one.measure == "spread")
    assert one.value == pytest.approx(np.mean(by_fold))
    assert one.fold_std == pytest.approx(np.std(by_fold, ddof=1))
    assert diagnostics.measures(several, "nobody") == []


def test_classes_keep_the_corpus_order_and_what_has_no_words_comes_last(several):
    best = Findings(several).best
    odd = several.diagnostics[several.diagnostics["measure"] == "spread"].assign(measure="a_new_one")
    found = diagnostics.measures(replace(several, diagnostics=pd.concat([odd, several.diagnostics])), best)
    assert [one.label for one in found if one.measure == "recall"] == list(several.classes)
    assert (found[-1].title, found[-1].meaning) == ("a_new_one", "")


def test_arms_are_measured_side_by_side_classes_averaged(several):
    found = Findings(several)
    frame = by_arm.diagnostics(found).frame
    assert set(frame["row"]) == {f"{found.name(found.best)} (best, reference)", fake_run.USEFUL, fake_run.USELESS} | {
        "Real features twice (no generation)"
    }
    mine = several.diagnostics[
        (several.diagnostics["arm"] == found.best) & (several.diagnostics["measure"] == "recall")
    ]
    assert frame["recall"].iloc[0] == pytest.approx(mine["value"].mean())
    assert frame["spread"].is_monotonic_increasing


def test_one_measured_arm_has_its_words_and_no_table_of_arms(found):
    table = tables.diagnostics(found)
    assert table.title == f"Measured of {found.name(found.best)}"
    assert by_arm.diagnostics(found) is None
