from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import generation, projection
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


def test_measures_keep_to_their_order_and_ceiling(run):
    found = {one.measure: one for one in generation.measures(run, Findings(run).best)}
    assert list(found) == list(generation.MEASURES)
    assert found["mi_y"].ceiling == pytest.approx(np.log(4))
    assert found["mi_y"].value < found["mi_y"].ceiling
    assert found["spread_ratio"].value == pytest.approx(0.4, abs=0.02)


def test_an_arm_that_generated_nothing_has_no_measures(run):
    assert generation.measures(run, "nobody") == []
    assert generation.recalls(run, "nobody").empty


def test_the_projection_keeps_kinds_and_labels_and_repeats(run):
    best = Findings(run).best
    one, again = (projection.project(run, best, np.random.default_rng(3)) for _ in range(2))
    assert one.points.shape == (320, 2)
    assert np.isfinite(one.points).all()
    np.testing.assert_array_equal(one.points, again.points)
    assert sorted(set(one.kinds)) == ["generated", "real"]
    # Classes were planted far apart: every point's nearest neighbour is of its own class.
    gaps = np.linalg.norm(one.points[:, None] - one.points[None], axis=-1) + np.diag(np.full(320, np.inf))
    assert (one.labels[gaps.argmin(axis=1)] == one.labels).mean() > 0.95


def test_many_vectors_are_thinned_and_broken_ones_left_out(run, monkeypatch):
    monkeypatch.setattr(projection, "MOST", 30)
    best = Findings(run).best
    one = projection.project(run, best, np.random.default_rng(0))
    assert [(one.kinds == kind).sum() for kind in ("real", "generated")] == [30, 30]
    real = run.embeddings["kind"] == "real"
    broken = run.embeddings.assign(
        vector=[np.full(16, np.nan) if bad else v for bad, v in zip(real, run.embeddings["vector"], strict=True)]
    )
    assert projection.project(replace(run, embeddings=broken), best, np.random.default_rng(0)) is None


def test_one_kind_alone_is_no_picture(run):
    real = replace(run, embeddings=run.embeddings[run.embeddings["kind"] == "real"])
    assert projection.project(real, Findings(run).best, np.random.default_rng(0)) is None
    assert projection.project(run, "nobody", np.random.default_rng(0)) is None
