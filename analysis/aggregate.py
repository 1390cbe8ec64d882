"""From fold level to arm level, every number under a name that says how it was taken.

An arm is trained on F folds x S seeds. ``uar`` is the mean over folds of the mean over seeds;
``uar_fold_std`` the spread of the fold means (ddof 1, NaN with one fold); ``uar_seed_std`` the spread
between seeds within a fold, root mean square over folds (NaN with one seed); ``uar_pooled`` is computed
from the confusion counts summed over folds and seeds. The same for the other metrics.

Where an arm is tested in several conditions, every fold and seed first takes the mean over them: that is what
arms are chosen by, and conditions then add nothing to the spread over folds or seeds. ``uar_pooled`` sums the
counts of all conditions. Numbers of one condition come from `conditions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.run import METRICS, Run

#: What one row of `run.folds` is measured on, within a stage.
ROW = ("arm", "split", "condition", "fold", "seed")


def final_rows(run: Run) -> pd.DataFrame:
    """Rows of `run.folds` that belong to the last stage of their arm."""
    return run.final


def by_row(folds: pd.DataFrame) -> pd.DataFrame:
    """Metrics of every row, to be looked up.

    Args:
        folds: Rows of `Run.folds` of one stage an arm.

    Returns:
        Indexed by (arm, split, condition, fold, seed), sorted, one column a metric.
    """
    return folds.set_index(list(ROW))[list(METRICS)].sort_index()


def values_of(rows: pd.DataFrame, arm: str, split: str = "test", metric: str = "uar") -> pd.Series:
    """A metric of one arm, indexed by (condition, fold, seed); empty when it has none.

    Args:
        rows: From `by_row`.
        arm: The arm.
        split: ``test`` or ``dev``.
        metric: A column of `rows`.
    """
    there = rows[metric]
    try:
        return there.xs((arm, split), level=("arm", "split"))
    except KeyError:
        return there.iloc[:0].droplevel(["arm", "split"])


def summarise(run: Run, folds: pd.DataFrame | None = None, *, by: Sequence[str] = ()) -> pd.DataFrame:
    """Every arm's metrics over its folds and seeds.

    Args:
        run: The run.
        folds: Rows of `run.folds` to use; the final rows when None.
        by: Further columns to keep apart, such as ``condition`` or ``stage``.

    Returns:
        Indexed by (arm, split, *by); for each metric m the columns ``m``, ``m_fold_std``, ``m_seed_std``,
        ``m_pooled`` (see the module), and ``folds``, ``seeds``, ``n`` (utterances, all folds of one seed).
    """
    folds = final_rows(run) if folds is None else folds
    keys = ["arm", "split", *by]
    metrics = list(METRICS)
    # Conditions are averaged first, so that seeds and folds stay the only sources of spread.
    rows = folds.groupby([*keys, "fold", "seed"], observed=True)[metrics].mean()
    per_fold = rows.groupby([*keys, "fold"], observed=True)
    means, variances = per_fold.mean(), per_fold.var(ddof=1)
    over = means.groupby(keys, observed=True)
    summary = over.mean()
    summary[[f"{m}_fold_std" for m in metrics]] = over.std(ddof=1).to_numpy()
    seed_variance = variances.groupby(keys, observed=True).mean()
    summary[[f"{m}_seed_std" for m in metrics]] = np.sqrt(seed_variance.to_numpy())
    summary["folds"] = over.size()
    summary["seeds"] = per_fold.size().groupby(keys, observed=True).max()
    counts = pooled_confusions(run, folds, keys).loc[summary.index]
    pooled = metrics_of(counts.to_numpy().reshape(-1, len(run.classes), len(run.classes)))
    summary[[f"{m}_pooled" for m in metrics]] = pooled[metrics].to_numpy()
    summary["n"] = folds.groupby([*keys, "fold"], observed=True)["n"].mean().groupby(keys, observed=True).sum()
    return summary


def pooled_confusions(run: Run, folds: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Confusion counts summed over all rows of each group, flattened to C*C columns, truth first."""
    # Not -1: of a run without a single finished epoch there are no rows to tell it from.
    flat = run.confusions[folds.index].reshape(len(folds), len(run.classes) ** 2)
    table = pd.DataFrame(flat, index=folds.index)
    return table.groupby([folds[key] for key in keys], observed=True).sum()


def confusion(run: Run, arm: str, split: str = "test") -> dict[str, np.ndarray]:
    """Confusion counts of an arm's last stage by condition, summed over folds and seeds, shape (C, C) each."""
    rows = _rows_of(run, arm, split)
    return {
        str(condition): run.confusions[mine.index].sum(axis=0)
        for condition, mine in rows.groupby("condition", observed=True)
    }


def _rows_of(run: Run, arm: str, split: str, condition: str | None = None) -> pd.DataFrame:
    rows = final_rows(run)
    rows = rows[(rows["arm"] == arm) & (rows["split"] == split)]
    return rows if condition is None else rows[rows["condition"] == condition]


def metrics_of(counts: np.ndarray) -> pd.DataFrame:
    """The metrics of stacked confusion counts.

    Args:
        counts: Shape (N, C, C), truth along axis 1.

    Returns:
        N rows; UAR and macro F1 are means over the classes present in the truth, weighted F1 is weighted
        by their counts; NaN where a confusion is empty.
    """
    counts = np.asarray(counts, dtype=float)
    hits = np.einsum("ncc->nc", counts)
    support, predicted = counts.sum(axis=2), counts.sum(axis=1)
    there = support > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(there, hits / support, 0.0)
        f1 = np.where(there, 2 * hits / (support + predicted), 0.0)
        total, present = support.sum(axis=1), there.sum(axis=1)
        return pd.DataFrame(
            {
                "uar": recall.sum(axis=1) / present,
                "war": hits.sum(axis=1) / total,
                "wf1": (f1 * support).sum(axis=1) / total,
                "macro_f1": f1.sum(axis=1) / present,
            }
        )


def recalls(run: Run, arm: str, split: str = "test", condition: str | None = None) -> pd.DataFrame:
    """Recall by class of an arm's last stage, in one condition or as the mean over all.

    Returns:
        One row a class: ``recall`` (mean over folds of the mean over seeds, folds without the class left
        out), ``recall_fold_std``, ``recall_pooled``, ``n`` (utterances of one seed), ``folds`` (with the class).
    """
    rows = _rows_of(run, arm, split, condition)
    counts = run.confusions[rows.index].astype(float)
    support = counts.sum(axis=2)
    with np.errstate(invalid="ignore"):
        recall = np.einsum("ncc->nc", counts) / support
    per_fold = pd.DataFrame(recall, columns=list(run.classes)).groupby(rows["fold"].to_numpy()).mean()
    repeats = max(rows["seed"].nunique() * rows["condition"].nunique(), 1)
    pooled = np.einsum("ncc->c", counts) / np.where(support.sum(axis=0) > 0, support.sum(axis=0), np.nan)
    return pd.DataFrame(
        {
            "recall": per_fold.mean(),
            "recall_fold_std": per_fold.std(ddof=1),
            "recall_pooled": pooled,
            "n": np.rint(support.sum(axis=0) / repeats).astype(int),
            "folds": per_fold.notna().sum(),
        }
    ).rename_axis("class")


def folds_of(run: Run, arm: str) -> pd.DataFrame:
    """One row a fold of an arm's last stage: dev and test UAR (mean over seeds and conditions), n, chosen epochs.

    Returns:
        Indexed by fold: ``dev``, ``test``, ``test_seed_std``, ``test_war``, ``n``, ``epoch_low``,
        ``epoch_high`` (range over seeds), ``absent`` (classes absent from the test truth, joined).
    """
    rows = final_rows(run)
    rows = rows[rows["arm"] == arm]
    numbers = rows.groupby(["split", "fold", "seed"], observed=True)[["uar", "war", "n", "epoch"]].mean().reset_index()
    dev, test = (numbers[numbers["split"] == split].groupby("fold", observed=True) for split in ("dev", "test"))
    table = pd.DataFrame({"dev": dev["uar"].mean(), "test": test["uar"].mean()})
    table["test_seed_std"] = test["uar"].std(ddof=1)
    table["test_war"] = test["war"].mean()
    table["n"] = test["n"].first()
    table["epoch_low"], table["epoch_high"] = test["epoch"].min(), test["epoch"].max()
    table["absent"] = pd.Series(absent_classes(run, arm)).reindex(table.index).fillna("")
    return table


def absent_classes(run: Run, arm: str, split: str = "test") -> dict[str, str]:
    """Classes that no utterance of a fold's part has, joined by commas, for the folds that lack any."""
    rows = _rows_of(run, arm, split).drop_duplicates("fold")
    support = run.confusions[rows.index].sum(axis=2)
    absent = {
        str(fold): ", ".join(np.array(run.classes)[counts == 0])
        for fold, counts in zip(rows["fold"], support, strict=True)
    }
    return {fold: names for fold, names in absent.items() if names}
