"""On real recordings: far above chance, and level with a linear baseline on the same train rows."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

from trainables import corpus as corpora
from trainables import metrics
from trainables.mi_infogan import align
from trainables.mi_infogan.config import Align, Config
from trainables.protocols import Protocol, cut
from trainables.task import Task

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


def linear_baseline(corpus, folds):
    scores = []
    for fold in folds:
        x, y = corpus.features["audio"], corpus.labels
        mean, std = x[fold.train].mean(0), x[fold.train].std(0)
        model = LogisticRegression(class_weight="balanced", C=0.1, max_iter=300)
        model.fit((x[fold.train] - mean) / std, y[fold.train])
        scores.append(recall_score(y[fold.test], model.predict((x[fold.test] - mean) / std), average="macro"))
    return np.mean(scores)


def test_stage_1_on_iemocap(shared_data):
    corpus = corpora.load(shared_data("iemocap"), features={"audio": "audio_gemaps47"})
    folds, _ = cut(corpus, Protocol(kind="leave-one-session-out", dev="speaker"))
    config = Config(align=Align(feature_dim=64, epochs=10))
    *_, last = align.run(config, Task(corpus, folds, (0,)), {})
    uar = metrics.uar(last.confusions["test", "audio"])
    assert (uar > 0.4).all(), "chance is 0.25"
    assert uar.mean() > linear_baseline(corpus, folds) - 0.015
