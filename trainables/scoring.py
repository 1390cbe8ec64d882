"""Confusion counts of every row's dev and test part, from stacked logits: by speaker, and from these by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from trainables.epoch import BySpeaker, Confusions
from trainables.selection import Best


@dataclass(frozen=True, eq=False)
class Part:
    """One part (dev or test) of every row, padded to a common length; K speakers, counted anew in every row.

    Attributes:
        index: Utterances, shape (R, n).
        valid: Which of them are not padding, shape (R, n).
        labels: Their classes, shape (R, n).
        classes: How many classes there are.
        speaker: Which of the K speakers says each, shape (R, n).
        row: The row of each of the K speakers, shape (K,), rising; within a row, speakers are in the order of names.
    """

    index: Tensor
    valid: Tensor
    labels: Tensor
    classes: int
    speaker: np.ndarray
    row: np.ndarray

    @classmethod
    def make(cls, parts: Sequence[np.ndarray], labels: Tensor, classes: int, speakers: np.ndarray) -> Part:
        """Pad one index array a row.

        Parts of nothing become one padding place: not every network can be asked about no utterance at all.

        Args:
            parts: Utterances of each row.
            labels: Classes of all utterances, shape (N,).
            classes: How many classes there are.
            speakers: Names of the speakers of all utterances, shape (N,).
        """
        longest = max(1, *(len(part) for part in parts))
        index = torch.zeros(len(parts), longest, dtype=torch.long)
        valid = torch.zeros(len(parts), longest, dtype=torch.bool)
        for row, part in enumerate(parts):
            index[row, : len(part)] = torch.tensor(part)  # a copy: parts of folds are read-only
            valid[row, : len(part)] = True
        speaker, owner = _told_apart(index.numpy(), valid.numpy(), speakers)
        index, valid = index.to(labels.device), valid.to(labels.device)
        return cls(index, valid, labels[index], classes, speaker, owner)

    def by_speaker(self, logits: Tensor, rows: np.ndarray | None = None) -> np.ndarray:
        """Counts by truth and prediction of every speaker of every row, shape (K, C, C), int32.

        Args:
            logits: Shape (R, n, C); only the given rows, where ``rows`` is given.
            rows: Which rows the logits are of, shape (R,), bool; the counts of the others are 0.
        """
        chosen = np.flatnonzero(np.ones(len(self.index), dtype=bool) if rows is None else rows)
        counts = np.zeros((len(self.row), self.classes, self.classes), dtype=np.int32)
        truth, guess, valid = (
            tensor.cpu().numpy() for tensor in (self.labels[chosen], logits.argmax(-1), self.valid[chosen])
        )
        np.add.at(counts, (self.speaker[chosen][valid], truth[valid], guess[valid]), 1)
        return counts

    def by_row(self, counts: np.ndarray) -> np.ndarray:
        """Counts by speaker added up to those of every row, shape (K, C, C) to (R, C, C), int64."""
        total = np.zeros((len(self.index), self.classes, self.classes), dtype=np.int64)
        np.add.at(total, self.row, counts)
        return total

    def confusion(self, logits: Tensor, rows: np.ndarray | None = None) -> np.ndarray:
        """Counts by truth and prediction of every row, shape (R, C, C); see `by_speaker`."""
        return self.by_row(self.by_speaker(logits, rows))


def _told_apart(index: np.ndarray, valid: np.ndarray, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the speakers of all rows says each utterance, shape (R, n), and the row of each speaker, shape (K,)."""
    code, names = pd.factorize(speakers, sort=True)
    where = np.arange(len(index))[:, None] * len(names) + code[index]
    there, place = np.unique(where[valid], return_inverse=True)
    speaker = np.zeros_like(index)
    speaker[valid] = place
    return speaker, there // len(names)


@dataclass(frozen=True)
class Scores:
    """An epoch, scored.

    Attributes:
        confusions: Dev after this epoch, test at each row's best epoch so far.
        speakers: The test counts by speaker.
        better: Which rows are at their best with this epoch, shape (R,), bool.
    """

    confusions: Confusions
    speakers: BySpeaker
    better: np.ndarray


def score(
    best: Best,
    dev: Part,
    test: Part,
    logits: Callable[[Part, np.ndarray], Mapping[str, Tensor]],
    last: Mapping[str, np.ndarray],
) -> Scores:
    """Score an epoch: dev for every row, test only for rows that are now at their best on dev.

    Args:
        best: What is known of earlier epochs.
        dev: The dev parts.
        test: The test parts.
        logits: Gives, by test condition, the logits of a part for the given rows, shape (rows.sum(), n, C).
        last: Test counts by speaker at the best epochs before this one, by condition, shape (K, C, C); empty at first.
    """
    everyone = np.ones(len(best.uar), dtype=bool)
    with torch.no_grad():
        dev_counts = {name: dev.confusion(each) for name, each in logits(dev, everyone).items()}
        better = best.improved(dev_counts)
        none = np.zeros((len(test.row), test.classes, test.classes), dtype=np.int32)
        speakers = {name: last.get(name, none) for name in dev_counts}
        if better.any():
            fresh = better[test.row][:, None, None]
            for name, each in logits(test, better).items():
                speakers[name] = np.where(fresh, test.by_speaker(each, better), speakers[name])
    dev_part: Confusions = {("dev", name): counts for name, counts in dev_counts.items()}
    test_part: Confusions = {("test", name): test.by_row(counts) for name, counts in speakers.items()}
    return Scores(dev_part | test_part, speakers, better)
