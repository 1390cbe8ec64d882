import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from trainables import metrics
from trainables.errors import InputError
from trainables.features import class_weights
from trainables.linear import fit
from trainables.linear.config import Config, Fit
from trainables.linear.method import METHOD


def run(task, **changes):
    (epoch,) = fit.run(Config(fit=Fit(**changes)), task, {})
    return epoch


def problem(classes, n=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    return np.eye(classes)[labels] @ rng.standard_normal((classes, 4)) + rng.standard_normal((n, 4)), labels


@pytest.mark.parametrize("weighted", [True, False])
def test_coefficients_minimise_the_objective(weighted):
    """Against the objective written out here and minimised by another solver."""
    x, labels = problem(3)
    each = class_weights(labels, 3)[labels] if weighted else np.ones(len(labels))

    def objective(flat):
        weight, bias = flat[:12].reshape(3, 4), flat[12:]
        loss = 0.0
        for i, label in enumerate(labels):
            loss -= each[i] * log_softmax(weight @ x[i] + bias)[label]
        return 0.7 * loss + (weight**2).sum() / 2

    best = minimize(objective, np.zeros(15), method="BFGS")
    weight, bias, _ = fit.coefficients(x, labels, 3, Fit(C=0.7, class_weights=weighted))
    assert objective(np.concatenate([weight.ravel(), bias])) == pytest.approx(best.fun, rel=1e-5)
    assert weight == pytest.approx(best.x[:12].reshape(3, 4), abs=2e-3)


def test_two_classes_give_the_logistic_function_of_one_margin():
    x, labels = problem(2)
    weight, bias, _ = fit.coefficients(x, labels, 2, Fit(C=1.0))

    def objective(flat):
        margin = np.where(labels == 1, 1, -1) * (x @ flat[:4] + flat[4])
        return (class_weights(labels, 2)[labels] * np.logaddexp(0, -margin)).sum() + (flat[:4] ** 2).sum() / 2

    best = minimize(objective, np.zeros(5), method="BFGS").x
    probability = softmax(x @ weight.T + bias, axis=1)[:, 1]
    assert probability == pytest.approx(1 / (1 + np.exp(-(x @ best[:4] + best[4]))), abs=1e-3)


@pytest.mark.parametrize("seen", [(0, 2), (0, 1, 3)])
def test_a_class_without_utterances_is_never_predicted(seen):
    x, labels = problem(len(seen))
    weight, bias, _ = fit.coefficients(x, np.array(seen)[labels], 4, Fit())
    probability = softmax(x @ weight.T + bias, axis=1)
    assert probability.sum(1) == pytest.approx(np.ones(len(x)))
    assert np.flatnonzero(probability.max(0)).tolist() == list(seen)


def test_terms_are_the_objectives(small_task):
    epoch, corpus = run(small_task, inputs="audio", C=0.1), small_task.corpus
    fold, _ = small_task.rows[3]
    train = fold.train[corpus.present["audio"][fold.train]]
    x = corpus.features["audio"][train].astype(np.float64)
    x = (x - x.mean(0)) / x.std(0)
    weight, bias = (epoch.artifact[name][3].double().numpy() for name in ("weight", "bias"))
    each = class_weights(corpus.labels[train], 3)[corpus.labels[train]]
    loss = -log_softmax(x @ weight.T + bias, axis=1)[np.arange(len(train)), corpus.labels[train]]
    assert epoch.terms["ser"][3] == pytest.approx((each * loss).sum() / each.sum(), rel=1e-4)
    assert epoch.terms["penalty"][3] == pytest.approx((weight**2).sum() / 2, rel=1e-5)


def test_seeds_of_a_fold_are_copies(small_task):
    weight = run(small_task).artifact["weight"]
    assert np.array_equal(weight[0::2], weight[1::2])
    assert not np.array_equal(weight[0], weight[2])


def test_chance_is_beaten(small_task):
    uar = metrics.uar(run(small_task, C=0.1).confusions["test", "audio+text"])
    assert (uar > 0.7).all()


def test_one_modality_leaves_the_other_alone(small_task, with_features):
    corpus = small_task.corpus
    other = type(small_task)(
        with_features(corpus, text=np.zeros_like(corpus.features["text"])), small_task.folds, small_task.seeds
    )
    first, second = run(small_task, inputs="audio"), run(other, inputs="audio")
    assert set(first.confusions) == {("dev", "audio"), ("test", "audio")}
    assert all(np.array_equal(first.confusions[key], second.confusions[key]) for key in first.confusions)
    assert not any(name.startswith("text") for name in first.artifact)


def test_a_modality_that_is_not_there_is_refused(small_task):
    with pytest.raises(InputError, match="'video' needs video"):
        run(small_task, inputs="video")


def test_a_solver_cut_short_is_seen_in_its_steps(small_task):
    assert {each.value for each in run(small_task, max_iter=2).diagnostics} == {2.0}
    assert max(each.value for each in run(small_task).diagnostics) < Fit().max_iter


def test_an_utterance_with_nothing_in_it_gets_no_answer(small_task):
    corpus = small_task.corpus
    artifacts = {"fit": run(small_task, inputs="audio").artifact}
    unknown = np.isnan(METHOD.predict(Config(), artifacts, corpus)).all((0, 2))
    assert np.array_equal(unknown, ~corpus.present["audio"])
