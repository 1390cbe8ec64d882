"""Test speakers one by one: how well each of them is recognised, and how many utterances that stands on.

Counts are of an arm's last stage, on test, at the epoch that each fold and seed chose on dev. A speaker's UAR is the
mean of the recalls of the classes that he or she speaks; ``classes`` says how many these are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.aggregate import metrics_of
from analysis.run import Run

#: What one row is counted on, within a condition.
ROW = ("fold", "speaker", "seed")


class Spread(NamedTuple):
    """How far the test speakers of an arm lie apart; UAR as shares, means over seeds and conditions.

    Attributes:
        speakers: How many there are.
        mean: Mean of their UAR, every speaker counting alike.
        std: Spread between them, ddof 1.
        lowest: The lowest.
        highest: The highest.
        chance: The most it would be if all speakers were recognised equally well, for so few utterances each.
    """

    speakers: int
    mean: float
    std: float
    lowest: float
    highest: float
    chance: float


def counts_of(run: Run, arm: str, condition: str | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """Confusion counts of every test speaker of an arm.

    Args:
        run: The run; one of before speakers were counted has none.
        arm: The arm.
        condition: A test condition; all of them when None.

    Returns:
        A frame with ``condition``, ``fold``, ``speaker``, ``seed`` and ``n`` (utterances), one row a confusion, in no
        particular order; and the counts, shape (rows, C, C), truth first.
    """
    wanted = (run.speakers["arm"] == arm).to_numpy()
    if condition is not None:
        wanted = wanted & (run.speakers["condition"] == condition).to_numpy()
    frame = run.speakers.loc[wanted, ["condition", *ROW, "n"]].reset_index(drop=True)
    for name in ("condition", "speaker"):
        frame[name] = frame[name].astype(str)
    return frame, run.speaker_confusions[wanted]


def values_of(run: Run, arm: str, condition: str | None = None) -> pd.DataFrame:
    """Scores of every test speaker of an arm, in one condition or as the mean over all of them.

    Returns:
        Indexed by (fold, speaker, seed), sorted, folds in the order of the protocol: ``uar`` (over the classes that
        the speaker has), ``war``, ``n`` (utterances) and ``classes`` (how many the speaker has); empty where the arm
        has no counts.
    """
    frame, counts = counts_of(run, arm, condition)
    frame[["uar", "war"]] = metrics_of(counts)[["uar", "war"]]
    frame["classes"] = (counts.sum(axis=2) > 0).sum(axis=1)
    over = frame.groupby(list(ROW), observed=True)
    return over.agg({"uar": "mean", "war": "mean", "n": "first", "classes": "first"}).sort_index()


def summary(run: Run, arm: str, condition: str | None = None) -> pd.DataFrame:
    """One row a test speaker of an arm, means over seeds (and over conditions where none is named).

    Returns:
        Indexed by (fold, speaker): ``uar``, ``uar_seed_std`` (spread over seeds, ddof 1; NaN with one), ``war``, ``n``,
        ``classes``, and ``recall_CLASS`` of every class, NaN where the speaker has none of it.
    """
    over = values_of(run, arm, condition).groupby(["fold", "speaker"], observed=True)
    table = over.agg({"uar": "mean", "war": "mean", "n": "first", "classes": "first"})
    table.insert(1, "uar_seed_std", over["uar"].std(ddof=1))
    frame, counts = counts_of(run, arm, condition)
    recalls = pd.DataFrame(_recalls(counts), columns=[f"recall_{name}" for name in run.classes])
    means = recalls.groupby([frame["fold"], frame["speaker"]], observed=True).mean()
    return table.join(means)


def spread(run: Run, arm: str) -> Spread | None:
    """How far the test speakers of an arm lie apart; None where they were not counted, or only one was."""
    table = summary(run, arm)
    if len(table) < 2:
        return None
    uar = table["uar"]
    mean, std = float(uar.mean()), float(uar.std(ddof=1))
    return Spread(len(table), mean, std, float(uar.min()), float(uar.max()), _chance(run, arm))


def _chance(run: Run, arm: str) -> float:
    """Spread of the UAR of speakers who are all alike, each class recognised in one share of its utterances.

    The variance of a recall is r (1 - r) / n; that of a speaker's UAR is the mean of these over his or her C classes,
    over C. Seeds and conditions are taken to err on the same utterances, so a mean over them spreads no less: this is
    the most that chance can make of it.
    """
    frame, counts = counts_of(run, arm)
    support = counts.sum(axis=2)
    spreads = []
    for mine in frame.groupby("condition").indices.values():
        recall = _recalls(counts[mine].sum(axis=0, keepdims=True))
        there = support[mine] > 0
        variances = np.where(there, recall * (1 - recall) / np.maximum(support[mine], 1), 0.0).sum(axis=1)
        spreads.append(np.sqrt(np.mean(variances / there.sum(axis=1) ** 2)))
    return float(np.mean(spreads))


def _recalls(counts: np.ndarray) -> np.ndarray:
    """Recall of each class, shape (rows, C, C) to (rows, C); NaN where a class has no utterance."""
    support = counts.sum(axis=2)
    return np.where(support > 0, np.einsum("ncc->nc", counts) / np.maximum(support, 1), np.nan)
