"""The test speakers one by one: how well each of them is recognised, and how many utterances that stands on.

Counts are of an arm's last stage, on test, at the epoch that each fold and seed chose on dev. A speaker's UAR is the
mean of the recalls of the classes that he or she speaks; ``classes`` says how many these are.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.aggregate import metrics_of
from analysis.run import Run

#: What one row is counted on, within a condition.
ROW = ("fold", "speaker", "seed")


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
        wanted &= (run.speakers["condition"] == condition).to_numpy()
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
