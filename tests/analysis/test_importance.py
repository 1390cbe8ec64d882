from __future__ import annotations

import warnings

import numpy as np
import pytest

from analysis import importance
from analysis.importance import importances
from analysis.space import Axis, Sample

PLAIN = tuple(Axis(path=f"p{index}", low=0.0, high=1.0) for index in range(4))


def sample(score, places, axes=PLAIN):
    score = np.asarray(score, dtype=float)
    arms = np.array([f"arm {index}" for index in range(len(score))])
    return Sample(tuple(axes), places, score, arms, None, 0, 0, len(score))


def estimated(points):
    return {one.parameter: one for one in importances(points, np.random.default_rng(1)).found}


@pytest.fixture(scope="module")
def additive():
    """Even places, so that a line's share of the variance is its squared slope over the sum of these."""
    places = np.random.default_rng(0).random((150, 4))
    slopes = np.array([0.3, 0.15, 0.0, 0.0])
    return slopes**2 / (slopes**2).sum(), importances(sample(places @ slopes, places), np.random.default_rng(1))


@pytest.fixture
def few_draws(monkeypatch):
    """For tests of the estimate itself, which intervals and chance do not change."""
    monkeypatch.setattr(importance, "RESAMPLES", 2)
    monkeypatch.setattr(importance, "SHUFFLES", 1)


@pytest.mark.slow
def test_fanova_finds_the_planted_shares_of_variance(additive):
    truth, found = additive
    shares = {one.parameter: one.fanova for one in found.found}
    for path, share in zip(("p0", "p1"), truth, strict=False):
        assert shares[path].share == pytest.approx(share, abs=0.1)
    assert max(shares["p2"].share, shares["p3"].share) < 0.02
    assert found.interactions < 0.1


@pytest.mark.slow
def test_both_estimators_put_the_parameters_in_the_planted_order(additive):
    _, found = additive
    assert [one.parameter for one in found.found][:2] == ["p0", "p1"]
    ped = sorted(found.found, key=lambda one: -one.ped.share)
    assert [one.parameter for one in ped][:2] == ["p0", "p1"]
    assert sum(one.ped.share for one in found.found) == pytest.approx(1)


@pytest.mark.slow
def test_intervals_hold_the_estimate_and_tell_what_matters_from_what_does_not(additive):
    _, found = additive
    for one in found.found:
        for estimate in (one.fanova, one.ped):
            assert 0 <= estimate.low <= estimate.share <= estimate.high <= 1
    first, *_, last = found.found
    assert first.fanova.low > last.fanova.high
    assert first.fanova.low > found.fanova_chance > last.fanova.high


@pytest.mark.slow
def test_without_any_pattern_nothing_exceeds_chance_by_much():
    rng = np.random.default_rng(5)
    found = importances(sample(rng.normal(size=60), rng.random((60, 4))), rng)
    assert max(one.fanova.share for one in found.found) < 1.5 * found.fanova_chance
    assert max(one.ped.share for one in found.found) < 1.5 * found.ped_chance
    assert found.interactions > 0.2


def test_a_log_range_counts_by_its_logarithm(few_draws):
    """On the plain scale nearly all of the range would be its last decade, where this function is flat."""
    axis = Axis(path="rate", low=1e-4, high=1.0, log=True)
    rng = np.random.default_rng(0)
    values = 10 ** rng.uniform(-4, 0, 100)
    places = np.column_stack([axis.places(values), rng.random(100)])
    found = estimated(sample(np.where(values < 1e-2, -np.log10(values), 2.0), places, (axis, PLAIN[1])))
    assert found["rate"].fanova.share > 0.9


def test_each_option_and_each_whole_number_counts_alike(few_draws):
    """One value of three is apart, which for evenly drawn values is 2 / 9 of variance, whichever it is."""
    rng = np.random.default_rng(0)
    axes = (Axis(path="kind", options=("a", "b", "c")), Axis(path="depth", low=1, high=3, whole=True))
    kinds, depths = rng.integers(3, size=120), rng.integers(1, 4, size=120)
    places = np.column_stack([axes[0].places(["abc"[kind] for kind in kinds]), axes[1].places(depths.tolist())])
    found = estimated(sample(1.0 * (kinds == 1) + 1.0 * (depths == 1), places, axes))
    assert found["kind"].fanova.share == pytest.approx(found["depth"].fanova.share, abs=0.1)
    assert found["kind"].fanova.share + found["depth"].fanova.share == pytest.approx(1, abs=0.1)


def test_made_twice_it_is_the_same_and_says_nothing(few_draws, capfd):
    rng = np.random.default_rng(3)
    places = rng.random((20, 2))
    points = sample(places[:, 0], places, PLAIN[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (importances(points, np.random.default_rng(0)) for _ in range(2))
    assert first == second
    assert capfd.readouterr() == ("", "")


def test_few_arms_or_one_score_for_all_give_none():
    rng = np.random.default_rng(0)
    few = importance.FEWEST - 1
    assert importances(sample(rng.random(few), rng.random((few, 4))), rng) is None
    assert importances(sample(np.full(50, 0.5), rng.random((50, 4))), rng) is None
    assert importances(sample(rng.random(50), np.zeros((50, 0)), ()), rng) is None


def test_ties_and_scores_of_few_values_are_no_trouble(few_draws):
    rng = np.random.default_rng(0)
    score = np.zeros(30)
    score[0] = 1.0
    found = importances(sample(score, rng.random((30, 4))), rng)
    assert all(np.isfinite([*one.fanova, *one.ped]).all() for one in found.found)
