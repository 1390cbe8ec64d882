from __future__ import annotations

from dataclasses import replace

import numpy as np
import planted_search
import pytest

from analysis.figures import parallel, rungs, search
from analysis.findings import Findings
from analysis.run import load


def _found(run, **plan) -> Findings:
    return Findings(planted_search.searched(run, planted_search.Search(**plan)))


def test_parallel_lines_are_the_arms_by_score(found):
    lines = parallel.numbers(found)
    assert [axis.path for axis in lines.axes] == ["align.alpha", "align.temperature"]
    assert (np.diff(lines.score) >= 0).all()
    assert (lines.done.sum(), len(lines.score), lines.best.sum()) == (7, 11, 1)
    best = found.run.arm(found.best)
    assert lines.score[lines.best] == best["score"]
    expected = [axis.places([best["config"][axis.path]])[0] for axis in lines.axes]
    np.testing.assert_allclose(lines.places[lines.best][0], expected)


def test_of_many_lines_the_best_are_always_drawn(run, monkeypatch):
    monkeypatch.setattr(parallel, "MOST", 60)
    monkeypatch.setattr(parallel, "KEPT", 20)
    found = _found(run, arms=300)
    lines = parallel.numbers(found)
    assert (len(lines.score), lines.found) == (60, 301)
    scores = np.sort(found.run.trials["score"])
    np.testing.assert_array_equal(lines.score[-20:], scores[-20:])
    assert lines.best.sum() == 1
    assert "the best 20 of 301 arms and 40 drawn" in parallel.parallel(found).caption
    np.testing.assert_array_equal(parallel.numbers(Findings(found.run)).score, lines.score)


def test_of_many_parameters_the_most_important_are_drawn(run, monkeypatch):
    monkeypatch.setattr(parallel, "MOST_AXES", 2)
    found = _found(run, arms=40)
    lines = parallel.numbers(found)
    important = [one.parameter for one in found.response.importances.found[:2]]
    assert sorted(axis.path for axis in lines.axes) == sorted(important)
    assert lines.more == 1
    assert parallel.parallel(found).caption.endswith("1 less important parameters are left out.")


@pytest.mark.parametrize("stop", [False, True])
def test_every_kind_of_parameter_has_an_axis(run, stop):
    parameters = {
        "a.kind": {"kind": "choice", "options": ["plain", [64, 32], None]},
        "a.depth": {"kind": "int", "low": 1, "high": 3, "log": False},
        "b.width": {"kind": "int", "low": 16, "high": 512, "log": True},
        "b.weight": planted_search.WEIGHT,
    }
    found = _found(run, arms=12, parameters=parameters, stop=stop)
    drawn = parallel.parallel(found)
    drawn.figure.draw_without_rendering()
    axes = drawn.figure.axes[0]
    assert {"[64, 32]", "None", "2", "512", "16"} <= {text.get_text() for text in axes.texts}
    assert ("Grey" in drawn.caption) == stop


def test_few_arms_or_one_parameter_are_no_picture(run, bare_folder):
    assert parallel.parallel(Findings(load(bare_folder))) is None
    one = {"a.share": planted_search.SHARE}
    assert parallel.numbers(_found(run, arms=20, parameters=one, effect=lambda places: places[:, 0])) is None
    gone = replace(run, trials=run.trials.assign(status="stopped", is_best=False))
    assert parallel.parallel(Findings(gone)) is None


def test_best_so_far_stands_against_arms_and_against_time(found, run):
    arms, hours = search.best_so_far(found).figure.axes
    assert hours.get_xlabel() == "Minutes since the first arm began"
    lines = [axes.lines[0].get_ydata() for axes in (arms, hours)]
    np.testing.assert_array_equal(*lines)
    assert hours.lines[0].get_xdata()[-1] == pytest.approx((12 * 60 + 50) / 60)
    undated = replace(run, trials=run.trials.drop(columns=["started_at", "finished_at"]))
    drawn = search.best_so_far(Findings(undated))
    assert len(drawn.figure.axes) == 1
    assert "clock" not in drawn.caption


@pytest.mark.parametrize(("hours", "unit"), [(0.3, "Minutes"), (10.0, "Hours"), (200.0, "Days")])
def test_time_is_in_a_unit_that_suits_it(hours, unit):
    assert search._unit(hours)[0] == unit


def test_a_panel_a_rung(found):
    drawn = rungs.rungs(found)
    titles = [axes.get_title(loc="left") for axes in drawn.figure.axes]
    assert titles == ["After 3 epochs", "After 9 epochs"]
    assert "only survivors are seen" in drawn.caption
    assert rungs.rungs(Findings(replace(found.run, trials=found.run.trials.assign(status="done")))) is None
