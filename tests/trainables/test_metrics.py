from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from trainables import metrics

_CLASSES = 4
_predictions = hnp.arrays(np.int64, st.shared(st.integers(1, 40), key="n"), elements=st.integers(0, _CLASSES - 1))
_SCORES = (metrics.uar, metrics.war, metrics.wf1, metrics.macro_f1, metrics.absent)


@given(_predictions, _predictions)
def test_scores_equal_scikit_learn(labels: np.ndarray, predictions: np.ndarray) -> None:
    counts = metrics.confusion(labels, predictions, _CLASSES)
    every, seen = list(range(_CLASSES)), np.unique(labels)
    assert (counts == reference.confusion_matrix(labels, predictions, labels=every)).all()
    recalls = reference.recall_score(labels, predictions, labels=seen, average=None)
    np.testing.assert_allclose(metrics.recalls(counts)[seen], recalls)
    assert metrics.uar(counts) == pytest.approx(np.mean(recalls))
    assert metrics.war(counts) == pytest.approx(reference.accuracy_score(labels, predictions))
    for ours, average, over in ((metrics.wf1, "weighted", every), (metrics.macro_f1, "macro", seen)):
        theirs = reference.f1_score(labels, predictions, labels=over, average=average, zero_division=0)
        assert ours(counts) == pytest.approx(theirs)
    assert metrics.absent(counts) == _CLASSES - len(seen)


@given(_predictions)
def test_uar_is_balanced_accuracy_when_all_classes_are_there(predictions: np.ndarray) -> None:
    labels = np.concatenate([np.arange(_CLASSES), np.roll(predictions, 1)])
    guesses = np.concatenate([np.zeros(_CLASSES, dtype=np.int64), predictions])
    counts = metrics.confusion(labels, guesses, _CLASSES)
    assert metrics.uar(counts) == pytest.approx(reference.balanced_accuracy_score(labels, guesses))


@given(hnp.arrays(np.int64, (2, 3, _CLASSES, _CLASSES), elements=st.integers(0, 9)))
def test_stacked_counts_score_as_each_alone(counts: np.ndarray) -> None:
    counts[..., 0, 0] += 1
    for score in _SCORES:
        stacked = score(counts)
        assert stacked.shape == (2, 3)
        for place in np.ndindex(2, 3):
            assert stacked[place] == score(counts[place])


def test_stacked_predictions_are_counted_row_by_row() -> None:
    labels = np.array([[0, 1, 1], [2, 2, 0]])
    predictions = np.array([[0, 1, 0], [2, 0, 0]])
    counts = metrics.confusion(labels, predictions, 3)
    assert counts.shape == (2, 3, 3)
    assert counts[0].tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert counts[1].tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 1]]


def test_an_absent_class_is_counted_and_left_out_of_the_mean() -> None:
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 2]])
    assert metrics.absent(counts) == 1
    assert metrics.uar(counts) == pytest.approx((0.75 + 0.5) / 2)
    assert np.isnan(metrics.recalls(counts)[1])


@pytest.mark.parametrize("score", [*_SCORES, metrics.recalls, metrics.f1])
def test_counts_without_an_utterance_have_no_score(score: object) -> None:
    counts = np.zeros((2, 3, 3), dtype=np.int64)
    counts[0, 0, 0] = 1
    with pytest.raises(ValueError, match="without any utterance"):
        score(counts)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("counts", "message"),
    [(np.ones((2, 3)), "shape"), (np.ones(3), "shape"), (np.array([[2, -1], [0, 1]]), "negative")],
)
def test_what_is_no_confusion_is_refused(counts: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.uar(counts)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [0], "shape"),
        ([], [], "no utterance"),
        ([0, -1], [0, 0], "labels must be in 0 to 2, found -1"),
        ([0, 1], [0, 3], "predictions must be in 0 to 2"),
    ],
)
def test_labels_that_cannot_be_counted_are_refused(labels: list, predictions: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.confusion(np.array(labels), np.array(predictions), 3)
