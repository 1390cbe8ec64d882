import numpy as np

from trainables.folds import PARTS
from trainables.stacking import Draws
from trainables.task import Task


def test_rows_are_fold_major(small_task):
    assert [(fold.name, seed) for fold, seed in small_task.rows] == [
        (fold.name, seed) for fold in small_task.folds for seed in (0, 1)
    ]


def test_test_speakers_are_named_row_by_row(small_task):
    names = small_task.corpus.speakers
    expected = [(row, name) for row, (fold, _) in enumerate(small_task.rows) for name in sorted({*names[fold.test]})]
    assert list(small_task.tested) == expected
    assert small_task.labeled().tested == small_task.tested


def test_labeled_keeps_every_part_utterance_by_utterance(small_task):
    made, corpus = small_task.labeled(), small_task.corpus
    assert (made.corpus.labels >= 0).all()
    assert len(made.corpus.labels) == (corpus.labels >= 0).sum()
    for before, after in zip(small_task.folds, made.folds, strict=True):
        for part in PARTS:
            old, new = getattr(before, part), getattr(after, part)
            ids = [
                of.corpus.utterances["utterance_id"].to_numpy()[rows] for of, rows in ((small_task, old), (made, new))
            ]
            assert ids[0].tolist() == ids[1].tolist()
            assert corpus.labels[old].tolist() == made.corpus.labels[new].tolist()
            for name, features in corpus.features.items():
                assert np.array_equal(features[old], made.corpus.features[name][new], equal_nan=True)
                assert np.array_equal(corpus.present[name][old], made.corpus.present[name][new])
        assert len(after.unlabeled) == 0


def test_labeled_rows_draw_the_same_numbers(small_task):
    made = small_task.labeled()
    assert Draws(made, "x").normal(3).tolist() == Draws(small_task, "x").normal(3).tolist()


def test_labeled_takes_a_fold_that_holds_nothing_out(small_task):
    corpus = small_task.corpus
    fold = type(small_task.folds[0]).for_training(corpus, np.flatnonzero(corpus.labels >= 0))
    (made,) = Task(corpus, (fold,), (0,)).labeled().folds
    assert made.train.tolist() == list(range((corpus.labels >= 0).sum()))
    assert len(made.dev) == len(made.test) == 0
