import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from trainables.features import Normaliser, class_weights


def test_fitted_on_train_rows_alone(small_task, with_features):
    fold = small_task.folds[0]
    audio = small_task.corpus.features["audio"].copy()
    held_out = np.concatenate([fold.dev, fold.test])
    audio[held_out] = 1e6
    changed = with_features(small_task.corpus, audio=audio)
    before = Normaliser.fit(small_task.corpus, [fold], "audio", 4)
    after = Normaliser.fit(changed, [fold], "audio", 4)
    assert torch.equal(before.mean, after.mean)
    assert torch.equal(before.std, after.std)
    assert torch.equal(before.basis, after.basis)


def test_train_rows_become_standard_and_missing_ones_zero(small_task):
    corpus, fold = small_task.corpus, small_task.folds[1]
    out = Normaliser.fit(corpus, [fold], "audio").apply(corpus.features["audio"], corpus.present["audio"])[0]
    seen = out[fold.train[corpus.present["audio"][fold.train]]]
    assert torch.allclose(seen.mean(0), torch.zeros(out.shape[1]), atol=1e-4)
    assert torch.allclose(seen.std(0, correction=0), torch.ones(out.shape[1]), atol=1e-3)
    missing = ~corpus.present["audio"]
    assert missing.any()
    assert (out[missing] == 0).all()


def test_a_constant_column_does_no_harm(small_task, with_features):
    audio = small_task.corpus.features["audio"].copy()
    audio[:, 0] = 3.25
    corpus = with_features(small_task.corpus, audio=audio)
    out = Normaliser.fit(corpus, small_task.folds, "audio").apply(audio, corpus.present["audio"])
    assert torch.isfinite(out).all()
    assert out[..., 0].abs().max() < 1e-5


def test_reduction_keeps_the_leading_subspace_at_unit_scale(small_task):
    corpus, fold = small_task.corpus, small_task.folds[0]
    full = Normaliser.fit(corpus, [fold], "text")
    reduced = Normaliser.fit(corpus, [fold], "text", 3)
    train = fold.train[corpus.present["text"][fold.train]]
    standard = full.apply(corpus.features["text"], corpus.present["text"])[0, train].double()
    out = reduced.apply(corpus.features["text"], corpus.present["text"])[0, train].double()
    assert reduced.dim == 3
    assert out.square().mean().item() == pytest.approx(1.0, rel=0.02)
    _, _, directions = torch.linalg.svd(standard - standard.mean(0), full_matrices=False)
    kept = reduced.basis[0].double() / reduced.basis[0].double().norm(dim=0)
    assert torch.allclose(kept @ kept.T, directions[:3].T @ directions[:3], atol=1e-4)


def test_state_round_trip(small_task):
    made = Normaliser.fit(small_task.corpus, small_task.folds, "text", 2)
    again = Normaliser.load(made.state("t."), "t.")
    assert torch.equal(made.mean, again.mean)
    assert torch.equal(made.basis, again.basis)


def test_class_weights_are_the_balanced_ones():
    labels = np.array([0, 0, 0, 1, 2, 2, 2, 2])
    assert np.allclose(class_weights(labels, 3), compute_class_weight("balanced", classes=np.arange(3), y=labels))
    assert class_weights(np.array([0, 2]), 3)[1] == 1.0
