"""Is the difference between two arms more than noise? Paired by fold and seed, on the same utterances.

Only test conditions that both arms have are compared, each with itself; their mean is taken row by row first. The
one exception are rows that were told to see less: what they leave out is what the comparison is about.

The unit is the fold: seeds of one fold share their test utterances, so they are averaged first and never
counted as if they were more folds. The test is the corrected resampled t-test of `statistics`; over several
rows, p-values are adjusted after Holm.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.aggregate import by_row, final_rows, values_of
from analysis.run import Run
from analysis.statistics import CONFIDENCE, corrected_t, holm, wilcoxon

#: With fewer folds than this no test is made.
MIN_FOLDS = 3
#: Where an interval is wider than this to either side (in UAR), silence is for want of folds, not evidence.
BLIND = 0.05

HELPS = "helps"
HURTS = "hurts"
NO_EVIDENCE = "no evidence either way"
TOO_FEW = "too few folds to tell"
NOT_COMPARABLE = "not comparable: no test condition in common"


class Estimate(NamedTuple):
    """A paired difference and what can be said about it.

    Attributes:
        difference: Mean over folds of the mean over seeds.
        low: Lower end of its interval at `CONFIDENCE`; NaN with one fold.
        high: Upper end.
        p: Two-sided p of the corrected resampled t-test; NaN under `MIN_FOLDS` folds.
        wilcoxon: Two-sided p of the signed rank test over folds; NaN under `statistics.WILCOXON_FOLDS` folds.
        folds: Folds compared.
        seeds: Seeds compared.
        fold_differences: The mean over seeds, fold by fold.
        fold_std: Spread of these (ddof 1); NaN with one fold.
        seed_std: Spread of the difference between seeds within a fold, root mean square over folds.
        rows: The differences themselves, fold by fold and seed by seed; NaN where one is missing.
    """

    difference: float
    low: float
    high: float
    p: float
    wilcoxon: float
    folds: int
    seeds: int
    fold_differences: tuple[float, ...]
    fold_std: float
    seed_std: float
    rows: tuple[tuple[float, ...], ...] = ()


class Comparison(NamedTuple):
    """One arm against the arm it is measured from.

    Attributes:
        arm: The arm.
        name: Its name.
        status: ``done``, ``stopped`` or ``failed``.
        basis: What was compared: ``test``; ``test on audio``, where the two share only some conditions; ``test with
            audio only``, where the arm was told to see less; ``dev at epoch 12``; empty when nothing could be.
        uar: UAR of the arm on that basis, mean of fold means.
        fold_std: Spread of these over folds; NaN with one.
        parent_uar: The same of the arm it is measured from.
        estimate: The paired difference, or None.
        p_holm: The estimate's p adjusted over all rows; NaN where there is none.
        verdict: In words.
    """

    arm: str
    name: str
    status: str
    basis: str
    uar: float
    fold_std: float
    parent_uar: float
    estimate: Estimate | None
    p_holm: float
    verdict: str


def estimate(differences: np.ndarray, ratio: float) -> Estimate:
    """What can be said about a matrix of paired differences.

    Args:
        differences: Shape (F, S), a difference for each fold and seed; NaN where one is missing.
        ratio: Test size over train size.

    Raises:
        ValueError: If no fold has any difference.
    """
    differences = np.asarray(differences, dtype=float)
    differences = differences[~np.isnan(differences).all(axis=1)]
    if not len(differences):
        raise ValueError("differences: the two arms share no fold and seed")
    per_fold = np.nanmean(differences, axis=1)
    folds, seeds = differences.shape
    p, low, high = corrected_t(per_fold, ratio) if folds > 1 else (np.nan, np.nan, np.nan)
    return Estimate(
        difference=float(per_fold.mean()),
        low=low,
        high=high,
        p=p if folds >= MIN_FOLDS else float("nan"),
        wilcoxon=wilcoxon(per_fold),
        folds=folds,
        seeds=seeds,
        fold_differences=tuple(per_fold.tolist()),
        fold_std=float(per_fold.std(ddof=1)) if folds > 1 else float("nan"),
        seed_std=float(np.sqrt(pd.DataFrame(differences).var(axis=1, ddof=1).mean())),
        rows=tuple(map(tuple, differences.tolist())),
    )


def verdict(found: Estimate, p_holm: float) -> str:
    """The difference in words; it counts as seen when the adjusted p is under 1 - `CONFIDENCE`.

    Where only the p before adjustment is, there is evidence, but of too few folds for so many rows.
    """
    if found.folds < MIN_FOLDS or np.isnan(p_holm):
        return TOO_FEW
    if p_holm < 1 - CONFIDENCE:
        return HELPS if found.difference > 0 else HURTS
    return TOO_FEW if seen_alone(found) or (found.high - found.low) / 2 > BLIND else NO_EVIDENCE


def seen_alone(found: Estimate) -> bool:
    """Whether the difference would count as seen if it were the only one tested."""
    return bool(found.p < 1 - CONFIDENCE)


#: What `verdict` says of a difference between two whole systems.
_RATHER = {HELPS: "better", HURTS: "worse"}


def rather(verdict: str) -> str:
    """A verdict on the first of two systems: ``better`` or ``worse`` where a component ``helps`` or ``hurts``."""
    return _RATHER.get(verdict, verdict)


def size_ratio(run: Run, part: str = "test") -> float:
    """Utterances in a part over those in train, mean over folds; 1 / (F - 1) where sizes are not known."""
    folds = run.provenance["folds"]
    ratios = [fold[part] / fold["train"] for fold in folds if fold.get("train") and fold.get(part)]
    if ratios:
        return float(np.mean(ratios))
    return 1 / max(len({fold for fold, _ in run.rows}) - 1, 1)


def paired(first: pd.Series, second: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Values of two arms on the rows that both have.

    Args:
        first: From `aggregate.values_of`, indexed by (condition, fold, seed).
        second: The same of another arm.

    Returns:
        Both as matrices of shape (F, S), mean over the test conditions they share; NaN where a row is missing;
        (0, 0) when they share none.
    """
    joined = pd.concat([first, second], axis=1, keys=["first", "second"], join="inner").dropna()
    if joined.empty:
        return np.empty((0, 0)), np.empty((0, 0))
    wide = joined.reset_index().pivot_table(
        index="fold", columns="seed", values=["first", "second"], aggfunc="mean", observed=True
    )
    return wide["first"].to_numpy(), wide["second"].to_numpy()


def at_budget(run: Run, arm: str, budget: float) -> np.ndarray:
    """Best dev UAR so far of every row, within the stage an arm is in when its budget is spent.

    Returns:
        Shape (F, S), NaN throughout when it has not classified anything by then.
    """
    names = [fold for fold, _ in run.rows]
    folds, seeds = list(dict.fromkeys(names)), sorted({seed for _, seed in run.rows})
    matrix = np.full((len(folds), len(seeds)), np.nan)
    seen = (run.curves["arm"] == arm) & (run.curves["budget"] <= budget) & ~np.isnan(run.curve_rows).all(axis=1)
    if not seen.any():
        return matrix
    stage = run.curves["stage"][seen].iloc[-1]
    best = np.nanmax(run.curve_rows[(seen & (run.curves["stage"] == stage)).to_numpy()], axis=0)
    for (fold, seed), value in zip(run.rows, best, strict=True):
        matrix[folds.index(fold), seeds.index(seed)] = value
    return matrix


def last_budget(run: Run, arm: str) -> float:
    """Classifying epochs an arm has seen; 0 when none."""
    spent = run.curves["budget"][run.curves["arm"] == arm]
    return float(spent.max()) if len(spent) else 0.0


def against_parent(run: Run, arms: pd.DataFrame, *, sign: int) -> list[Comparison]:
    """Compare arms with their parents: on test when done, on dev at the same budget when stopped.

    Args:
        run: The run.
        arms: Rows of `run.trials`; all of them are one family for Holm's adjustment.
        sign: +1 for arm minus parent; -1 for parent minus arm, which is what an ablated component is worth.

    Returns:
        In the order given. Verdicts speak of what is positive: a component, or the arm itself.
    """
    rows = by_row(final_rows(run))
    bases = [_basis(run, rows, trial) for trial in arms.itertuples(index=False)]
    found = [_estimate(run, base, sign) for base in bases]
    adjusted = holm(np.array([one.p if one else np.nan for one in found]))
    return [
        Comparison(
            arm=str(trial.arm),
            name=str(trial.name),
            status=str(trial.status),
            basis=base[0] if one else "",
            uar=_fold_mean(base[1]),
            fold_std=_fold_std(base[1]),
            parent_uar=_fold_mean(base[2]),
            estimate=one,
            p_holm=float(p),
            verdict=verdict(one, float(p)) if one else _without(trial),
        )
        for trial, base, one, p in zip(arms.itertuples(index=False), bases, found, adjusted, strict=True)
    ]


def _basis(run: Run, rows: pd.DataFrame, trial: Any) -> tuple[str, np.ndarray, np.ndarray]:
    """What can be compared: its name, and the values of the arm and of its parent, shape (F, S) each."""
    arm, parent = str(trial.arm), str(trial.parent)
    if trial.status == "done":
        mine, theirs = values_of(rows, arm), values_of(rows, parent)
        if less := _sees_less(run, arm, parent, mine, theirs):
            return f"test with {less} only", *paired(_any_condition(mine), _any_condition(theirs))
        return _on(mine, theirs), *paired(mine, theirs)
    if trial.status == "stopped":
        budget = last_budget(run, arm)
        return f"dev at epoch {budget:g}", at_budget(run, arm, budget), at_budget(run, parent, budget)
    return "", np.empty((0, 0)), np.empty((0, 0))


def _sees_less(run: Run, arm: str, parent: str, mine: pd.Series, theirs: pd.Series) -> str:
    """What an arm sees that was told to see less than its parent: the input left out is what is then compared."""
    first, second = (list(map(str, values.index.unique("condition"))) for values in (mine, theirs))
    if len(first) != 1 or len(second) != 1 or not set(first[0].split("+")) < set(second[0].split("+")):
        return ""
    config, other = run.arm(arm)["config"], run.arm(parent)["config"]
    told = any(path.rpartition(".")[2] == "inputs" and other.get(path) != config[path] for path in config)
    return first[0] if told else ""


def _any_condition(values: pd.Series) -> pd.Series:
    """Values of one condition under a name that those of any other get too."""
    return values.rename(lambda _: "", level="condition")


def _on(first: pd.Series, second: pd.Series) -> str:
    """``test``, and the conditions where the two arms do not have the same."""
    mine, theirs = (set(values.index.unique("condition")) for values in (first, second))
    return "test" if mine == theirs else f"test on {', '.join(sorted(map(str, mine & theirs)))}"


def _estimate(run: Run, base: tuple[str, np.ndarray, np.ndarray], sign: int) -> Estimate | None:
    basis, values, parent = base
    differences = sign * (values - parent)
    if not differences.size or np.isnan(differences).all():
        return None
    return estimate(differences, size_ratio(run, "dev" if basis.startswith("dev") else "test"))


def _fold_mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values).all(axis=1)] if values.size else values
    return float(np.nanmean(values, axis=1).mean()) if values.size else float("nan")


def _fold_std(values: np.ndarray) -> float:
    per_fold = np.nanmean(values[~np.isnan(values).all(axis=1)], axis=1) if values.size else values.ravel()
    return float(per_fold.std(ddof=1)) if len(per_fold) > 1 else float("nan")


def _without(trial: Any) -> str:
    """Why there is no verdict."""
    if trial.status == "done":
        return NOT_COMPARABLE
    return f"{trial.status}: {trial.reason}" if trial.reason else str(trial.status)
