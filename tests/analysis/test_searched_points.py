from __future__ import annotations

from dataclasses import replace

import numpy as np
import planted_search
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import search, space
from analysis.space import Axis

WEIGHT = Axis(path="w", low=0.01, high=100.0, log=True)
DEPTH = Axis(path="d", low=1, high=4, whole=True)
WIDTH = Axis(path="n", low=16, high=256, log=True, whole=True)
KIND = Axis(path="k", options=("plain", [64, 32], None))


def _sample(run, **more):
    return space.sample(run, np.random.default_rng(0), **more)


def test_places_lie_evenly_on_the_scale_that_was_searched():
    np.testing.assert_allclose(WEIGHT.places([0.01, 0.1, 1.0, 10.0, 100.0]), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(DEPTH.places([1, 2, 3, 4]), [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(KIND.places([None, "plain", [64, 32]]), [5 / 6, 1 / 6, 0.5])


@pytest.mark.parametrize(
    ("axis", "value"), [(WEIGHT, 0.0), (WEIGHT, 200.0), (WEIGHT, None), (WEIGHT, "1"), (WEIGHT, True), (KIND, "other")]
)
def test_what_lies_outside_has_no_place(axis, value):
    assert np.isnan(axis.places([value])).all()


@given(st.integers(16, 256))
def test_whole_numbers_come_back(value):
    assert WIDTH.values(WIDTH.places([value])).tolist() == [value]


@given(st.floats(0.01, 100.0))
def test_numbers_come_back(value):
    np.testing.assert_allclose(WEIGHT.values(WEIGHT.places([value])), [value], rtol=1e-9)


@given(st.floats(0, 1))
def test_every_place_has_a_value_inside_the_range(place):
    for axis in (WEIGHT, DEPTH, WIDTH):
        assert axis.low <= axis.values(np.array([place]))[0] <= axis.high
    assert KIND.values(np.array([place]))[0] in (0, 1, 2)


def test_a_grid_has_the_values_where_they_are_few():
    assert DEPTH.values(DEPTH.grid(9)).tolist() == [1, 2, 3, 4]
    assert KIND.values(KIND.grid(9)).tolist() == [0, 1, 2]
    np.testing.assert_allclose(WEIGHT.values(WEIGHT.grid(3)), [0.01, 1, 100])
    assert WIDTH.levels is None


def test_whole_arms_are_the_ones_that_may_be_chosen(run):
    sample = _sample(run)
    able = run.trials[search.eligible(run.trials)]
    assert sample.arms.tolist() == able["arm"].tolist()
    assert sample.score.tolist() == able["score"].tolist()
    assert [axis.path for axis in sample.axes] == ["align.alpha", "align.temperature"]
    assert (sample.stopped, sample.outside, sample.found) == (4, 0, len(able))


def test_at_a_rung_stopped_arms_are_there_too(run):
    sample = _sample(run, budget=3)
    assert len(sample.arms) == len(_sample(run).arms) + 4
    curve = run.curves[run.curves["budget"] == 3].set_index("arm")["dev_uar"]
    np.testing.assert_allclose(sample.score, curve[sample.arms])
    assert sample.stopped == 0
    assert _sample(run, budget=5).stopped == 4


def test_flagged_and_failed_arms_are_nowhere(run):
    away = run.trials["arm"][(run.trials["flags"].map(len) > 0) | (run.trials["status"] == "failed")]
    assert len(away) == 2
    for budget in (None, 2):
        assert not set(away) & set(_sample(run, budget=budget).arms)


def test_values_outside_of_the_ranges_and_fields_that_never_moved_are_left_out(run):
    configs = [
        {**c, "x": 1.0, "align.alpha": 999.0 if i == 0 else c["align.alpha"]}
        for i, c in enumerate(run.trials["config"])
    ]
    parameters = {**run.provenance["parameters"], "x": {"low": 0.0, "high": 2.0}}
    changed = replace(
        run, trials=run.trials.assign(config=configs), provenance={**run.provenance, "parameters": parameters}
    )
    sample = _sample(changed)
    assert sample.outside == 1
    assert [axis.path for axis in sample.axes] == ["align.alpha", "align.temperature"]


def test_of_many_arms_a_fixed_draw_is_taken(run):
    many = planted_search.searched(run, planted_search.Search(arms=900))
    first, second = _sample(many), _sample(many)
    assert (len(first.score), first.found) == (space.MOST, 901)
    assert first.arms.tolist() == second.arms.tolist()


def test_options_that_the_run_does_not_name_are_those_seen(run):
    changed = replace(run, provenance={**run.provenance, "parameters": {"align.beta": {}}})
    (axis,) = space.axes(changed)
    assert axis.options == (1.0,)
    nothing = _sample(changed)
    assert nothing.axes == ()
    assert nothing.places.shape == (len(nothing.score), 0)
