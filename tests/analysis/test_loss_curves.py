from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis import losses
from analysis.figures import losses as drawing
from analysis.findings import Findings
from analysis.run import load


def test_curves_are_means_over_rows_stage_by_stage(folder, run):
    best = Findings(run).best
    found = losses.curves(run, [best])
    assert [(one.stage, one.term) for one in found] == [
        *(("align", "ser"), ("align", "contrast"), ("generate", "game"), ("augment", "ser")),
    ]
    table = pq.read_table(folder / "curves.parquet").to_pylist()
    raw = [row for row in table if row["arm"] == best and row["stage"] == "align"]
    values = np.array([dict(row["terms"])["contrast"] for row in raw])
    contrast = found[1]
    np.testing.assert_array_equal(contrast.epoch, [row["epoch"] for row in raw])
    np.testing.assert_allclose(contrast.mean, values.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(contrast.std, values.std(axis=1, ddof=1), rtol=1e-6)


def test_arms_come_as_they_were_asked_for(found):
    arms = list(dict.fromkeys(one.arm for one in found.losses))
    assert arms == [found.best, found.paper]
    assert list(dict.fromkeys(one.arm for one in losses.curves(found.run, arms[::-1]))) == arms[::-1]
    assert losses.curves(found.run, ["nobody"]) == losses.curves(found.run, []) == []


def test_a_run_without_terms_has_no_curves(folder, tmp_path, run):
    table = pd.read_parquet(folder / "curves.parquet").drop(columns="terms")
    table.to_parquet(tmp_path / "curves.parquet", index=False)
    assert losses.curves(replace(run, path=tmp_path), [Findings(run).best]) == []


@pytest.mark.parametrize("broken", [None, float("nan"), float("inf")])
def test_what_is_not_finite_is_left_out(tmp_path, broken, monkeypatch):
    def terms(rows, epoch, *names):
        return [(name, [1.0] * (rows - 1) + [broken if epoch == 2 else 1.0]) for name in names]

    monkeypatch.setattr(fake_run, "_terms", terms)
    plan = fake_run.Plan(search=0, ablation={}, control={}, sensitivity={}, embeddings=False)
    found = Findings(load(fake_run.write(tmp_path / "run", plan)))
    assert all((one.mean == 1).all() and (one.std == 0).all() for one in found.losses)
    assert found.losses[0].epoch.tolist() == list(range(1, 9))


def test_a_panel_each_and_a_log_scale_where_a_term_falls_far(found, monkeypatch):
    epochs = np.arange(1.0, 9)
    steep = losses.LossCurve("a", "align", "steep", epochs, 10.0 ** -np.arange(8), np.full(8, np.nan))
    monkeypatch.setitem(found.__dict__, "losses", [*found.losses, steep._replace(arm=found.best)])
    drawn = drawing.losses(found)
    scales = {axes.get_title(loc="left"): axes.get_yscale() for axes in drawn.figure.axes if axes.get_visible()}
    assert scales == {
        **dict.fromkeys(["align: ser", "align: contrast", "generate: game", "augment: ser"], "linear"),
        "align: steep": "log",
    }
