"""Statistics of a paired difference: numbers in, numbers out, no run needed.

The unit is the fold (or the test speaker). Training sets of different folds overlap, which makes the usual t-test far
too sure; Nadeau and Bengio (Machine Learning 52, 2003) add the ratio of test to train sizes to the variance of the
mean, here called ``ratio``. Everything that rests on a t distribution takes it: the test, its interval, the interval
of the effect size, the posterior and the power.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

CONFIDENCE = 0.95
#: Differences in UAR smaller than this count as none in `posterior`: the region of practical equivalence.
ROPE = 0.01
#: Below this many folds the smallest two-sided p of the signed rank test is above 0.05.
WILCOXON_FOLDS = 6
#: Chance of seeing an effect that a study should have.
POWER = 0.8
#: More folds than this are not asked for.
MOST_FOLDS = 200
DRAWS = 2000


class Interval(NamedTuple):
    """A number and an interval around it at `CONFIDENCE`; NaN where there is none."""

    value: float
    low: float
    high: float


class Posterior(NamedTuple):
    """How probable a difference is below, inside and above the region of practical equivalence."""

    below: float
    inside: float
    above: float


def corrected_t(differences: np.ndarray, ratio: float, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The corrected resampled t-test of Nadeau and Bengio (2003).

    Args:
        differences: One difference a resample (fold), shape (J,), J >= 2.
        ratio: Test size over train size; 0 gives the ordinary one-sample t-test.
        confidence: Of the interval.

    Returns:
        p (two-sided), and the interval's ends. Differences without any spread give p 0, or 1 where all are 0.

    Raises:
        ValueError: With fewer than two differences or a negative ratio.
    """
    mean, error = _mean_and_error(differences, ratio)
    reach = float(stats.t.ppf((1 + confidence) / 2, len(differences) - 1)) * error
    if error == 0:
        return float(mean == 0), mean, mean
    p = 2 * float(stats.t.sf(abs(mean) / error, len(differences) - 1))
    return p, mean - reach, mean + reach


def _mean_and_error(differences: np.ndarray, ratio: float) -> tuple[float, float]:
    """Mean of the differences and its corrected standard error."""
    if len(differences) < 2:
        raise ValueError(f"differences: a t-test needs at least 2, got {len(differences)}")
    if ratio < 0:
        raise ValueError(f"ratio: must not be negative, is {ratio}")
    error = np.std(differences, ddof=1) * _widening(len(differences), ratio)
    return float(np.mean(differences)), float(error)


def _widening(folds: int, ratio: float) -> float:
    """Standard error of the mean over the spread of one difference; 1 / sqrt(J) without overlap."""
    return float(np.sqrt(1 / folds + ratio))


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p of the signed rank test over folds; NaN where too few folds differ for it to say anything."""
    differences = np.asarray(differences)[np.asarray(differences) != 0]
    if len(differences) < WILCOXON_FOLDS:
        return float("nan")
    return float(stats.wilcoxon(differences).pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """P-values adjusted after Holm (1979) for the number of rows tested; NaN (no test) stays NaN."""
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def effect_size(differences: np.ndarray, ratio: float) -> Interval:
    """The mean difference in units of its spread over folds: Cohen's d for pairs, with Hedges' correction.

    The interval turns the noncentral t distribution of the corrected t value round (Cumming and Finch 2001).

    Args:
        differences: One difference a fold, shape (J,), J >= 2.
        ratio: Test size over train size.

    Returns:
        NaN throughout where the differences have no spread.

    Raises:
        ValueError: As `corrected_t`.
    """
    mean, error = _mean_and_error(differences, ratio)
    if error == 0:
        return Interval(np.nan, np.nan, np.nan)
    freedom, width = len(differences) - 1, _widening(len(differences), ratio)
    t, scale = mean / error, width * _hedges(freedom)
    low, high = (_noncentrality(t, freedom, share) for share in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2))
    return Interval(t * scale, low * scale, high * scale)


def _hedges(freedom: int) -> float:
    """Factor that takes the bias of small samples out of Cohen's d (Hedges 1981)."""
    if freedom < 2:
        return float("nan")
    return float(np.exp(special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2))


def _noncentrality(t: float, freedom: int, share: float) -> float:
    """The noncentrality under which a t value as low as this one has a given probability."""
    # The distribution spreads around t with t's size: that far out, either end is certain.
    reach = 10 + 10 * abs(t)
    return float(optimize.brentq(lambda centre: _below(t, freedom, centre) - share, t - reach, t + reach))


def _below(t: float, freedom: int, centre: float) -> float:
    """Distribution function of the noncentral t: normal around its centre, mean over what the spread may be.

    By quadrature, because `scipy.stats.nct` gives NaN far from zero.
    """
    spreads, weights = _spreads(freedom)
    return float(weights @ special.ndtr(t * spreads - centre))


@cache
def _spreads(freedom: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of a spread of one at evenly weighted quantiles: roots of chi squares over their freedom."""
    places, weights = _quadrature()
    return np.sqrt(stats.chi2.ppf((places + 1) / 2, freedom) / freedom), weights / 2


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(400)


def bootstrap(units: np.ndarray, rng: np.random.Generator, draws: int = DRAWS) -> Interval:
    """Hierarchical bootstrap of a mean: units are drawn with replacement, then the seeds within each.

    With few units the percentiles of drawn means are too narrow; they are taken further out, by the t quantile and
    the bias of the variance (Hesterberg, The American Statistician 69, 2015, "expanded percentiles").

    Args:
        units: Shape (U, S): a difference for each unit (fold or speaker) and seed. A unit's missing seeds (NaN) take
            its mean; units without any are left out.
        rng: Draws.
        draws: How often.

    Returns:
        The mean over units of the mean over seeds; its ends are NaN with one unit.

    Raises:
        ValueError: If no unit has a value.
    """
    units = np.asarray(units, dtype=float)
    units = units[~np.isnan(units).all(axis=1)]
    if not len(units):
        raise ValueError("units: there is no value to draw from")
    means = np.nanmean(units, axis=1)
    units = np.where(np.isnan(units), means[:, None], units)
    count, seeds = units.shape
    if count < 2:
        return Interval(float(means.mean()), np.nan, np.nan)
    drawn = rng.integers(count, size=(draws, count, 1))
    again = rng.integers(seeds, size=(draws, count, seeds))
    means_drawn = units[drawn, again].mean(axis=(1, 2))
    tail = stats.norm.cdf(-np.sqrt(count / (count - 1)) * stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    low, high = np.quantile(means_drawn, [tail, 1 - tail])
    return Interval(float(means.mean()), float(low), float(high))


def posterior(differences: np.ndarray, ratio: float, rope: float = ROPE) -> Posterior:
    """The Bayesian correlated t-test (Corani and Benavoli, Machine Learning 100, 2015).

    The mean difference has a t distribution around the observed mean with the corrected standard error.

    Args:
        differences: One difference a fold, shape (J,), J >= 2.
        ratio: Test size over train size; theirs is ``rho / (1 - rho)`` with rho the test's share of a resample.
        rope: Half the width of the region of practical equivalence.

    Raises:
        ValueError: As `corrected_t`, or if ``rope`` is negative.
    """
    if rope < 0:
        raise ValueError(f"rope: must not be negative, is {rope}")
    mean, error = _mean_and_error(differences, ratio)
    if error == 0:
        below, above = float(mean < -rope), float(mean > rope)
    else:
        below = float(stats.t.cdf((-rope - mean) / error, len(differences) - 1))
        above = float(stats.t.sf((rope - mean) / error, len(differences) - 1))
    return Posterior(below, 1 - below - above, above)


def fold_component(fold_std: float, seed_std: float, seeds: int) -> float:
    """Spread between folds that seeds do not explain: of the fold means, less what seeds add to them.

    Args:
        fold_std: Spread of the fold means (each the mean over seeds).
        seed_std: Spread between seeds within a fold; NaN with one seed, and then nothing is taken off.
        seeds: How many seeds a fold mean is over.
    """
    noise = 0.0 if np.isnan(seed_std) else seed_std**2 / seeds
    return float(np.sqrt(max(fold_std**2 - noise, 0.0)))


def power(effect: float, spread: float, folds: int, ratio: float) -> float:
    """Chance that the corrected t-test sees an effect at 1 - `CONFIDENCE`, two-sided.

    Args:
        effect: The true mean difference.
        spread: Standard deviation of a fold's difference; 0 sees any effect.
        folds: How many, J >= 2.
        ratio: Test size over train size.
    """
    error = spread * _widening(folds, ratio)
    if error == 0:
        return float(effect != 0)
    return _power(abs(effect) / error, folds - 1)


def _power(centre: float, freedom: int) -> float:
    """Share of the noncentral t distribution beyond the two edges of the test."""
    edge = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
    return 1 - _below(edge, freedom, centre) + _below(-edge, freedom, centre)


def detectable(spread: float, folds: int, ratio: float) -> float:
    """The smallest effect seen with a chance of `POWER`; 0 without any spread."""
    # The edge of the test and the spread of a t value bound the noncentrality from above.
    most = 4 * float(stats.t.ppf((1 + CONFIDENCE) / 2, folds - 1)) + 10
    centre = optimize.brentq(lambda centre: _power(centre, folds - 1) - POWER, 0, most)
    return float(centre) * spread * _widening(folds, ratio)


def ratio_with(ratio: float, now: int, folds: int) -> float:
    """Test size over train size with more folds like those there are: every further one is trained on."""
    return 0.0 if ratio == 0 else 1 / (1 / ratio + folds - now)


def folds_needed(effect: float, spread: float, now: int, ratio: float) -> int | None:
    """How many folds (groups of speakers like those there are) see an effect with a chance of `POWER`.

    Args:
        effect: The true mean difference.
        spread: Standard deviation of a fold's difference.
        now: How many folds ``ratio`` is of.
        ratio: Test size over train size with these.

    Returns:
        At least 2; None where more than `MOST_FOLDS` are needed, or the effect is 0 or NaN.
    """
    if not abs(effect) > 0:
        return None
    # With fewer, there would not be one fold to train on.
    least = max(2, math.ceil(now + 1 - 1 / ratio)) if ratio else 2
    sizes = range(least, MOST_FOLDS + 1)
    return next((n for n in sizes if power(effect, spread, n, ratio_with(ratio, now, n)) >= POWER), None)
