from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from trainables.features import class_weights
from trainables.prepared import Prepared, normalised
from trainables.protocols import Fold
from trainables.task import Task


@pytest.fixture(scope="module")
def data(small_task):
    return Prepared.make(small_task)


def standardised(corpus, fold, modality):
    """Written out with numpy: by the mean and spread of the train rows that have the modality; 0 where missing."""
    x, present = corpus.features[modality].astype(np.float64), corpus.present[modality]
    train = x[[row for row in fold.train if present[row]]]
    return np.where(present[:, None], (x - train.mean(0)) / train.std(0), 0.0)


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_features_are_standardised_by_each_folds_train_rows(data, small_task, modality):
    for number, fold in enumerate(small_task.folds):
        expected = standardised(small_task.corpus, fold, modality)
        assert data.features[modality][number].numpy() == pytest.approx(expected, abs=1e-4)


def test_what_is_missing_is_zero_whatever_fills_it(data, small_task):
    corpus = small_task.corpus
    for value in (np.nan, np.inf, 1e30):
        gone = {
            name: np.where(corpus.present[name][:, None], array, np.float32(value))
            for name, array in corpus.features.items()
        }
        other = Prepared.make(Task(replace(corpus, features=gone), small_task.folds, small_task.seeds))
        for name, features in data.features.items():
            assert torch.equal(features, other.features[name])
            assert not features[:, ~data.present[name]].any()


def test_held_out_rows_change_no_normaliser(small_task):
    fold = small_task.folds[0]
    corpus = small_task.corpus
    held_out = np.concatenate([fold.dev, fold.test, fold.unlabeled])
    features = {name: array.copy() for name, array in corpus.features.items()}
    for array in features.values():
        array[held_out] *= 100
    task = Task(corpus, (fold,), (0,))
    other = Task(replace(corpus, features=features), (fold,), (0,))
    first, second = Prepared.make(task).state(), Prepared.make(other).state()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_only_the_modalities_asked_for(small_task, data):
    assert data.modalities == ("audio", "text")
    assert data.dims == {"audio": 12, "text": 8}
    text = Prepared.make(small_task, ("text",))
    assert text.modalities == ("text",)
    assert set(text.state()) == {"text.mean", "text.std"}


def test_a_modality_reduced_is_the_train_rows_principal_parts(small_task):
    """Of one scale: the variances over the kept directions have a mean of 1 on the train rows."""
    data = Prepared.make(small_task, dims={"text": 3})
    assert data.dims == {"audio": 12, "text": 3}
    fold, corpus = small_task.folds[1], small_task.corpus
    train = fold.train[corpus.present["text"][fold.train]]
    x = standardised(corpus, fold, "text")[train]
    reduced = data.features["text"][1, train].numpy()
    assert reduced.var(0, ddof=1).mean() == pytest.approx(1, rel=1e-3)
    expected = PCA(3).fit(x).transform(x)
    cosine = [abs(np.corrcoef(reduced[:, k], expected[:, k])[0, 1]) for k in range(3)]
    assert cosine == pytest.approx([1, 1, 1], abs=1e-3)


def test_rows_are_fold_major(data, small_task):
    assert data.rows == 6
    assert data.fold[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert [fold.name for fold, _ in small_task.rows] == [small_task.folds[each].name for each in data.fold[:, 0]]


def test_a_batch_is_each_rows_own_folds_features(data, small_task):
    rng = np.random.default_rng(0)
    index = torch.from_numpy(rng.integers(0, 160, (6, 5)))
    batch = data.batch(index)
    for row in range(6):
        for place, utterance in enumerate(index[row].tolist()):
            for name in ("audio", "text"):
                assert torch.equal(batch["x"][name][row, place], data.features[name][row // 2, utterance])
                assert batch["present"][name][row, place].item() == small_task.corpus.present[name][utterance]


def test_held_out_is_the_batch_of_some_rows(data):
    index = torch.arange(12).view(6, 2)
    rows = np.array([True, False, False, True, False, True])
    some, whole = data.held_out(index[rows], rows), data.batch(index)
    for kind in ("x", "present"):
        for name in data.modalities:
            assert torch.equal(some[kind][name], whole[kind][name][rows])


def test_utterances_with_nothing_are_not_trained_on(small_task):
    """Audio alone: utterance 7 has none; with text beside it, it has something."""
    fold = next(fold for fold in small_task.folds if 7 in fold.train)
    task = Task(small_task.corpus, (fold,), (0, 1))
    alone, both = Prepared.make(task, ("audio",)), Prepared.make(task)
    assert 7 not in alone.train[0]
    assert 7 in both.train[0]
    assert sorted(alone.train[1]) == sorted(set(fold.train) - {7})


def test_unlabeled_utterances_are_those_of_the_train_side(data, small_task):
    for rows, (fold, _) in zip(data.unlabeled, small_task.rows, strict=True):
        assert (small_task.corpus.labels[rows] == -1).all()
        assert set(rows) == set(fold.unlabeled)
    assert any(len(rows) for rows in data.unlabeled)


def test_weights_are_those_of_the_train_part(data, small_task):
    weights = data.weights(True)
    for row, part in enumerate(data.train):
        assert weights[row].numpy() == pytest.approx(class_weights(small_task.corpus.labels[part], 3))
    assert torch.equal(data.weights(False), torch.ones(6, 3))
    few = [np.array([0, 1, 2, 4])] * 6
    assert data.weights(True, few)[0].numpy() == pytest.approx(class_weights(small_task.corpus.labels[few[0]], 3))


def test_steps_are_one_pass_over_the_largest_row(data):
    longest = max(map(len, data.train))
    assert data.steps(longest) == 1
    assert data.steps(longest - 1) == 2
    assert data.steps(10, [np.arange(5), np.arange(31)]) == 4


def test_parts_hold_every_utterance_once_and_padding_does_not_count(data, small_task):
    for name in ("dev", "test"):
        part = data.part(name)
        for row, (fold, _) in enumerate(small_task.rows):
            assert part.index[row][part.valid[row]].tolist() == getattr(fold, name).tolist()
        logits = torch.zeros(*part.index.shape, 3)
        expected = [len(getattr(fold, name)) for fold, _ in small_task.rows]
        assert part.confusion(logits).sum((1, 2)).tolist() == expected


def test_counts_by_speaker_are_those_of_the_speakers_named(data, small_task):
    part, speakers = data.part("test"), small_task.corpus.speakers
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(*part.index.shape, 3)))
    rows = np.array([True, False, True, True, False, True])
    counts = part.by_speaker(logits[torch.from_numpy(rows)], rows)
    assert counts.shape == (len(small_task.tested), 3, 3)
    for (row, name), mine in zip(small_task.tested, counts, strict=True):
        own = part.valid[row].numpy() & (speakers[part.index[row]] == name)
        expected = np.zeros((3, 3), dtype=int)
        for place in np.flatnonzero(own) if rows[row] else []:
            expected[part.labels[row, place], logits[row, place].argmax()] += 1
        assert mine.tolist() == expected.tolist()
    assert part.by_row(counts).tolist() == part.confusion(logits[torch.from_numpy(rows)], rows).tolist()
    assert not part.by_row(counts)[~rows].any()


def test_state_gives_any_corpus_the_same_features(data, small_task):
    again = normalised(data.state(), small_task.corpus, ("text", "audio"), 6)
    assert list(again) == ["text", "audio"]
    for name, features in again.items():
        assert torch.equal(features, data.features[name][data.fold[:, 0]])


def test_a_reduced_modality_is_reduced_again(small_task):
    data = Prepared.make(small_task, ("text",), dims={"text": 3})
    (again,) = normalised(data.state(), small_task.corpus, ("text",), 6).values()
    assert torch.equal(again, data.features["text"][data.fold[:, 0]])


def test_a_fold_that_holds_nothing_out(small_task):
    corpus = small_task.corpus
    fold = Fold.for_training(corpus, np.flatnonzero(corpus.labels >= 0))
    data = Prepared.make(Task(corpus, (fold,), (0,)))
    dev = data.part("dev")
    assert not dev.valid.any()
    assert not dev.confusion(torch.zeros(*dev.index.shape, 3)).any()
    assert dev.by_speaker(torch.zeros(*dev.index.shape, 3)).shape == (0, 3, 3)
    assert len(data.train[0]) == (corpus.labels >= 0).sum()
