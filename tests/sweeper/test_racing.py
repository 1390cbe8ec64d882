"""The race: its test against independent computations, what it never does, and how often it errs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests

from sweeper.places import Rung
from sweeper.racing import FEWEST_FOLDS, Race

RUNG = Rung("train", 1)
FOLDS, SEEDS = 5, 3
#: Dev UAR of a row in steps of 1 / 64, so that means of equal rows are equal to the last digit.
ROWS = arrays(np.float64, FOLDS * SEEDS, elements=st.integers(0, 64).map(lambda n: n / 64))


def race(alpha: float = 0.05, folds: int = FOLDS, ratio: float = 0.25) -> Race:
    return Race(alpha, folds, ratio)


@given(arrays(np.float64, (7, 2), elements=st.floats(-1, 1)))
def test_without_overlap_it_is_the_paired_t_test_of_fold_means(differences):
    means = differences.mean(axis=1)
    if np.ptp(means) < 1e-3 or means.mean() <= 1e-3:
        return
    expected = stats.ttest_1samp(means, 0, alternative="greater").pvalue
    assert race(folds=7, ratio=0.0).p_value(differences.ravel()) == pytest.approx(expected)


@pytest.mark.parametrize("ratio", [0.1, 0.25, 1.0])
def test_overlap_widens_it_as_nadeau_and_bengio_do(ratio):
    differences = np.array([0.05, 0.02, 0.04, 0.08, 0.03])
    t = differences.mean() / np.sqrt((1 / 5 + ratio) * differences.var(ddof=1))
    assert race(ratio=ratio).p_value(differences) == pytest.approx(stats.t.sf(t, df=4))


@pytest.mark.parametrize(("rivals", "looks"), [(1, 1), (1, 4), (6, 3)])
def test_the_boundary_is_where_bonferroni_over_rungs_and_rivals_puts_it(rivals, looks):
    spread = np.array([-0.02, 0.01, 0.0, 0.03, -0.01])

    def stopped(behind: float) -> bool:
        judge = race()
        for other in range(rivals - 1):
            judge.stops(f"other {other}", RUNG, np.zeros(FOLDS), looks)
        judge.stops("best", RUNG, np.full(FOLDS, 0.9), looks)
        return judge.stops("arm", RUNG, 0.9 - behind - spread, looks)

    edge = optimize.bisect(lambda behind: stopped(behind) - 0.5, 0.0, 0.9, xtol=1e-9)
    t = stats.t.ppf(1 - 0.05 / (rivals * looks), df=4)
    assert edge == pytest.approx(t * spread.std(ddof=1) * np.sqrt(1 / 5 + 0.25) - spread.mean(), abs=1e-6)


@given(st.floats(1e-4, 1), st.integers(1, 30), st.integers(1, 5))
def test_the_threshold_agrees_with_adjusted_p_values(p, rivals, looks):
    family = np.ones(rivals * looks)
    family[0] = p
    adjusted = multipletests(family, method="bonferroni")[1][0]
    if abs(adjusted - 0.05) > 1e-9:
        assert (p < race().threshold(rivals, looks)) == (adjusted < 0.05)


@given(ROWS, st.lists(ROWS, max_size=4))
def test_an_arm_equal_to_the_best_is_never_dropped(best, others):
    judge = race(alpha=0.49)
    for i, rows in enumerate([best, *(np.minimum(each, best) for each in others)]):
        judge.stops(f"arm {i}", RUNG, rows, 1)
    assert not judge.stops("equal", RUNG, best, 1)


@given(ROWS, st.lists(ROWS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_who_came_first_and_what_they_are_called_does_not_matter(rows, others, random):
    def judged(there: list[np.ndarray], name: str) -> bool:
        judge = race()
        for i, each in enumerate(there):
            judge.stops(f"{name} {i}", RUNG, each, 2)
        return judge.stops("it", RUNG, rows, 2)

    shuffled = random.sample(others, len(others))
    assert judged(others, "arm") == judged(shuffled, "zebra")


@given(ROWS, ROWS, ROWS)
def test_seeds_of_a_fold_are_exchangeable(best, rows, order):
    ranks = np.argsort(order.reshape(FOLDS, SEEDS), axis=1)
    shuffled = np.take_along_axis((best - rows).reshape(FOLDS, SEEDS), ranks, axis=1)
    assert race().p_value(shuffled.ravel()) == pytest.approx(race().p_value(best - rows))


@given(ROWS, ROWS, st.floats(0, 1))
@settings(max_examples=50)
def test_p_is_a_number_and_falls_with_the_difference(best, rows, more):
    p = race().p_value(best - rows)
    assert 0 <= p <= 1
    assert race().p_value(best - rows + more) <= p + 1e-12


def test_all_alike_in_every_fold_says_nothing_of_the_noise():
    assert race().p_value(np.full(FOLDS * SEEDS, 0.25)) == 1


@pytest.mark.parametrize("folds", range(1, FEWEST_FOLDS))
def test_too_few_folds_drop_nothing_however_bad_the_arm(folds):
    judge = Race(0.49, folds, 0.0)
    rng = np.random.default_rng(0)
    judge.stops("best", RUNG, 0.9 + 0.001 * rng.random(folds * 3), 1)
    assert not judge.stops("bad", RUNG, 0.1 + 0.001 * rng.random(folds * 3), 1)


def test_an_arm_begun_again_is_not_judged_twice_nor_its_own_rival():
    judge, rng = race(), np.random.default_rng(0)
    bad = 0.3 + 0.01 * rng.random(FOLDS * SEEDS)
    assert not judge.stops("a", RUNG, bad, 1)
    assert not judge.stops("b", RUNG, bad + 0.5, 1)
    assert not judge.stops("a", RUNG, bad, 1)
    assert judge.stops("c", RUNG, bad + 0.01 * rng.random(FOLDS * SEEDS), 1)


def test_rungs_are_apart():
    judge, rng = race(), np.random.default_rng(0)
    judge.stops("a", RUNG, 0.9 + 0.01 * rng.random(FOLDS * SEEDS), 1)
    assert not judge.stops("b", Rung("tune", 1), 0.3 + 0.01 * rng.random(FOLDS * SEEDS), 1)
