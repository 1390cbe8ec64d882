from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis import generation
from analysis.findings import Findings


def test_recalls_are_means_over_folds_of_means_over_seeds(folder, run):
    best = Findings(run).best
    table = generation.recalls(run, best)
    assert list(table.index) == list(run.classes)
    raw = pd.read_parquet(folder / "diagnostics.parquet")
    for kind in ("real", "generated"):
        for label in run.classes:
            values = raw[(raw["measure"] == f"recall_{kind}") & (raw["label"] == label)]
            by_fold = [values["value"][values["fold"] == fold].mean() for fold in values["fold"].unique()]
            assert table.loc[label, kind] == pytest.approx(np.mean(by_fold))
            assert table.loc[label, f"{kind}_std"] == pytest.approx(np.std(by_fold, ddof=1))


def test_an_arm_that_generated_nothing_has_no_recalls(run):
    assert generation.recalls(run, "nobody").empty
