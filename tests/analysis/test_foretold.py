from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import foretold
from analysis.foretold import completed

NOBODY = np.empty((0, 2))


def _halved(scores, keep=1 / 3):
    """Early scores as successive halving leaves them, one arm after another; which arms ended, shape (N,)."""
    early, ended = scores.copy(), np.ones(len(scores), dtype=bool)
    for column in range(scores.shape[1]):
        seen: list[float] = []
        for index in np.flatnonzero(ended):
            ended[index] = not seen or scores[index, column] >= np.percentile(seen, 100 * (1 - keep))
            seen.append(scores[index, column])
        early[~ended, column + 1 :] = np.nan
    return early, ended


def _walk(rng, arms, noise):
    """Scores at two rungs and final ones, each the next one plus noise."""
    final = rng.normal(0.6, 0.05, arms)
    second = 0.9 * final + rng.normal(0, noise, arms)
    return np.column_stack([0.8 * second + rng.normal(0, noise, arms), second]), final


def test_a_line_without_noise_is_followed_exactly():
    early = np.linspace(0.2, 0.5, 20)[:, None]
    truth = 0.3 + 0.7 * early[:, 0]
    final = np.where(early[:, 0] > 0.35, truth, np.nan)
    drawn = completed(early, final, NOBODY, np.random.default_rng(0))
    np.testing.assert_allclose(drawn, np.broadcast_to(truth, drawn.shape), atol=1e-9)


def test_what_is_known_stays_as_it_is():
    rng = np.random.default_rng(0)
    scores, final = _walk(rng, 60, 0.02)
    early, ended = _halved(scores)
    drawn = completed(early, np.where(ended, final, np.nan), np.empty((0, 3)), rng)
    np.testing.assert_array_equal(drawn[:, ended], np.broadcast_to(final[ended], (len(drawn), ended.sum())))
    assert not np.isnan(drawn).any()
    assert (drawn[:, ~ended].std(axis=0) > 0).all()


def test_draws_spread_as_the_predictive_distribution_does():
    """Against the closed form: Student's t with n - 2 degrees of freedom around the line."""
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, 12)
    y = 2 * x + rng.normal(0, 0.5, 12)
    at = np.array([1.5])
    line = stats.linregress(x, y)
    rest = math.sqrt(((y - line.intercept - line.slope * x) ** 2).sum() / 10)
    spread = rest * math.sqrt(1 + 1 / 12 + (at[0] - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    fitted = foretold._line(x, y)
    drawn = np.array([fitted.draw(at, rng)[0] for _ in range(4000)])
    expected = stats.t(10, loc=line.intercept + line.slope * at[0], scale=spread)
    assert stats.kstest(drawn, expected.cdf).pvalue > 0.001


def test_no_line_falls():
    """Few arms that happen to fall do not foretell the world of those that began lowest."""
    rng = np.random.default_rng(0)
    fitted = foretold._line(np.arange(6.0), -np.arange(6.0) + rng.normal(0, 0.1, 6))
    slopes = [fitted._slope(1.0, rng) for _ in range(200)]
    assert min(slopes) >= 0
    assert max(slopes) < 0.5
    flat = completed(np.array([[1.0], [2], [3], [4], [5], [-900]]), np.r_[5.0, 4, 3, 2, 1, np.nan], NOBODY, rng)
    assert np.median(flat[:, -1]) < 10


@given(st.integers(0, 2**31), st.integers(5, 30))
def test_slopes_are_drawn_from_0_up(seed, arms):
    rng = np.random.default_rng(seed)
    fitted = foretold._line(rng.normal(size=arms), rng.normal(size=arms))
    assert fitted._slope(1.0, rng) >= 0


@pytest.mark.slow
def test_it_foretells_how_early_scores_agree_with_final_ones_over_all_arms():
    """Survivors alone show far too little agreement; the true one is inside most intervals."""
    from analysis import rungs

    inside, survivors, estimates, truths = [], [], [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scores, final = _walk(rng, 150, 0.03)
        early, ended = _halved(scores)
        drawn = completed(early, np.where(ended, final, np.nan), np.empty((0, 3)), rng)
        if drawn is None:
            continue
        whole = rungs._whole(early[:, 0], drawn)
        truths.append(stats.spearmanr(early[:, 0], final).statistic)
        estimates.append(whole.spearman)
        survivors.append(rungs.agreement(early[:, 0], np.where(ended, final, np.nan)).spearman)
        inside.append(whole.low <= truths[-1] <= whole.high)
    assert len(inside) > 30
    assert np.mean(inside) >= 0.9
    assert abs(np.mean(estimates) - np.mean(truths)) < 0.1
    assert np.nanmean(survivors) < np.mean(truths) - 0.15


def test_too_few_arms_that_went_on_foretell_nothing_and_others_may_help():
    rng = np.random.default_rng(0)
    early, final = np.arange(10.0)[:, None], np.r_[np.full(6, np.nan), 6.0, 7, 8, 9]
    assert completed(early, final, NOBODY, rng) is None
    drawn = completed(early, final, np.column_stack([np.arange(5.0), np.arange(5.0)]), rng)
    np.testing.assert_allclose(drawn, np.broadcast_to(np.arange(10.0), drawn.shape), atol=1e-6)


def test_an_arm_without_any_score_is_not_foretold():
    early, final = np.r_[np.arange(8.0), np.nan][:, None], np.r_[np.arange(8.0), np.nan]
    drawn = completed(early, final, NOBODY, np.random.default_rng(0))
    assert np.isnan(drawn[:, -1]).all()


def test_scores_that_never_vary_give_a_flat_line():
    early, final = np.full((9, 1), 0.5), np.r_[np.linspace(0.5, 0.6, 8), np.nan]
    drawn = completed(early, final, NOBODY, np.random.default_rng(0))
    assert np.isfinite(drawn).all()
    assert drawn[:, -1].mean() == pytest.approx(0.55, abs=0.02)


def test_many_arms_take_fewer_draws(monkeypatch):
    monkeypatch.setattr(foretold, "SCORES", 3000)
    early = np.linspace(0, 1, 20)[:, None]
    assert len(completed(early, early[:, 0], NOBODY, np.random.default_rng(0))) == 150
