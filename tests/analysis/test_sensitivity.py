from __future__ import annotations

import json
import math
from dataclasses import replace

import fake_run
import numpy as np
import pytest

from analysis import sensitivity
from analysis.figures.sensitivity import sensitivity as figure
from analysis.findings import Findings
from analysis.run import load


@pytest.fixture(scope="module")
def curves(run):
    return {curve.parameter: curve for curve in sensitivity.curves(run)}


def test_the_references_own_value_is_a_point(run, curves):
    reference = Findings(run).reference
    for path, curve in curves.items():
        (own,) = [point for point in curve.points if point.is_reference]
        assert own.value == run.arm(reference)["config"][path]
        assert own.change == 0
        assert own.test == pytest.approx(Findings(run).number(reference, "uar"))


def test_points_are_in_order_and_changes_are_paired(run, curves):
    found = Findings(run)
    alpha = curves["align.alpha"]
    assert alpha.log
    assert [point.value for point in alpha.points if not point.is_reference] == [0.0, 0.1, 0.3, 3.0, 10.0]
    positions = [point.position for point in alpha.points]
    assert positions == sorted(positions)
    assert [p for v, p in zip(alpha.points, positions, strict=True) if v.value == 10.0] == [1.0]
    reference = found.number(found.reference, "uar")
    for point in alpha.points:
        assert point.change == pytest.approx(point.test - reference, abs=1e-12)
        assert np.mean(point.fold_changes) == pytest.approx(point.change, abs=1e-12)


def test_planted_harm_is_seen_and_the_robust_range_leaves_it_out(curves):
    alpha, depth = curves["align.alpha"], curves["generate.depth"]
    assert {p.value: p.verdict for p in alpha.points}[0.0] == "hurts"
    assert alpha.robust == (0.3, 3.0)
    assert not depth.log
    assert {p.value: p.verdict for p in depth.points}[3] == "hurts"
    assert depth.robust == (1, 2)


def test_a_point_that_was_an_ablation_row_is_not_lost(run):
    """Equal configs are run once: where an ablation row is the grid point, the curve takes it from there."""
    arm = run.trials[(run.trials["parameter"] == "align.alpha") & (run.trials["value"] == "0.0")].iloc[0]
    mine = run.trials["arm"] == arm["arm"]
    trials = run.trials.assign(
        kind=run.trials["kind"].mask(mine, "ablation"),
        parameter=run.trials["parameter"].mask(mine, ""),
        value=run.trials["value"].mask(mine, ""),
    )
    (alpha,) = [c for c in sensitivity.curves(replace(run, trials=trials)) if c.parameter == "align.alpha"]
    assert alpha.points[0].value == 0.0
    assert alpha.points[0].change == pytest.approx(-0.05, abs=0.02)


def test_a_stopped_point_has_no_test_number(run):
    mine = (run.trials["parameter"] == "align.alpha") & (run.trials["value"] == "10.0")
    stopped = replace(run, trials=run.trials.assign(status=run.trials["status"].mask(mine, "stopped")))
    (alpha,) = [c for c in sensitivity.curves(stopped) if c.parameter == "align.alpha"]
    assert math.isnan(alpha.points[-1].test)
    assert alpha.points[-1].status == "stopped"
    assert alpha.robust == (0.3, 3.0)


def test_named_choices_have_places_but_no_range(run):
    mine = run.trials["parameter"] == "generate.depth"
    values = run.trials["value"].mask(mine, '"saturating"')
    configs = [{**c, "generate.depth": "non-saturating"} for c in run.trials["config"]]
    trials = run.trials.assign(value=values, config=configs)[~mine | ~run.trials["value"].eq("3")]
    changed = replace(run, trials=trials)
    (choice,) = [c for c in sensitivity.curves(changed) if c.parameter == "generate.depth"]
    assert choice.robust is None
    assert {point.value for point in choice.points} == {"saturating", "non-saturating"}
    assert sorted(point.position for point in choice.points) == [0.0, 1.0]
    assert json.dumps([point.value for point in choice.points])


def test_no_sensitivity_no_curves(bare_folder):
    assert sensitivity.curves(load(bare_folder)) == []


def test_spread_is_that_of_the_tested_means(curves):
    alpha = curves["align.alpha"]
    tested = [point.test for point in alpha.points]
    assert sensitivity.spread(alpha) == pytest.approx(max(tested) - min(tested))
    alone = alpha._replace(points=tuple(p for p in alpha.points if p.is_reference))
    assert math.isnan(sensitivity.spread(alone))


def test_a_single_seed_and_fold_still_give_a_curve(tmp_path):
    plan = fake_run.Plan(folds=1, seeds=(0,), search=2, stopped=0, failed=0, flagged=0)
    for curve in sensitivity.curves(load(fake_run.write(tmp_path / "run", plan))):
        assert all(not math.isnan(point.change) for point in curve.points)
        assert {point.verdict for point in curve.points} == {"too few folds to tell", "the reference"}


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([0.0, 0.25, 0.5, 0.75, 1.0], False),
        ([0.05, 0.25, 0.5, 0.75, 1.0], False),
        ([0.01, 0.1, 1.0], True),
        ([0.0, 0.01, 0.1, 1.0, 10.0], True),
        ([64, 256, 1024, 4096], True),
        ([500, 1000, 2000, 5000], False),
    ],
)
def test_amounts_in_equal_steps_stand_on_a_plain_scale(run, values, log):
    assert sensitivity._is_log(run, "data.unlabeled_amount", values) is log


def test_seeds_spread_apart_from_folds(run, curves):
    """Against the definition: the standard deviation over seeds in each fold, root mean square over folds."""
    found = Findings(run)
    arm = run.trials[(run.trials["parameter"] == "align.alpha") & (run.trials["value"] == "10.0")]["arm"].iloc[0]
    rows = run.folds[run.folds["final"] & (run.folds["split"] == "test")].set_index(["arm", "fold", "seed"])["uar"]
    change = (rows[arm] - rows[found.reference]).unstack("seed")
    point = curves["align.alpha"].points[-1]
    assert point.seed_std == pytest.approx(math.sqrt(change.var(axis=1, ddof=1).mean()))
    assert point.fold_std == pytest.approx(change.mean(axis=1).std(ddof=1))


def test_one_seed_has_no_spread_over_seeds(tmp_path):
    plan = fake_run.Plan(folds=3, seeds=(0,), search=2, stopped=0, failed=0, flagged=0)
    found = Findings(load(fake_run.write(tmp_path / "run", plan)))
    assert all(math.isnan(p.seed_std) or p.is_reference for curve in found.sensitivity for p in curve.points)
    assert "seeds within" not in figure(found).caption


def test_reach_of_a_range_around_the_references_value(curves):
    alpha = sensitivity.reach(curves["align.alpha"])
    own = next(point.value for point in curves["align.alpha"].points if point.is_reference)
    assert (alpha.reference, alpha.robust_low, alpha.robust_high) == (own, 0.3, 3.0)
    assert alpha.spread == sensitivity.spread(curves["align.alpha"])
    assert (alpha.open_low, alpha.open_high) == (False, False)
    assert alpha.factor_high == pytest.approx(3.0 / own)


def test_a_range_that_ends_where_the_tests_end_is_open_but_for_a_weight_of_0(curves):
    alpha = curves["align.alpha"]
    all_fine = sensitivity.reach(alpha._replace(robust=(0.0, 10.0)))
    assert (all_fine.open_low, all_fine.open_high) == (False, True)
    assert all_fine.factor_low == 0
    named = sensitivity.reach(alpha._replace(robust=None))
    assert (named.robust_low, named.open_low) == (None, False)
    assert math.isnan(named.factor_low)
