"""Several runs in one table: the best arm of each, paired with the first run's where that is fair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import aggregate, compare
from analysis.findings import Findings
from analysis.run import Run
from analysis.tables import Column, Table
from analysis.words import change, interval, with_spread


def comparison(found: Sequence[Findings]) -> Table:
    """The best arm of each run; paired with the first run's where both were tested on the same rows."""
    frame = pd.DataFrame([_comparison_row(one, found[0]) for one in found])
    columns = (
        Column("Run", lambda r: r.run, numeric=False),
        Column("Method", lambda r: r.method, numeric=False),
        Column("Corpus", lambda r: r.corpus, numeric=False),
        Column("Best arm", lambda r: r.best, numeric=False),
        Column("Dev UAR, %", lambda r: with_spread(r.dev_uar, r.dev_uar_fold_std)),
        Column("Test UAR, %", lambda r: with_spread(r.test_uar, r.test_uar_fold_std)),
        Column("Arms", lambda r: f"{r.arms:,}"),
        Column("Against the first, points", lambda r: change(r.difference)),
        Column("95 % interval", lambda r: interval(r.low, r.high)),
        Column("Verdict", lambda r: r.verdict, numeric=False),
    )
    note = (
        "Each run's arm was chosen on its own dev parts. Against the first: paired by fold and seed, only "
        "where corpus, folds "
        "and classes are the same; corrected resampled t-test, not adjusted over runs."
    )
    return Table("comparison", "Runs side by side", note, frame, columns)


def _comparison_row(one: Findings, first: Findings) -> dict[str, Any]:
    row: dict[str, Any] = {
        "run": one.run.name,
        "method": str((one.run.provenance.get("method") or {}).get("name", "")),
        "corpus": str(one.run.provenance["corpus"].get("name", "")),
        "best": one.name(one.best) or "none yet",
        "arms": len(one.run.trials),
    }
    for split in ("dev", "test"):
        for column in ("uar", "uar_fold_std", "uar_seed_std"):
            row[f"{split}_{column}"] = one.number(one.best, column, split)
    row |= {"difference": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "verdict": ""}
    if one is first:
        return row
    estimate = _between(one, first)
    if estimate is None:
        return row | {"verdict": "not comparable: other corpus, folds or classes"}
    found = {"difference": estimate.difference, "low": estimate.low, "high": estimate.high, "p": estimate.p}
    words = {compare.HELPS: "better", compare.HURTS: "worse"}
    verdict = compare.verdict(estimate, estimate.p)
    return row | found | {"verdict": words.get(verdict, verdict)}


def _between(one: Findings, first: Findings) -> compare.Estimate | None:
    if one.best is None or first.best is None or _tested_on(one.run) != _tested_on(first.run):
        return None
    rows = (aggregate.by_row(aggregate.final_rows(f.run)) for f in (one, first))
    arms = (one.best, first.best)
    mine, other = compare.paired(*(aggregate.values_of(r, arm) for r, arm in zip(rows, arms, strict=True)))
    return compare.estimate(mine - other, compare.size_ratio(one.run)) if mine.size else None


def _tested_on(run: Run) -> tuple[Any, ...]:
    """What must be equal for rows of two runs to be pairs."""
    folds = tuple((fold["name"], fold.get("test")) for fold in run.provenance["folds"])
    return run.provenance["corpus"].get("fingerprint"), folds, run.classes
