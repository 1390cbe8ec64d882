"""On IEMOCAP: what a plain scikit-learn pipeline on the same rows gives."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainables import corpus as corpora
from trainables import metrics
from trainables.linear import fit
from trainables.linear.config import Config
from trainables.protocols import Protocol, cut
from trainables.task import Task

pytestmark = pytest.mark.slow


def test_iemocap_gives_what_a_pipeline_gives(shared_data):
    corpus = corpora.load(shared_data("iemocap"), features={"audio": "audio_gemaps47", "text": "text_minilm384"})
    folds, _ = cut(corpus, Protocol(kind="leave-one-session-out", dev="speaker"))
    (epoch,) = fit.run(Config(), Task(corpus, folds, (0,)), {})
    ours = metrics.uar(epoch.confusions["test", "audio+text"])
    x, y = np.concatenate([corpus.features["audio"], corpus.features["text"]], 1).astype(float), corpus.labels
    x[:, x.std(0) < 1e-6] = 0  # MiniLM has three dead dimensions; one of them is not quite 0
    for row, fold in enumerate(folds):
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000))
        guess = pipeline.fit(x[fold.train], y[fold.train]).predict(x[fold.test])
        assert ours[row] == pytest.approx(recall_score(y[fold.test], guess, average="macro"), abs=1e-3)
    assert ours.mean() > 0.67
