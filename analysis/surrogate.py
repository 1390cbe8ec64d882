"""A model of dev score over the searched ranges: what it knows, and what it says of one and of two parameters.

Two models are tried, as neither is best everywhere: a Gaussian process (smooth; good with few arms) and extremely
randomised trees (Geurts et al. 2006; steps and cliffs). The one with the smaller cross-validated error is kept. It says
nothing of an arm that it has not shown to foretell others: where it foretells held-out arms no better than their mean,
nothing is drawn from it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from analysis.space import Axis, Sample

#: With fewer arms than this nothing is fitted.
FEWEST = 10
#: Folds of the cross-validation, and how often it is repeated: the more the fewer arms there are.
FOLDS, FEW_REPEATS, REPEATS = 5, 2, 6
#: Arms foretold in all, within these repeats.
FORETOLD = 200
#: Trees of the randomised ones.
TREES = 30
#: Arms that the Gaussian process learns its scales from; it is then fitted to all.
SCALED = 120
#: Places along one parameter, and along each of two.
GRID, PAIR_GRID = 17, 17
#: Arms that a dependence is averaged over, and refits that its band is taken from.
BACKGROUND, PAIR_BACKGROUND, REFITS = 60, 40, 20
#: Parameters of which each pair is shown.
PAIRED = 3


class Error(NamedTuple):
    """Cross-validated error of one model.

    Attributes:
        model: Its name.
        r2: 1 minus squared error over that of the arms' mean score, mean over repeats; 0 and below: it knows nothing.
        r2_low: Lower end of its one-sided 95 % interval over resamples of the arms.
        rmse: Root mean squared error, in [0, 1].
        rank: Spearman correlation of foretold and seen scores, mean over repeats; NaN where a model foretells one
            score for all.
    """

    model: str
    r2: float
    r2_low: float
    rmse: float
    rank: float


class Partial(NamedTuple):
    """Partial dependence on one parameter (Friedman 2001): the mean foretold score of arms moved to each place.

    Attributes:
        axis: The parameter.
        places: Shape (G,), in [0, 1].
        mean: Foretold dev score, shape (G,), in [0, 1].
        std: Its spread over refits on resampled arms, shape (G,).
    """

    axis: Axis
    places: np.ndarray
    mean: np.ndarray
    std: np.ndarray


class Pair(NamedTuple):
    """Partial dependence on two parameters.

    Attributes:
        first: The parameter along.
        second: The parameter up.
        places: Places of both, (G,) and (H,).
        mean: Foretold dev score, shape (H, G).
    """

    first: Axis
    second: Axis
    places: tuple[np.ndarray, np.ndarray]
    mean: np.ndarray


class Tried(NamedTuple):
    """What models of a sample's scores know.

    Attributes:
        sample: The arms.
        errors: Of every model, the best first; empty under `FEWEST` arms.
        repeats: Of the `FOLDS`-fold cross-validation.
    """

    sample: Sample
    errors: tuple[Error, ...]
    repeats: int

    @property
    def knows(self) -> bool:
        """Whether the best foretells held-out arms better than their mean, and not by luck of these arms alone."""
        return bool(self.errors) and self.errors[0].r2 > 0 and self.errors[0].r2_low > 0


def tried(sample: Sample, rng: np.random.Generator) -> Tried:
    """Cross-validate every model.

    Args:
        sample: The arms.
        rng: Draws folds and resamples, and seeds the models.
    """
    repeats = int(np.clip(FORETOLD // max(len(sample.score), 1), FEW_REPEATS, REPEATS))
    if len(sample.score) < FEWEST or not sample.axes or np.ptp(sample.score) == 0:
        return Tried(sample, (), repeats)
    seed = int(rng.integers(2**31))
    with threadpool_limits(limits=1):
        errors = [_error(name, fit, sample, repeats, seed, rng) for name, fit in _MODELS.items()]
    return Tried(sample, tuple(sorted(errors, key=lambda error: error.rmse)), repeats)


def dependence(
    sample: Sample, model: str, order: Sequence[str], rng: np.random.Generator
) -> tuple[tuple[Partial, ...], tuple[Pair, ...]]:
    """Ask a model about each parameter, and about each pair of the most important.

    Args:
        sample: The arms.
        model: Name of the model, as in `Error`.
        order: Paths, the most important first.
        rng: Draws the arms that are averaged over and those of the refits.

    Returns:
        One `Partial` a parameter, in the sample's order; a `Pair` for each two of the first `PAIRED` numbers in
        `order`.
    """
    fit, seed = _MODELS[model], int(rng.integers(2**31))
    with threadpool_limits(limits=1):
        asked = _Asked(sample, fit(_design(sample.axes, sample.places), sample.score, seed, None), rng)
        return _partials(asked, fit, seed, rng), _pairs(asked, order)


def _error(name: str, fit: _Fit, sample: Sample, repeats: int, seed: int, rng: np.random.Generator) -> Error:
    score, foretold = sample.score, held_out(sample, fit, repeats, seed)
    squares = ((foretold - score) ** 2).mean(axis=0)
    drawn = rng.integers(len(score), size=(1000, len(score)))
    spread = ((score[drawn] - score[drawn].mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    again = 1 - squares[drawn].sum(axis=1) / np.where(spread > 0, spread, np.nan)
    ranks = [stats.spearmanr(score, one).statistic if np.ptp(one) > 0 else np.nan for one in foretold]
    return Error(
        model=name,
        r2=float(1 - squares.sum() / ((score - score.mean()) ** 2).sum()),
        r2_low=float(np.nanpercentile(again, 5)),
        rmse=float(np.sqrt(squares.mean())),
        rank=float(np.mean(ranks)),
    )


def held_out(sample: Sample, fit: _Fit, repeats: int, seed: int) -> np.ndarray:
    """The score of every arm as foretold from other arms, shape (repeats, N)."""
    from sklearn.model_selection import KFold

    design = _design(sample.axes, sample.places)
    foretold = np.empty((repeats, len(sample.score)))
    for repeat in range(repeats):
        for train, held in KFold(FOLDS, shuffle=True, random_state=seed + repeat).split(design):
            model = fit(design[train], sample.score[train], seed, None)
            foretold[repeat, held] = model.predict(design[held])
    return foretold


def _design(axes: Sequence[Axis], places: np.ndarray) -> np.ndarray:
    """What a model reads: a column a number, one for each option of a choice, shape (N, D)."""
    columns = [_columns(axis, places[..., index]) for index, axis in enumerate(axes)]
    return np.concatenate(columns, axis=-1)


def _columns(axis: Axis, places: np.ndarray) -> np.ndarray:
    if not axis.options:
        return places[..., None]
    return (axis.values(places)[..., None] == np.arange(len(axis.options))).astype(float)


def _gaussian_process(design: np.ndarray, score: np.ndarray, seed: int, like: Any) -> Any:
    """A Gaussian process with a length scale a column and noise; with the scales of `like` where it is given."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = (
        like.kernel_
        if like
        else ConstantKernel(1.0, (1e-2, 1e2)) * Matern(np.ones(design.shape[1]), (0.1, 20), nu=2.5)
        + WhiteKernel(0.3, (1e-3, 2.0))
    )
    with warnings.catch_warnings():
        # A scale at its bound is no failure: a parameter that does not matter has no finite one.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if like is None and len(score) > SCALED:
            part = np.random.default_rng(seed).choice(len(score), SCALED, replace=False)
            like = _gaussian_process(design[part], score[part], seed, None)
            return _gaussian_process(design, score, seed, like)
        optimizer = None if like else "fmin_l_bfgs_b"
        return GaussianProcessRegressor(kernel, optimizer=optimizer, normalize_y=True).fit(design, score)


def _trees(design: np.ndarray, score: np.ndarray, seed: int, _: Any) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=seed).fit(design, score)


#: (design, scores, seed, fitted model to take settings from or None) to a fitted model.
_Fit = Callable[[np.ndarray, np.ndarray, int, Any], Any]
_MODELS: dict[str, _Fit] = {"Gaussian process": _gaussian_process, "randomised trees": _trees}


class _Asked:
    """A fitted model, asked about arms moved to other places."""

    def __init__(self, sample: Sample, model: Any, rng: np.random.Generator) -> None:
        self.sample, self.model = sample, model
        self._rows = rng.permutation(len(sample.score))

    def moved(self, model: Any, moves: Sequence[dict[int, float]], background: int) -> np.ndarray:
        """Mean foretold score of some arms with the places of some parameters replaced, one mean a move."""
        arms = self.sample.places[self._rows[:background]]
        points = np.repeat(arms[None], len(moves), axis=0)
        for point, move in zip(points, moves, strict=True):
            for axis, place in move.items():
                point[:, axis] = place
        flat = points.reshape(-1, arms.shape[1])
        return model.predict(_design(self.sample.axes, flat)).reshape(len(moves), len(arms)).mean(axis=1)


def _partials(asked: _Asked, fit: _Fit, seed: int, rng: np.random.Generator) -> tuple[Partial, ...]:
    sample = asked.sample
    grids = [axis.grid(GRID) for axis in sample.axes]
    moves = [{index: place} for index, grid in enumerate(grids) for place in grid.tolist()]
    cuts = np.cumsum([len(grid) for grid in grids])[:-1]
    means = np.split(asked.moved(asked.model, moves, BACKGROUND), cuts)
    design, again = _design(sample.axes, sample.places), []
    for _ in range(REFITS):
        drawn = rng.integers(len(sample.score), size=len(sample.score))
        model = fit(design[drawn], sample.score[drawn], seed, asked.model)
        again.append(asked.moved(model, moves, BACKGROUND))
    stds = np.split(np.std(again, axis=0, ddof=1), cuts)
    return tuple(Partial(*one) for one in zip(sample.axes, grids, means, stds, strict=True))


def _pairs(asked: _Asked, order: Sequence[str]) -> tuple[Pair, ...]:
    axes = asked.sample.axes
    paths = [axis.path for axis in axes]
    ranked = [paths.index(path) for path in order if path in paths and not axes[paths.index(path)].options]
    return tuple(_pair(asked, *two) for two in combinations(ranked[:PAIRED], 2))


def _pair(asked: _Asked, first: int, second: int) -> Pair:
    axes = asked.sample.axes
    along, up = axes[first].grid(PAIR_GRID), axes[second].grid(PAIR_GRID)
    moves = [{first: x, second: y} for y in up.tolist() for x in along.tolist()]
    mean = asked.moved(asked.model, moves, PAIR_BACKGROUND).reshape(len(up), len(along))
    return Pair(axes[first], axes[second], (along, up), mean)
