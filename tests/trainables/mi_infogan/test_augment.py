import numpy as np
import pytest
import torch

from trainables.mi_infogan import augment
from trainables.mi_infogan.config import Align, Augment, Config, Generate
from trainables.mi_infogan.data import Data
from trainables.mi_infogan.method import METHOD

SMALL = Config(
    align=Align(hidden=(16,), feature_dim=6, epochs=3, batch_size=16),
    generate=Generate(epochs=2, batch_size=16, noise_dim=5, learning_rate=1e-3),
    augment=Augment(epochs=3, batch_size=16, learning_rate=1e-3),
)


def changed(**changes):
    return SMALL.model_copy(update={"augment": SMALL.augment.model_copy(update=changes)})


def train(config, task, artifacts=None):
    artifacts = dict(artifacts or {})
    for stage in METHOD.active(config):
        if stage.name not in artifacts:
            *_, last = stage.run(config, task, artifacts)
            artifacts[stage.name] = last.artifact
    return artifacts, last


@pytest.fixture(scope="module")
def trained(small_task):
    artifacts, _ = train(SMALL, small_task)
    return {name: artifacts[name] for name in ("align", "generate")}


def pool_of(config, task):
    data = Data.of(config, task)
    return data, augment.Pool.make(config, data)


def items(pool, row):
    size = pool.sizes[row]
    return list(
        zip(
            pool.utterance[row, :size].tolist(),
            pool.audio[row, :size].tolist(),
            pool.text[row, :size].tolist(),
            strict=True,
        )
    )


def test_unimodal_pool_is_real_and_as_many_generated(small_task):
    data, pool = pool_of(SMALL, small_task)
    for row, train_part in enumerate(data.train):
        expected = [(u, False, False) for u in train_part] + [(u, True, False) for u in train_part]
        assert sorted(items(pool, row)) == sorted(expected)


def test_multimodal_pool_is_the_four_pairings(small_task):
    data, pool = pool_of(changed(inputs="audio+text"), small_task)
    train_part = data.train[1]
    expected = [(u, bool(a), bool(t)) for u in train_part for a in (0, 1) for t in (0, 1)]
    assert sorted(items(pool, 1)) == sorted(expected)


def test_the_control_has_as_many_items_and_nothing_generated(small_task):
    for inputs in ("audio", "audio+text"):
        _, generated = pool_of(changed(inputs=inputs), small_task)
        _, real = pool_of(changed(inputs=inputs, source="real"), small_task)
        assert real.sizes == generated.sizes
        assert not real.audio.any()
        assert not real.text.any()


def test_balancing_makes_classes_equal_without_touching_real_ones(small_task):
    data, pool = pool_of(changed(balance=True), small_task)
    labels = data.labels.numpy()
    for row, train_part in enumerate(data.train):
        utterances = np.array([u for u, _, _ in items(pool, row)])
        counts = np.bincount(labels[utterances])
        assert (counts == counts.max()).all()
        assert sorted(u for u, a, _ in items(pool, row) if not a) == sorted(train_part.tolist())


def test_sources_are_train_utterances_alone(small_task):
    data, pool = pool_of(changed(balance=True), small_task)
    for row, (fold, _) in enumerate(data.task.rows):
        held_out = set(np.concatenate([fold.dev, fold.test]).tolist())
        assert not held_out & {u for u, _, _ in items(pool, row)}


def test_the_unimodal_classifier_starts_from_the_baselines(small_task, trained):
    config = changed(learning_rate=1e-12, epochs=1)
    artifacts, _ = train(config, small_task, trained)
    assert torch.allclose(artifacts["augment"]["0.weight"], trained["align"]["W_y.weight"], atol=1e-6)


def test_stages_that_are_active(small_task):
    def names(**changes):
        return [stage.name for stage in METHOD.active(changed(**changes))]

    assert names() == ["align", "generate", "augment"]
    assert names(source="real") == ["align", "augment"]
    assert names(source="none") == ["align"]
    assert names(source="none", inputs="audio+text") == ["align", "augment"]


@pytest.mark.parametrize("inputs", ["audio", "audio+text"])
def test_resumed_equals_uninterrupted(small_task, trained, inputs):
    config = changed(inputs=inputs, redraw=True)
    whole = list(augment.run(config, small_task, trained))
    state = next(augment.run(config, small_task, trained)).state
    rest = list(augment.run(config, small_task, trained, state))
    assert all(torch.equal(whole[-1].artifact[k], rest[-1].artifact[k]) for k in whole[-1].artifact)


@pytest.mark.parametrize("hidden", [(), (7,)])
def test_predict_gives_what_was_scored(small_task, hidden):
    """Argmax of `predict` over the test parts must reproduce the confusion counts of the chosen epochs."""
    config = changed(inputs="audio+text", hidden=hidden)
    artifacts, last = train(config, small_task)
    corpus = small_task.corpus
    probabilities = METHOD.predict(config, artifacts, corpus)
    assert np.allclose(probabilities.sum(-1), 1, atol=1e-5)
    counts = last.confusions["test", "audio+text"]
    for row, (fold, _) in enumerate(small_task.rows):
        guess = probabilities[row, fold.test].argmax(-1)
        expected = np.zeros_like(counts[row])
        np.add.at(expected, (corpus.labels[fold.test], guess), 1)
        assert np.abs(expected - counts[row]).sum() <= 2  # a tie may fall to either side


def test_predict_without_stage_3_uses_the_baseline(small_task):
    config = changed(source="none")
    artifacts, last = train(config, small_task)
    fold, _ = small_task.rows[0]
    guess = METHOD.predict(config, artifacts, small_task.corpus)[0, fold.test].argmax(-1)
    hits = (guess == small_task.corpus.labels[fold.test]).sum()
    assert abs(hits - np.trace(last.confusions["test", "audio"][0])) <= 1
