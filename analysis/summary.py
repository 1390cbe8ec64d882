"""The headline numbers of a run as plain values, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from analysis import compare, search
from analysis.cautions import cautions
from analysis.findings import Findings
from analysis.run import Run, load
from analysis.words import headline


def summary(run: Run | str | Path) -> dict[str, Any]:
    """Headline numbers of a run as plain JSON values, for ``sweeper status``, ``export`` and other tools.

    Args:
        run: A run, or its folder.

    Returns:
        ``run``, ``finished``, ``headline``; ``best`` and ``paper_defaults`` (arm, name, kind, changed, score, dev,
        test; None when not done); ``arms`` by status; ``chosen_from`` (arms that might have been); ``epochs``,
        ``ablation``, ``baselines``, ``cautions``, ``seconds``. Shares in [0, 1]; a number that cannot be
        computed is None.

    Raises:
        ReportError: If the folder cannot be read.
    """
    return summary_of(Findings(run if isinstance(run, Run) else load(run)))


def summary_of(found: Findings) -> dict[str, Any]:
    """`summary` of a run whose findings are there already."""
    trials = found.run.trials
    return {
        "run": found.run.name,
        "finished": found.run.finished,
        "headline": headline(found),
        "best": _arm_summary(found, found.best),
        "paper_defaults": _arm_summary(found, found.paper),
        "arms": {str(status): int(count) for status, count in trials["status"].value_counts().items()},
        "chosen_from": int(search.eligible(trials).sum()),
        "epochs": found.saved._asdict(),
        "ablation": [_verdict_summary(one) for one in found.ablation],
        "baselines": [_verdict_summary(one) for one in found.baselines],
        "cautions": cautions(found),
        "seconds": _plain(found.run.provenance.get("seconds")),
    }


def _arm_summary(found: Findings, arm: str | None) -> dict[str, Any] | None:
    if arm is None:
        return None
    trial = found.run.arm(arm)
    columns = ("uar", "uar_fold_std", "uar_seed_std", "uar_pooled", "war", "wf1", "macro_f1", "folds", "seeds", "n")
    numbers = {s: {c: _plain(found.number(arm, c, s)) for c in columns} for s in ("dev", "test")}
    about = {"arm": arm, "name": str(trial["name"]), "kind": str(trial["kind"]), "changed": trial["changed"]}
    return about | {"score": _plain(trial["score"])} | numbers


def _verdict_summary(one: compare.Comparison) -> dict[str, Any]:
    estimate = one.estimate
    numbers = {
        name: _plain(getattr(estimate, name)) if estimate else None for name in ("difference", "low", "high", "p")
    }
    return {"row": one.name, "basis": one.basis, "verdict": one.verdict, "p_holm": _plain(one.p_holm)} | numbers


def _plain(value: Any) -> float | None:
    """A float, or None where it is missing or not a number: JSON has no NaN."""
    if value is None or not np.isfinite(value):
        return None
    return float(value)
