from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from analysis import stages
from analysis.findings import Findings


def test_the_gain_is_that_of_the_same_rows(folder, run):
    best = Findings(run).best
    (gain,) = stages.gains(run, [best])
    raw = pd.read_parquet(folder / "folds.parquet")
    raw = raw[(raw["arm"] == best) & (raw["split"] == "test")]
    wide = raw.pivot_table(index=["fold", "seed"], columns="stage", values="uar")
    assert gain.estimate.difference == pytest.approx((wide["augment"] - wide["align"]).mean())
    assert (gain.before, gain.after, gain.condition) == ("align", "augment", "audio")
    assert gain.verdict == "helps"
    assert gain.uar_after - gain.uar_before == pytest.approx(gain.estimate.difference)


def test_stages_that_share_no_condition_are_not_compared(run):
    """A last stage that sees the text gains from the text: that is no gain of augmentation."""
    condition = run.folds["condition"].astype(str).mask(run.folds["final"], "audio+text")
    assert stages.gains(replace(run, folds=run.folds.assign(condition=condition)), [Findings(run).best]) == []


def test_one_stage_has_no_gain(run):
    assert stages.gains(replace(run, folds=run.folds[run.folds["final"]]), [Findings(run).best]) == []


def test_the_report_shows_the_gain_of_the_controls_beside(found):
    names = [gain.name for gain in found.gains]
    assert names[0] == found.name(found.best)
    assert "Real features twice (no generation)" in names
    assert len(names) == len(set(names))


def test_the_last_earlier_stage_is_the_one_before(run):
    early = run.curves[run.curves["stage"] == "align"].assign(stage="warm-up")
    longer = replace(run, curves=pd.concat([early, run.curves]))
    arm = Findings(run).best
    assert stages.stage_order(longer, arm, ["align", "warm-up"]) == ["warm-up", "align"]
