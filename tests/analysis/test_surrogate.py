from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence
from sklearn.model_selection import KFold, cross_val_predict

from analysis import surrogate
from analysis.space import Axis, Sample
from analysis.surrogate import dependence, tried

PLAIN = tuple(Axis(path=f"p{index}", low=0.0, high=1.0) for index in range(3))
MODELS = ("Gaussian process", "randomised trees")


def sample(score, places, axes=PLAIN):
    score = np.asarray(score, dtype=float)
    arms = np.array([f"arm {index}" for index in range(len(score))])
    return Sample(tuple(axes), places, score, arms, None, 0, 0, len(score))


def quadratic(places):
    """0.6 at p0 = 0.4, down to 0.24 at 1; p1 adds up to 0.1; p2 is idle."""
    return 0.6 - (places[:, 0] - 0.4) ** 2 + 0.1 * places[:, 1]


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    places = rng.random((60, 3))
    return sample(quadratic(places) + rng.normal(0, 0.01, 60), places)


@pytest.fixture(scope="module")
def errors(planted):
    return tried(planted, np.random.default_rng(0))


def test_a_planted_quadratic_is_known_and_the_better_model_comes_first(errors):
    assert errors.knows
    assert errors.errors[0].model == "Gaussian process"
    best, other = errors.errors
    assert best.rmse < other.rmse
    assert best.r2 > 0.9
    assert best.r2_low < best.r2
    # Not below the noise that was planted: an error that small would come of arms foretold by themselves.
    assert 0.008 < best.rmse < 0.02
    assert best.rank > 0.9


@pytest.mark.parametrize("model", MODELS)
def test_the_error_is_that_of_held_out_arms(planted, model):
    """Against scikit-learn's own cross-validation of the same model on the same folds."""
    fit = surrogate._MODELS[model]
    ours = surrogate.held_out(planted, fit, 1, 7)[0]

    class Model(RegressorMixin, BaseEstimator):
        def fit(self, x, y):
            self.fitted = fit(x, y, 7, None)
            return self

        def predict(self, x):
            return self.fitted.predict(x)

    folds = KFold(surrogate.FOLDS, shuffle=True, random_state=7)
    theirs = cross_val_predict(Model(), planted.places, planted.score, cv=folds)
    np.testing.assert_allclose(ours, theirs)


def test_r2_and_rank_are_those_of_the_held_out_scores(planted):
    fit = surrogate._MODELS["randomised trees"]
    error = surrogate._error("x", fit, planted, 1, 3, np.random.default_rng(0))
    held = surrogate.held_out(planted, fit, 1, 3)[0]
    assert error.rmse == pytest.approx(np.sqrt(np.mean((held - planted.score) ** 2)))
    assert error.r2 == pytest.approx(1 - np.mean((held - planted.score) ** 2) / planted.score.var())
    assert error.rank == pytest.approx(stats.spearmanr(held, planted.score).statistic)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_partial_dependence_recovers_the_planted_curve(planted, model):
    (first, second, idle), _ = dependence(planted, model, ["p0", "p1", "p2"], np.random.default_rng(0))
    truth = 0.6 - (first.places - 0.4) ** 2
    slack = 0.02 if model == "Gaussian process" else 0.12
    np.testing.assert_allclose(first.mean - first.mean.max(), truth - truth.max(), atol=slack)
    assert first.places[first.mean.argmax()] == pytest.approx(0.4, abs=0.15)
    assert np.ptp(second.mean) == pytest.approx(0.1, abs=0.05)
    assert np.ptp(idle.mean) < 0.03
    assert (first.std > 0).all()


@pytest.mark.parametrize("model", MODELS)
def test_partial_dependence_is_scikit_learns(planted, model, monkeypatch):
    monkeypatch.setattr(surrogate, "REFITS", 2)
    monkeypatch.setattr(surrogate, "BACKGROUND", len(planted.score))
    monkeypatch.setattr(surrogate, "PAIR_BACKGROUND", len(planted.score))
    monkeypatch.setattr(surrogate, "PAIR_GRID", 5)
    partials, pairs = dependence(planted, model, ["p1", "p0", "p2"], np.random.default_rng(4))
    seed = int(np.random.default_rng(4).integers(2**31))
    fitted = surrogate._MODELS[model](planted.places, planted.score, seed, None)
    # Its own grid goes from the least to the greatest value there is: corners make that 0 to 1 and change no mean.
    for index, mine in enumerate(partials):
        asked = np.repeat(planted.places[None], len(mine.places), axis=0)
        asked[:, :, index] = mine.places[:, None]
        np.testing.assert_allclose(mine.mean, [fitted.predict(each).mean() for each in asked])
    theirs = partial_dependence(fitted, planted.places, [0], grid_resolution=7, percentiles=(0, 1))
    ours = np.interp(theirs["grid_values"][0], partials[0].places, partials[0].mean)
    np.testing.assert_allclose(theirs["average"][0], ours, atol=0.02)
    assert [(pair.first.path, pair.second.path) for pair in pairs] == [("p1", "p0"), ("p1", "p2"), ("p0", "p2")]
    one = pairs[0]
    moved = planted.places.copy()
    moved[:, 1], moved[:, 0] = one.places[0][3], one.places[1][1]
    assert one.mean[1, 3] == pytest.approx(fitted.predict(moved).mean())


@pytest.mark.slow
def test_where_there_is_no_pattern_it_knows_nothing(monkeypatch):
    """A one-sided 95 % limit: of 20 searches without any pattern, 1 is expected to seem known; 5 would be too many."""
    monkeypatch.setattr(surrogate, "REPEATS", 1)
    monkeypatch.setattr(surrogate, "FEW_REPEATS", 1)
    known = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        known += tried(sample(rng.normal(0.6, 0.02, 15), rng.random((15, 3))), rng).knows
    assert known < 5


def test_a_model_that_foretells_one_score_for_all_has_no_rank():
    rng = np.random.default_rng(1)
    points = sample(np.r_[np.full(29, 0.5), 0.51], rng.random((30, 3)))
    found = tried(points, rng)
    assert not found.knows
    assert all(np.isfinite(error.r2) for error in found.errors)


def test_options_stand_apart_and_draw_no_contour(monkeypatch):
    monkeypatch.setattr(surrogate, "REFITS", 2)
    rng = np.random.default_rng(0)
    axes = (Axis(path="kind", options=("a", "b", "c")), PLAIN[0], PLAIN[1])
    kinds = rng.integers(3, size=60)
    places = np.column_stack([axes[0].places(["abc"[kind] for kind in kinds]), rng.random((60, 2))])
    points = sample(0.5 + 0.1 * (kinds == 1) + rng.normal(0, 0.005, 60), places, axes)
    for model in MODELS:
        (kind, *_), pairs = dependence(points, model, ["kind", "p0", "p1"], np.random.default_rng(0))
        assert kind.axis.values(kind.places).tolist() == [0, 1, 2]
        assert kind.mean[1] - kind.mean[[0, 2]].mean() == pytest.approx(0.1, abs=0.03)
        assert [(pair.first.path, pair.second.path) for pair in pairs] == [("p0", "p1")]


def test_it_is_the_same_twice(planted, monkeypatch):
    monkeypatch.setattr(surrogate, "REPEATS", 2)
    few = planted._replace(score=planted.score[:20], places=planted.places[:20], arms=planted.arms[:20])
    assert tried(few, np.random.default_rng(0)).errors == tried(few, np.random.default_rng(0)).errors


def test_few_arms_are_not_fitted():
    rng = np.random.default_rng(0)
    few = surrogate.FEWEST - 1
    for points in (
        sample(rng.random(few), rng.random((few, 3))),
        sample(np.full(20, 0.5), rng.random((20, 3))),
        sample(rng.random(20), np.zeros((20, 0)), ()),
    ):
        found = tried(points, rng)
        assert found.errors == ()
        assert not found.knows


def test_scales_learnt_from_a_part_serve_all_arms(monkeypatch):
    monkeypatch.setattr(surrogate, "SCALED", 40)
    places = np.random.default_rng(0).random((150, 3))
    fitted = surrogate._gaussian_process(places, quadratic(places), 0, None)
    assert len(fitted.X_train_) == 150
    fresh = np.random.default_rng(1).random((50, 3))
    np.testing.assert_allclose(fitted.predict(fresh), quadratic(fresh), atol=0.01)
