"""On IEMOCAP: above a linear model of the same features, which needs no hidden layer."""

import pytest

from trainables import corpus as corpora
from trainables import metrics
from trainables.concat_mlp import classify
from trainables.concat_mlp.config import Classify, Config
from trainables.linear import fit
from trainables.linear.config import Config as LinearConfig
from trainables.protocols import Protocol, cut
from trainables.task import Task

pytestmark = pytest.mark.slow


def test_iemocap_is_above_the_linear_baseline(shared_data):
    corpus = corpora.load(shared_data("iemocap"), features={"audio": "audio_gemaps47", "text": "text_minilm384"})
    folds, _ = cut(corpus, Protocol(kind="leave-one-session-out", dev="speaker"))
    task = Task(corpus, folds, (0,))
    *_, last = classify.run(Config(classify=Classify(epochs=10)), task, {})
    (linear,) = fit.run(LinearConfig(), task, {})
    ours, floor = (metrics.uar(epoch.confusions["test", "audio+text"]) for epoch in (last, linear))
    assert ours.mean() > floor.mean() + 0.01
    assert (ours > 0.6).all()
