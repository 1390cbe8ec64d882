"""What a later stage gains over the one before it, inside one arm: the same models, folds and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.compare import Estimate, estimate, size_ratio, verdict
from analysis.run import Run
from analysis.statistics import holm


class StageGain(NamedTuple):
    """Test UAR of an arm's last stage minus that of its stage before, on the same condition.

    Attributes:
        arm: The arm.
        name: Its name.
        before: The earlier stage.
        after: The last stage.
        condition: What was present at test.
        uar_before: Mean of fold means after the earlier stage, at its own dev-chosen epoch.
        uar_after: The same after the last stage.
        estimate: The paired difference; positive when the later stage gains.
        p_holm: Its p, adjusted over the rows of the table.
        verdict: In words.
    """

    arm: str
    name: str
    before: str
    after: str
    condition: str
    uar_before: float
    uar_after: float
    estimate: Estimate
    p_holm: float
    verdict: str


def gains(run: Run, arms: Sequence[str], split: str = "test") -> list[StageGain]:
    """Gain of the last stage of each arm over the last classifying stage before it.

    Arms with one classifying stage, or whose two stages share no condition (a later stage that sees the text
    gains from the text, not from its own doing), give no row.
    """
    pairs = [pair for arm in dict.fromkeys(arms) for pair in _pairs(run, arm, split)]
    if not pairs:
        return []
    ratio = size_ratio(run, split)
    found = [estimate((after - before).to_numpy(), ratio) for *_, before, after in pairs]
    adjusted = holm(np.array([one.p for one in found]))
    return [
        StageGain(
            arm=arm,
            name=str(run.arm(arm)["name"]),
            before=stages[0],
            after=stages[1],
            condition=condition,
            uar_before=float(before.mean(axis=1).mean()),
            uar_after=float(after.mean(axis=1).mean()),
            estimate=one,
            p_holm=float(p),
            verdict=verdict(one, float(p)),
        )
        for (arm, stages, condition, before, after), one, p in zip(pairs, found, adjusted, strict=True)
    ]


_Pair = tuple[str, tuple[str, str], str, pd.DataFrame, pd.DataFrame]


def _pairs(run: Run, arm: str, split: str) -> list[_Pair]:
    rows = run.folds[(run.folds["arm"] == arm) & (run.folds["split"] == split)]
    after = rows[rows["final"]]
    earlier = stage_order(run, arm, list(rows[~rows["final"]]["stage"].astype(str).unique()))
    if after.empty or not earlier:
        return []
    last, before = str(after["stage"].iloc[0]), rows[rows["stage"] == earlier[-1]]
    shared = [c for c in after["condition"].astype(str).unique() if c in set(before["condition"].astype(str))]
    return [(arm, (earlier[-1], last), c, _matrix(before, c), _matrix(after, c)) for c in shared]


def stage_order(run: Run, arm: str, stages: Sequence[str]) -> list[str]:
    """Stages in the order in which an arm's epochs came; those without epochs first."""
    came = list(dict.fromkeys(run.curves["stage"][run.curves["arm"] == arm].astype(str)))
    return sorted(stages, key=lambda stage: came.index(stage) if stage in came else -1)


def _matrix(rows: pd.DataFrame, condition: str) -> pd.DataFrame:
    rows = rows[rows["condition"] == condition]
    return rows.pivot_table(index="fold", columns="seed", values="uar", observed=True)
