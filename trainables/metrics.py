"""Scores of a classifier from its confusion counts.

Every function takes counts of shape (..., C, C), truth along axis -2 and prediction along axis -1, and works on
stacked counts: the leading axes (folds, seeds, epochs) are kept. A class that never occurs in the truth has no
recall; the means run over the classes that do occur, and `absent` says how many do not.
"""

from __future__ import annotations

import numpy as np


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Counts by truth and prediction.

    Args:
        labels: True class indices, shape (..., n).
        predictions: Predicted class indices, the same shape.
        classes: How many classes there are.

    Returns:
        Shape (..., classes, classes), int64, truth along axis -2.

    Raises:
        ValueError: If the shapes differ, n is 0, or an index is outside 0 to classes - 1.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise ValueError(f"labels have shape {labels.shape}, predictions {predictions.shape}")
    if labels.size == 0:
        raise ValueError("there is no utterance to score")
    for name, values in (("labels", labels), ("predictions", predictions)):
        if values.min() < 0 or values.max() >= classes:
            raise ValueError(f"{name} must be in 0 to {classes - 1}, found {values.min()} to {values.max()}")
    lead = labels.shape[:-1]
    pairs = (labels.astype(np.int64) * classes + predictions).reshape(-1, labels.shape[-1])
    offsets = np.arange(len(pairs))[:, None] * classes**2
    counts = np.bincount((pairs + offsets).ravel(), minlength=len(pairs) * classes**2)
    return counts.reshape(*lead, classes, classes)


def recalls(counts: np.ndarray) -> np.ndarray:
    """Recall of each class, shape (..., C); NaN for a class absent from the truth."""
    counts = _checked(counts)
    support = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return np.asarray(np.where(support > 0, hits / np.maximum(support, 1), np.nan))


def uar(counts: np.ndarray) -> np.ndarray:
    """Unweighted average recall over the classes present in the truth, shape (...), in [0, 1]."""
    return np.asarray(np.nanmean(recalls(counts), axis=-1))


def war(counts: np.ndarray) -> np.ndarray:
    """Recall weighted by support, that is the accuracy, shape (...), in [0, 1]."""
    counts = _checked(counts)
    return np.asarray(np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1)))


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each class, shape (..., C); 0 for a class neither present nor predicted."""
    counts = _checked(counts)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    total = counts.sum(axis=-1) + counts.sum(axis=-2)
    return np.asarray(2 * hits / np.maximum(total, 1))


def wf1(counts: np.ndarray) -> np.ndarray:
    """F1 weighted by support, shape (...), in [0, 1]."""
    counts = _checked(counts)
    support = counts.sum(axis=-1)
    return np.asarray((f1(counts) * support).sum(axis=-1) / support.sum(axis=-1))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes present in the truth, shape (...), in [0, 1]."""
    counts = _checked(counts)
    present = counts.sum(axis=-1) > 0
    return np.asarray((f1(counts) * present).sum(axis=-1) / present.sum(axis=-1))


def absent(counts: np.ndarray) -> np.ndarray:
    """How many classes never occur in the truth, shape (...)."""
    return np.asarray((_checked(counts).sum(axis=-1) == 0).sum(axis=-1))


def _checked(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2] or counts.shape[-1] == 0:
        raise ValueError(f"confusion counts must have shape (..., C, C), found {counts.shape}")
    if (counts < 0).any():
        raise ValueError("confusion counts must not be negative")
    if (counts.sum(axis=(-2, -1)) == 0).any():
        raise ValueError("a confusion without any utterance has no score")
    return counts
