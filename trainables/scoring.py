"""Confusion counts of every row's dev and test part, from stacked logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.epoch import Confusions
from trainables.selection import Best


@dataclass(frozen=True)
class Part:
    """One part (dev or test) of every row, padded to a common length.

    Attributes:
        index: Utterances, shape (R, n).
        valid: Which of them are not padding, shape (R, n).
        labels: Their classes, shape (R, n).
        classes: How many classes there are.
    """

    index: Tensor
    valid: Tensor
    labels: Tensor
    classes: int

    @classmethod
    def make(cls, parts: Sequence[np.ndarray], labels: Tensor, classes: int) -> Part:
        """Pad one index array a row; ``labels`` are those of all utterances, shape (N,).

        Parts of nothing become one padding place: not every network can be asked about no utterance at all.
        """
        longest = max(1, *(len(part) for part in parts))
        index = torch.zeros(len(parts), longest, dtype=torch.long)
        valid = torch.zeros(len(parts), longest, dtype=torch.bool)
        for row, part in enumerate(parts):
            index[row, : len(part)] = torch.tensor(part)  # a copy: parts of folds are read-only
            valid[row, : len(part)] = True
        index, valid = index.to(labels.device), valid.to(labels.device)
        return cls(index, valid, labels[index], classes)

    def confusion(self, logits: Tensor, rows: np.ndarray | None = None) -> np.ndarray:
        """Counts by truth and prediction, shape (R, C, C).

        Args:
            logits: Shape (R, n, C); only the given rows, where ``rows`` is given.
            rows: Which rows the logits are of, shape (R,), bool; the counts of the others are 0.
        """
        chosen = np.flatnonzero(np.ones(len(self.index), dtype=bool) if rows is None else rows)
        counts = np.zeros((len(self.index), self.classes, self.classes), dtype=np.int64)
        truth, guess, valid = (
            tensor.cpu().numpy() for tensor in (self.labels[chosen], logits.argmax(-1), self.valid[chosen])
        )
        where = np.broadcast_to(chosen[:, None], valid.shape)
        np.add.at(counts, (where[valid], truth[valid], guess[valid]), 1)
        return counts


def score(
    best: Best,
    dev: Part,
    test: Part,
    logits: Callable[[Part, np.ndarray], Mapping[str, Tensor]],
    last: Mapping[str, np.ndarray],
) -> tuple[Confusions, np.ndarray]:
    """Score an epoch: dev for every row, test only for rows that are now at their best on dev.

    Args:
        best: What is known of earlier epochs.
        dev: The dev parts.
        test: The test parts.
        logits: Gives, by test condition, the logits of a part for the given rows, shape (rows.sum(), n, C).
        last: Test counts at the best epochs before this one by condition, shape (R, C, C); empty at first.

    Returns:
        Confusion counts: dev after this epoch, test at each row's best epoch so far; and which rows improved.
    """
    everyone = np.ones(len(best.uar), dtype=bool)
    with torch.no_grad():
        dev_counts = {name: dev.confusion(each) for name, each in logits(dev, everyone).items()}
        better = best.improved(dev_counts)
        test_counts = {name: last.get(name, np.zeros_like(counts)) for name, counts in dev_counts.items()}
        if better.any():
            for name, each in logits(test, better).items():
                fresh = test.confusion(each, better)
                test_counts[name] = np.where(better[:, None, None], fresh, test_counts[name])
    dev_part = {("dev", name): counts for name, counts in dev_counts.items()}
    return dev_part | {("test", name): counts for name, counts in test_counts.items()}, better
