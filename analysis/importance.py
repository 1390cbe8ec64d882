"""How much each searched parameter matters to the dev score, by two estimators of Optuna, with intervals.

fANOVA (Hutter et al. 2014, ICML) fits a forest and splits the variance of what it predicts over the whole searched
space: a parameter's main effect is its share; what no parameter has alone are interactions. PED-ANOVA (Watanabe et al.
2023, IJCAI) asks which parameters tell the best arms from all arms: what it takes to be among the best.

Forests of few arms give the strongest parameter what weaker ones have: intervals over resampled arms hold no such bias.

Parameters are handed over as places on their own scale (`space`). Optuna's fANOVA would otherwise take values of a log
range evenly on the plain scale, where nearly all of the range is its last decade.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from analysis.space import Axis, Sample

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.importance import BaseImportanceEvaluator

#: Resamples of the arms, and shufflings of the scores.
RESAMPLES, SHUFFLES = 20, 8
#: Trees for the estimate itself, for each resample, and how often they may split: 2 ^ DEPTH leaves.
TREES, FEW_TREES, DEPTH = 32, 8, 5
#: The best arms of PED-ANOVA: this share of all, but never fewer than BEST arms or more than half.
SHARE, BEST = 0.1, 5
#: An arm is taken at most so often by a resample: more often is drawn of one arm in 270.
COPIES = 4
#: With fewer arms than this nothing is estimated.
FEWEST = 10

#: (scores, how often each arm is taken, seed, trees) to shares.
_Estimator = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


class Estimated(NamedTuple):
    """Importance of one parameter by one estimator; shares in [0, 1].

    Attributes:
        share: Of all arms.
        low: 2.5th percentile over resamples of the arms, or `share` where that is lower.
        high: 97.5th percentile, or `share` where that is higher.
    """

    share: float
    low: float
    high: float


class Importance(NamedTuple):
    """Importance of one parameter.

    Attributes:
        parameter: Path of the config field.
        fanova: Its main effect's share of the variance that a forest predicts over the searched space.
        ped: Its share of what tells the best arms from all; the shares of all parameters sum to 1.
    """

    parameter: str
    fanova: Estimated
    ped: Estimated


class Importances(NamedTuple):
    """Importance of all searched parameters, the most important by fANOVA first.

    Attributes:
        found: By parameter.
        interactions: Share of the predicted variance that is no parameter's alone.
        fanova_chance: What fANOVA gives a parameter by chance: 95th percentile over parameters and shuffled scores.
        ped_chance: The same of PED-ANOVA.
        best: Arms that PED-ANOVA took for the best.
    """

    found: tuple[Importance, ...]
    interactions: float
    fanova_chance: float
    ped_chance: float
    best: int


def importances(sample: Sample, rng: np.random.Generator) -> Importances | None:
    """Estimate the importance of every parameter of a sample.

    Args:
        sample: The arms.
        rng: Draws resamples and shufflings, and seeds the forests.

    Returns:
        None under `FEWEST` arms, with scores that are all one, or where nothing was searched.
    """
    if len(sample.score) < FEWEST or not sample.axes or np.ptp(sample.score) == 0:
        return None
    best = int(np.clip(np.ceil(SHARE * len(sample.score)), BEST, len(sample.score) // 2))
    with threadpool_limits(limits=1), _quietly():
        first, chance = _estimate(_fanova(sample), sample.score, rng)
        second, other = _estimate(_ped(sample, best), sample.score, rng)
    found = [Importance(a.path, f, p) for a, f, p in zip(sample.axes, first, second, strict=True)]
    found.sort(key=lambda one: -one.fanova.share)
    return Importances(tuple(found), max(1 - sum(one.fanova.share for one in found), 0.0), chance, other, best)


def _estimate(shares_of: _Estimator, score: np.ndarray, rng: np.random.Generator) -> tuple[list[Estimated], float]:
    """The importances by one estimator, and what it gives by chance."""
    n, seed = len(score), int(rng.integers(2**31))
    once = np.ones(n, dtype=int)
    shares = shares_of(score, once, seed, TREES)
    drawn = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(RESAMPLES)]
    ends = np.percentile([shares_of(score, taken, seed, FEW_TREES) for taken in drawn], [2.5, 97.5], axis=0)
    shuffled = [shares_of(rng.permutation(score), once, seed, FEW_TREES) for _ in range(SHUFFLES)]
    low, high = np.minimum(ends[0], shares), np.maximum(ends[1], shares)
    found = [Estimated(*map(float, one)) for one in zip(shares, low, high, strict=True)]
    return found, float(np.percentile(shuffled, 95))


def _fanova(sample: Sample) -> _Estimator:
    from optuna.distributions import FloatDistribution
    from optuna.importance import FanovaImportanceEvaluator

    study = _Study([FloatDistribution(0, 1)] * len(sample.axes), list(sample.places.T))

    def shares(score: np.ndarray, taken: np.ndarray, seed: int, trees: int) -> np.ndarray:
        evaluator = FanovaImportanceEvaluator(n_trees=trees, max_depth=DEPTH, seed=seed)
        return study.ask(evaluator, score, taken, normalize=False)

    return shares


def _ped(sample: Sample, best: int) -> _Estimator:
    from optuna.importance import PedAnovaImportanceEvaluator

    study = _Study(
        [_distribution(axis) for axis in sample.axes],
        [
            place if axis.levels is None else np.floor(place * axis.levels).astype(int)
            for axis, place in zip(sample.axes, sample.places.T, strict=True)
        ],
    )

    def shares(score: np.ndarray, taken: np.ndarray, *_: int) -> np.ndarray:
        # Half an arm less, so that rounding up meets the number wanted.
        evaluator = PedAnovaImportanceEvaluator(target_quantile=(best - 0.5) / np.minimum(taken, COPIES).sum())
        return study.ask(evaluator, score, taken, normalize=True)

    return shares


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.levels is None:
        return FloatDistribution(0, 1)
    return CategoricalDistribution(range(axis.levels)) if axis.options else IntDistribution(0, axis.levels - 1)


class _Study:
    """The arms as trials of one Optuna study, each `COPIES` times, as to make trials costs more than to ask of them.

    Args:
        distributions: Of the parameters.
        columns: Their values, one array of shape (N,) each.
    """

    def __init__(self, distributions: Sequence[BaseDistribution], columns: Sequence[np.ndarray]) -> None:
        import optuna

        self._names = [str(place) for place in range(len(columns))]
        ranges = dict(zip(self._names, distributions, strict=True))
        points = zip(*(column.tolist() for column in columns), strict=True)
        arms = [
            optuna.create_trial(params=dict(zip(self._names, point, strict=True)), distributions=ranges, value=0.0)
            for point in points
        ]
        self._study = optuna.create_study()
        self._study.add_trials(arms * COPIES)

    def ask(
        self, evaluator: BaseImportanceEvaluator, score: np.ndarray, taken: np.ndarray, *, normalize: bool
    ) -> np.ndarray:
        """The importances, shape (P,), with each arm taken as often as said; NaN in a target leaves a copy out."""
        import optuna

        # Optuna takes the low end of a target for the better one.
        values = np.where(np.arange(COPIES)[:, None] < taken, -score, np.nan).ravel()
        if np.nanmin(values) == np.nanmax(values):  # nothing varies, so nothing has a share
            return np.zeros(len(self._names))
        found = optuna.importance.get_param_importances(
            self._study, evaluator=evaluator, target=lambda trial: float(values[trial.number]), normalize=normalize
        )
        return np.array([found[name] for name in self._names], dtype=float)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what Optuna says of every study: that it was made, what is experimental, which end is up, what ties."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes", category=UserWarning)
            warnings.filterwarnings("ignore", message="Target and region quantiles select", category=UserWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
