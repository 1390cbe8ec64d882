"""On real dialogues: far above what the same features give one by one, and not so once context is cut."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

from trainables import corpus as corpora
from trainables import metrics
from trainables.protocols import Protocol, cut
from trainables.subspace_mapping import fuse
from trainables.subspace_mapping.config import Config, Fuse
from trainables.task import Task

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


def linear_baseline(corpus, folds):
    x, y = np.hstack([corpus.features["audio"], corpus.features["text"]]), corpus.labels
    scores = []
    for fold in folds:
        mean, std = x[fold.train].mean(0), x[fold.train].std(0)
        std[std == 0] = 1.0
        model = LogisticRegression(class_weight="balanced", C=0.01, max_iter=200)
        model.fit((x[fold.train] - mean) / std, y[fold.train])
        scores.append(recall_score(y[fold.test], model.predict((x[fold.test] - mean) / std), average="macro"))
    return np.mean(scores)


def test_context_is_worth_a_lot_on_iemocap_and_nothing_is_left_of_it_without(shared_data):
    corpus = corpora.load(shared_data("iemocap"), features={"audio": "audio_gemaps47", "text": "text_minilm384"})
    folds, _ = cut(corpus, Protocol(kind="leave-one-session-out", dev="session"))
    folds, found = folds[:2], {}
    for turns in (None, 1):
        config = Config(fuse=Fuse(hidden=40, epochs=9, learning_rate=2e-3, max_turns=turns))
        *_, last = fuse.run(config, Task(corpus, folds, (0,)), {})
        found[turns] = metrics.uar(last.confusions["test", "audio+text"]).mean()
    floor = linear_baseline(corpus, folds)
    assert found[None] > floor + 0.04
    assert abs(found[1] - floor) < 0.04
