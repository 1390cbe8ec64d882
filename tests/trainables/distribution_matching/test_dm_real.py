"""On real recordings: above a linear baseline on the same train rows, with IEMOCAP's own unlabeled utterances."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

from search_spaces.change import apply
from trainables import corpus as corpora
from trainables import metrics
from trainables.distribution_matching.config import Config
from trainables.distribution_matching.method import METHOD
from trainables.prepared import Prepared
from trainables.protocols import Protocol, cut
from trainables.task import Task

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


def linear_baseline(task):
    scores, prepared = [], Prepared.make(task)
    for number, fold in enumerate(task.folds):
        x = np.concatenate([each[number].numpy() for each in prepared.features.values()], 1)
        model = LogisticRegression(class_weight="balanced", C=0.01, max_iter=200)
        model.fit(x[fold.train], task.corpus.labels[fold.train])
        scores.append(recall_score(task.corpus.labels[fold.test], model.predict(x[fold.test]), average="macro"))
    return np.mean(scores)


def test_two_folds_of_iemocap(shared_data):
    corpus = corpora.load(shared_data("iemocap"), features={"audio": "audio_gemaps47", "text": "text_minilm384"})
    folds = cut(corpus, Protocol(kind="leave-one-session-out", dev="session"))[0][:2]
    assert min(len(fold.unlabeled) for fold in folds) > 2000
    change = {"network.hidden": [128], "network.latent_dim": 64, "train.epochs": 5, "pretrain.epochs": 2}
    config, task, artifacts = apply(Config(), change), Task(corpus, folds, (0,)), {}
    for stage in METHOD.active(config):
        *_, last = stage.run(config, task, artifacts)
        artifacts[stage.name] = last.artifact
    uar = metrics.uar(last.confusions["test", "audio+text"])
    assert (uar > 0.6).all(), "chance is 0.25"
    assert uar.mean() > linear_baseline(task) - 0.015
    assert last.flags == ()
    assert (last.terms["u_reconstruction"] > 0).all()
