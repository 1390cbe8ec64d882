"""On real recordings: far above chance under every condition, and both modalities better than one."""

import pytest

from trainables import corpus as corpora
from trainables import metrics
from trainables.cm_arr import train
from trainables.cm_arr.config import Config, Train
from trainables.protocols import Protocol, cut
from trainables.task import Task

pytestmark = pytest.mark.slow


def test_iemocap_with_missing_modalities(shared_data):
    corpus = corpora.load(shared_data("iemocap"), features={"audio": "audio_gemaps47", "text": "text_minilm384"})
    folds, _ = cut(corpus, Protocol(kind="leave-one-session-out", dev="session"))
    config = Config(train=Train(tokens=2, transforms=2, batch_size=128, epochs=6))
    *_, last = train.run(config, Task(corpus, folds[:2], (0,)), {})
    uar = {name: metrics.uar(counts) for (part, name), counts in last.confusions.items() if part == "test"}
    assert set(uar) == {"audio", "text", "audio+text"}
    assert all((each > 0.4).all() for each in uar.values()), "chance is 0.25"
    assert uar["audio+text"].mean() > max(uar["audio"].mean(), uar["text"].mean()) + 0.03
    recovered = [each.value for each in last.diagnostics if each.measure == "cosine"]
    assert min(recovered) > 0, "recovered vectors point where the true ones do"
    assert last.flags == ()
