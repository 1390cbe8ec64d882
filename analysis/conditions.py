"""What was present at test: how the conditions are ordered, and every arm's numbers in each of them.

A condition is named after the modalities that are present, such as ``audio`` or ``audio+text``. The full one has
all of them; the others miss some. ``missing`` stands for the mean over these, which is what papers on missing
modalities report; the mean over all conditions, by which arms are chosen, has the full one in it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.aggregate import by_row, final_rows, summarise, values_of
from analysis.compare import Estimate, estimate, paired, size_ratio, verdict
from analysis.run import Run
from analysis.statistics import holm

#: Name of the mean over the conditions in which something is missing.
MISSING = "missing"
_MODALITIES = ("audio", "text", "video")


class Worth(NamedTuple):
    """What an ablated component is worth in one condition, or over those in which something is missing.

    Attributes:
        arm: The ablated arm.
        name: Its name.
        group: A condition, or `MISSING`.
        uar: Test UAR of the arm there, mean of fold means.
        estimate: Its parent minus the arm, paired.
        p_holm: Its p adjusted over all rows and groups.
        verdict: In words.
    """

    arm: str
    name: str
    group: str
    uar: float
    estimate: Estimate
    p_holm: float
    verdict: str


def ordered(names: Iterable[str]) -> list[str]:
    """Conditions, those with the fewest modalities first, the full one last."""
    return sorted(set(names), key=lambda name: (name.count("+"), _place(name), name))


def _place(name: str) -> list[int]:
    known = {modality: place for place, modality in enumerate(_MODALITIES)}
    return [known.get(modality, len(known)) for modality in name.split("+")]


def full(names: Iterable[str]) -> str | None:
    """The condition that has all that any of the others has; None where there is none, or no other."""
    there = {name: set(name.split("+")) for name in names}
    found = [name for name, has in there.items() if all(has >= other for other in there.values())]
    return found[0] if found and len(there) > 1 else None


def missing(names: Iterable[str]) -> list[str]:
    """The conditions in which something is missing, in order; none where there is no full one."""
    names = list(names)
    return [name for name in ordered(names) if name != full(names)] if full(names) else []


def groups(names: Iterable[str]) -> dict[str, list[str]]:
    """Every condition by itself, and `MISSING` where several miss something."""
    names = list(names)
    single = {name: [name] for name in ordered(names)}
    return single | ({MISSING: missing(names)} if len(missing(names)) > 1 else {})


def in_words(group: str) -> str:
    """A group as a heading."""
    return "mean, some missing" if group == MISSING else group


def tested(run: Run, arm: str | None) -> list[str]:
    """The conditions in which the last stage of an arm was tested; none when it is not done."""
    rows = final_rows(run)
    rows = rows[(rows["arm"] == arm) & (rows["split"] == "test")]
    return ordered(rows["condition"].astype(str).unique())


def summary(run: Run, arms: Sequence[str], names: Iterable[str], split: str = "test") -> pd.DataFrame:
    """Every arm's metrics in each group of conditions.

    Args:
        run: The run.
        arms: The arms.
        names: The conditions.
        split: ``test`` or ``dev``.

    Returns:
        As `aggregate.summarise`, indexed by (arm, group). An arm that was not tested in all conditions of a group
        has no row for it.
    """
    rows = final_rows(run)
    rows = rows[rows["arm"].isin(list(arms)) & (rows["split"] == split)]
    chosen = {group: _complete(rows, members) for group, members in groups(names).items()}
    parts = {group: summarise(run, mine).droplevel("split") for group, mine in chosen.items() if len(mine)}
    return pd.concat(parts, names=["group"]).swaplevel() if parts else pd.DataFrame()


def _complete(rows: pd.DataFrame, members: Sequence[str]) -> pd.DataFrame:
    """Rows of a group's conditions, of the arms that were tested in all of them."""
    rows = rows[rows["condition"].isin(list(members))]
    complete = rows.groupby("arm", observed=True)["condition"].nunique() == len(members)
    return rows[rows["arm"].isin(complete.index[complete])]


def worths(run: Run, arms: pd.DataFrame, names: Iterable[str]) -> list[Worth]:
    """What ablated components are worth in each group of conditions, paired with their parents on test.

    Args:
        run: The run.
        arms: Rows of `run.trials`; those that are not done give nothing.
        names: The conditions.
    """
    rows = by_row(final_rows(run))
    found = [
        (trial, group, *pair)
        for trial in arms[arms["status"] == "done"].itertuples(index=False)
        for group, members in groups(names).items()
        if (pair := _pair(rows, str(trial.arm), str(trial.parent), members))[0].size
    ]
    ratio = size_ratio(run)
    estimates = [estimate(theirs - mine, ratio) for *_, mine, theirs in found]
    adjusted = holm(np.array([one.p for one in estimates]))
    return [
        Worth(
            arm=str(trial.arm),
            name=str(trial.name),
            group=group,
            uar=float(np.nanmean(mine, axis=1).mean()),
            estimate=one,
            p_holm=float(p),
            verdict=verdict(one, float(p)),
        )
        for (trial, group, mine, _), one, p in zip(found, estimates, adjusted, strict=True)
    ]


def _pair(rows: pd.DataFrame, arm: str, parent: str, members: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Values of an arm and of its parent in a group; (0, 0) unless both were tested in all of it."""
    first, second = (within(values_of(rows, each), members) for each in (arm, parent))
    if any(set(each.index.unique("condition")) != set(members) for each in (first, second)):
        return np.empty((0, 0)), np.empty((0, 0))
    return paired(first, second)


def within(values: pd.Series, members: Sequence[str]) -> pd.Series:
    """The values, from `aggregate.values_of`, of some conditions."""
    return values[values.index.get_level_values("condition").isin(list(members))]
