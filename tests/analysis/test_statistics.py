from __future__ import annotations

import math

import baycomp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from analysis import statistics

differences = arrays(float, st.integers(3, 12), elements=st.integers(-30, 30)).map(lambda points: points / 100)
ratios = st.sampled_from([0.0, 0.1, 0.25, 1 / 3])


def test_without_a_ratio_it_is_the_ordinary_t_test():
    values = np.array([0.03, 0.01, -0.02, 0.05, 0.02])
    p, low, high = statistics.corrected_t(values, 0.0)
    expected = stats.ttest_1samp(values, 0.0)
    assert p == pytest.approx(expected.pvalue)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_a_case_computed_by_hand():
    # Differences 1..5: mean 3, variance 2.5; with test a quarter of train the variance of the mean is
    # (1/5 + 1/4) * 2.5 = 1.125, t = 3 / 1.06066 = 2.82843 = 2 sqrt 2 with 4 degrees of freedom. The
    # distribution function of t at 4 degrees has the closed form 1/2 + 3/4 (s - s^3 / 3), s = t / sqrt(t^2 + 4).
    p, low, high = statistics.corrected_t(np.array([1.0, 2, 3, 4, 5]), 0.25)
    s = np.sqrt(8 / 12)
    assert p == pytest.approx(2 * (0.5 - 0.75 * (s - s**3 / 3)))
    # 2.776445 is the 97.5 % point for 4 degrees of freedom, as printed in any table.
    assert (low, high) == pytest.approx((3 - 2.776445 * 1.06066, 3 + 2.776445 * 1.06066), abs=1e-4)


def test_equal_differences():
    assert statistics.corrected_t(np.zeros(4), 0.2) == (1.0, 0.0, 0.0)
    assert statistics.corrected_t(np.full(4, 0.5), 0.2) == (0.0, 0.5, 0.5)


@pytest.mark.parametrize(("values", "ratio", "message"), [([1.0], 0.1, "at least 2"), ([1.0, 2.0], -1.0, "negative")])
def test_what_cannot_be_tested_raises(values, ratio, message):
    with pytest.raises(ValueError, match=message):
        statistics.corrected_t(np.array(values), ratio)


def test_holm_by_hand_and_gaps():
    # 0.01 * 3, 0.02 * 2, then 0.03 * 1 raised to its predecessor.
    np.testing.assert_allclose(statistics.holm(np.array([0.03, 0.01, np.nan, 0.02])), [0.04, 0.03, np.nan, 0.04])
    assert statistics.holm(np.array([0.9, 0.8])).max() == 1
    assert statistics.holm(np.array([])).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_p_and_bonferroni_and_keeps_the_order(values):
    p = np.array(values)
    adjusted = statistics.holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(p * len(p), 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_wilcoxon_only_where_it_can_say_something():
    values = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    assert statistics.wilcoxon(values) == pytest.approx(2 / 2**6)
    assert np.isnan(statistics.wilcoxon(values[:5]))
    assert np.isnan(statistics.wilcoxon(np.zeros(10)))


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_holm_is_that_of_statsmodels(count):
    p = np.random.default_rng(count).random(count) ** 3
    np.testing.assert_allclose(statistics.holm(p), multipletests(p, method="holm")[1])


def test_wilcoxon_is_the_exact_test_by_counting_signs():
    """All sign patterns of seven different magnitudes: the share with a rank sum at least as far out."""
    values = np.array([0.01, -0.02, 0.03, 0.04, 0.05, -0.06, 0.07])
    ranks, plus = np.arange(1, 8), 1 + 3 + 4 + 5 + 7
    sums = [sum(r for r, sign in zip(ranks, f"{k:07b}", strict=True) if sign == "1") for k in range(2**7)]
    out = np.mean([abs(total - 14) >= abs(plus - 14) for total in sums])
    assert statistics.wilcoxon(values) == pytest.approx(out)


def test_the_effect_size_is_the_mean_over_its_spread_less_the_bias_of_small_samples():
    values = np.array([0.01, 0.03, 0.02, 0.05, 0.04])
    # Hedges' exact factor for 4 degrees of freedom: gamma(2) / (sqrt(2) gamma(1.5)) = 1 / (sqrt(2) sqrt(pi) / 2).
    factor = 1 / (math.sqrt(2) * math.sqrt(math.pi) / 2)
    found = statistics.effect_size(values, 0.25)
    assert found.value == pytest.approx(factor * 0.03 / values.std(ddof=1))
    assert found.low < found.value < found.high


@given(differences, ratios)
def test_the_interval_of_the_effect_size_agrees_with_the_test(values, ratio):
    assume(np.ptp(values) > 0)
    p, *_ = statistics.corrected_t(values, ratio)
    assume(abs(p - 0.05) > 1e-6)
    found = statistics.effect_size(values, ratio)
    assert (found.low <= 0 <= found.high) == (p > 0.05)
    # Turned round: the other sign, the ends swapped.
    assert statistics.effect_size(-values, ratio) == pytest.approx((-found.value, -found.high, -found.low), abs=1e-6)


def test_an_effect_without_spread_has_no_size():
    assert np.isnan(statistics.effect_size(np.full(5, 0.02), 0.2)).all()


def _resamples(rng: np.random.Generator, studies: int, folds: int, mean: float, ratio: float) -> np.ndarray:
    """Differences that share as much as overlapping training sets make them share (Nadeau and Bengio's model)."""
    shared = ratio / (1 + ratio)
    common = rng.normal(0, np.sqrt(shared), (studies, 1))
    return mean + common + rng.normal(0, np.sqrt(1 - shared), (studies, folds))


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "ratio"), [(5, 0.25), (10, 1 / 9)])
def test_over_simulated_null_studies_alarms_are_as_rare_as_said(folds, ratio):
    """1,000 studies without any effect; within three standard errors of 5 %. The plain test alarms far more often."""
    studies = _resamples(np.random.default_rng(1), 1000, folds, 0.0, ratio)
    alarms = np.mean([statistics.corrected_t(study, ratio)[0] < 0.05 for study in studies])
    plain = np.mean([statistics.corrected_t(study, 0.0)[0] < 0.05 for study in studies])
    assert abs(alarms - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 1000)
    assert plain > 0.1


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_said():
    rng, truth, ratio = np.random.default_rng(2), 0.7, 0.25
    studies = _resamples(rng, 1000, 6, truth, ratio)
    intervals = [statistics.corrected_t(study, ratio)[1:] for study in studies]
    assert abs(np.mean([low <= truth <= high for low, high in intervals]) - 0.95) < 0.021
    # The model's spread of one difference, as its folds show it, is sqrt(1 - shared).
    size = truth / math.sqrt(1 - ratio / (1 + ratio)) * statistics._hedges(5)
    sizes = [statistics.effect_size(study, ratio) for study in studies]
    assert abs(np.mean([one.low <= size <= one.high for one in sizes]) - 0.95) < 0.021


@pytest.mark.slow
@pytest.mark.parametrize("units", [5, 10, 24])
def test_the_bootstrap_holds_the_truth_about_as_often_as_said(units):
    """Speakers that differ, seeds within them: over 400 studies, close to 95 % even with five of them."""
    rng = np.random.default_rng(3)
    studies = 0.02 + rng.normal(0, 0.03, (400, units, 1)) + rng.normal(0, 0.02, (400, units, 3))
    found = [statistics.bootstrap(study, rng, draws=800) for study in studies]
    covered = np.mean([one.low <= 0.02 <= one.high for one in found])
    assert 0.91 < covered < 0.99


def test_the_bootstrap_draws_units_before_seeds():
    """Two units of many seeds are two units: the interval is as wide as the units differ."""
    rng = np.random.default_rng(0)
    units = np.repeat([[0.0], [1.0]], 500, axis=1)
    found = statistics.bootstrap(units, rng)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
    # One unit says nothing of others; a missing seed takes nothing from the mean.
    assert np.isnan(statistics.bootstrap(units[:1], rng).low)
    assert statistics.bootstrap(np.array([[0.1, np.nan], [0.3, 0.1], [np.nan, np.nan]]), rng).value == pytest.approx(
        0.15
    )
    with pytest.raises(ValueError, match="no value"):
        statistics.bootstrap(np.full((2, 2), np.nan), rng)


@given(differences, st.integers(0, 40), st.integers(2, 12))
def test_the_posterior_is_that_of_baycomp(values, rope, folds):
    assume(np.ptp(values) > 0)
    # baycomp takes the number of folds of one cross-validation: the test part is one of them.
    below, inside, above = baycomp.two_on_single(values, np.zeros(len(values)), rope=rope / 1000 or 1e-12, runs=1)
    ratio = 1 / (len(values) - 1)
    found = statistics.posterior(values, ratio, rope / 1000)
    # baycomp speaks of who is better: its first is the first argument.
    assert found == pytest.approx((above, inside, below), abs=1e-6)


def test_the_posterior_without_spread_is_certain():
    assert statistics.posterior(np.full(4, 0.02), 0.2, 0.01) == (0, 0, 1)
    assert statistics.posterior(np.full(4, -0.02), 0.2, 0.01) == (1, 0, 0)
    assert statistics.posterior(np.zeros(4), 0.2, 0.01) == (0, 1, 0)
    with pytest.raises(ValueError, match="negative"):
        statistics.posterior(np.zeros(4), 0.2, -0.01)


@given(st.floats(-6, 12), st.integers(1, 40), st.floats(-5, 10))
def test_the_noncentral_t_is_that_of_scipy_where_it_has_digits(t, freedom, centre):
    expected = stats.nct.cdf(t, freedom, centre)
    assume(np.isfinite(expected))
    assert statistics._below(t, freedom, centre) == pytest.approx(expected, abs=2e-5)


@given(st.integers(1, 80), st.integers(3, 40))
def test_power_without_overlap_is_that_of_statsmodels(effect, folds):
    expected = TTestPower().power(effect / 20, nobs=folds, alpha=0.05)
    assume(np.isfinite(expected))
    assert statistics.power(effect / 1000, 0.02, folds, 0.0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_power_is_how_often_simulated_studies_see_it():
    rng, ratio = np.random.default_rng(4), 0.25
    studies = _resamples(rng, 2000, 6, 1.5, ratio)
    seen = np.mean([statistics.corrected_t(study, ratio)[0] < 0.05 for study in studies])
    # Spread of one difference around the study's own level.
    assert statistics.power(1.5, math.sqrt(1 - ratio / (1 + ratio)), 6, ratio) == pytest.approx(seen, abs=0.035)


@given(st.integers(2, 30), ratios, st.integers(1, 100))
def test_what_can_be_detected_is_seen_with_the_stated_power(folds, ratio, spread):
    smallest = statistics.detectable(spread / 1000, folds, ratio)
    assert statistics.power(smallest, spread / 1000, folds, ratio) == pytest.approx(statistics.POWER, abs=1e-6)


def test_folds_needed_are_enough_and_one_fewer_is_not():
    needed = statistics.folds_needed(0.02, 0.02, 5, 0.25)
    assert needed is not None
    assert needed > 5
    assert statistics.power(0.02, 0.02, needed, statistics.ratio_with(0.25, 5, needed)) >= 0.8
    assert statistics.power(0.02, 0.02, needed - 1, statistics.ratio_with(0.25, 5, needed - 1)) < 0.8
    # Leave one of F out: the test is one fold, train the other F - 1.
    assert statistics.ratio_with(1 / 4, 5, 10) == pytest.approx(1 / 9)
    assert statistics.folds_needed(0.0, 0.02, 5, 0.25) is None
    assert statistics.folds_needed(0.0001, 0.05, 5, 0.25) is None
    # Without overlap and with a sure effect, two would do; with it, at least one fold must be left to train on.
    assert statistics.folds_needed(0.5, 0.0, 5, 0.0) == 2
    assert statistics.folds_needed(0.5, 0.0, 5, 1 / 3) == 3


def test_the_fold_component_takes_off_what_seeds_add():
    assert statistics.fold_component(0.05, 0.04, 1) == pytest.approx(0.03)
    assert statistics.fold_component(0.02, 0.04, 4) == 0
    assert statistics.fold_component(0.02, float("nan"), 1) == 0.02
