"""Several runs beside each other: the best arm of each, paired with the first run's where that is fair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import aggregate, compare, conditions, statistics
from analysis.conditions import within
from analysis.figures.conditions import ConditionDots, draw
from analysis.figures.style import Drawn
from analysis.findings import Findings
from analysis.run import Run
from analysis.table import Column, Table
from analysis.words import change, interval, p_value, with_spread

NOT_SAME = "not comparable: other corpus, folds or classes"
_PAIRED = (
    "Difference: from the first run, paired by fold (mean over each run's seeds) and test condition, where both were "
    "tested on the same folds of the same corpus; corrected resampled t-test"
)


def comparisons(found: Sequence[Findings]) -> list[Table]:
    """Tables of several runs; one by condition where there are several conditions."""
    by_condition = _by_condition(found)
    return [comparison(found), *([by_condition] if by_condition else [])]


def comparison(found: Sequence[Findings]) -> Table:
    """The best arm of each run; paired with the first run's where both were tested on the same rows."""
    frame = pd.DataFrame([_row(one, found[0]) for one in found])
    corpora, several = sorted(set(frame["corpus"])), len(_names(found)) > 1
    columns = (
        Column("Run", lambda r: r.run, numeric=False),
        Column("Method", lambda r: r.method, numeric=False),
        *([Column("Corpus", lambda r: r.corpus, numeric=False)] if len(corpora) > 1 else []),
        *([Column("Tested with", lambda r: r.conditions, numeric=False)] if several else []),
        Column("Test UAR, %", lambda r: with_spread(r.test_uar, r.test_uar_fold_std)),
        Column("Difference", lambda r: change(r.difference)),
        Column("95 % interval", lambda r: interval(r.low, r.high)),
        Column("Verdict", _verdict, numeric=False),
    )
    note = f"{'' if len(corpora) > 1 else f'On {corpora[0]}. '}Each run's best arm, chosen on its own dev parts. "
    note += f"{_PAIRED}, in points, not adjusted over runs."
    if several:
        note += " UAR is the mean over a run's own conditions; only those that two runs share are compared."
    return Table("comparison", "Runs side by side", note, frame, columns)


def _verdict(row: Any) -> str:
    """The verdict, and where the two runs share only some of their conditions."""
    return row.verdict + (f" (on {row.compared_on})" if row.only_some else "")


def _names(found: Sequence[Findings]) -> list[str]:
    return conditions.ordered(name for one in found for name in one.tested)


def _row(one: Findings, first: Findings) -> dict[str, Any]:
    row: dict[str, Any] = {
        "run": one.run.name,
        "method": str((one.run.provenance.get("method") or {}).get("name", "")),
        "corpus": str(one.run.provenance["corpus"].get("name", "")),
        "best": one.name(one.best) or "none yet",
        "arms": len(one.run.trials),
        "conditions": ", ".join(one.tested),
    }
    for split in ("dev", "test"):
        for column in ("uar", "uar_fold_std", "uar_seed_std"):
            row[f"{split}_{column}"] = one.number(one.best, column, split)
    shared = [name for name in first.tested if name in one.tested]
    row |= {"compared_on": ", ".join(shared), "only_some": not shared == one.tested == first.tested}
    return row | _against(one, first, shared)


def _against(one: Findings, first: Findings, names: Sequence[str]) -> dict[str, Any]:
    """Difference, interval, p and verdict over some conditions; empty for the first run itself."""
    nothing = {"difference": np.nan, "low": np.nan, "high": np.nan, "p": np.nan}
    why = "" if one is first else _incomparable(one, first, names)
    if one is first or why:
        return nothing | {"compared_on": "", "only_some": False, "verdict": why}
    found = _estimate(one, first, names)
    verdict = compare.rather(compare.verdict(found, found.p))
    return {name: getattr(found, name) for name in nothing} | {"verdict": verdict}


def _incomparable(one: Findings, first: Findings, names: Sequence[str]) -> str:
    """Why two runs cannot be paired; empty when they can."""
    if one.best is None or first.best is None:
        return "no finished arm"
    if _tested_on(one.run) != _tested_on(first.run):
        return NOT_SAME
    return "" if names else compare.NOT_COMPARABLE


def _estimate(one: Findings, first: Findings, names: Sequence[str]) -> compare.Estimate:
    mine, other = compare.paired(*(_by_fold(each, names) for each in (one, first)))
    return compare.estimate(mine - other, compare.size_ratio(one.run))


def _by_fold(found: Findings, names: Sequence[str]) -> pd.Series:
    """Test UAR of the best arm by condition and fold, as `compare.paired` takes it: runs may differ in seeds."""
    values = within(aggregate.values_of(aggregate.by_row(aggregate.final_rows(found.run)), str(found.best)), names)
    means = values.groupby(level=["condition", "fold"], observed=True).mean()
    means.index = pd.MultiIndex.from_tuples(
        [(str(condition), str(fold), 0) for condition, fold in means.index], names=["condition", "fold", "seed"]
    )
    return means


def _tested_on(run: Run) -> tuple[Any, ...]:
    """What must be equal for two runs to have been tested on the same utterances.

    Not the fingerprint, which also covers features and a second, unlabeled corpus.
    """
    corpus = run.provenance["corpus"]
    folds = tuple((f["name"], f.get("test"), *_speakers(f)) for f in run.provenance["folds"])
    return corpus.get("name"), run.classes, tuple(sorted((corpus.get("counts") or {}).items())), folds


def _speakers(fold: Any) -> tuple[str, ...]:
    return tuple(sorted((fold.get("speakers") or {}).get("test", ())))


def _by_condition(found: Sequence[Findings]) -> Table | None:
    """Every run in every condition, condition by condition."""
    names = _names(found)
    if len(names) < 2:
        return None
    lines = [_condition_row(one, found[0], name) for name in names for one in found if name in one.tested]
    frame = pd.DataFrame(lines)
    frame["p_holm"] = statistics.holm(frame["p"].to_numpy(float))
    columns = (
        Column("Condition", lambda r: r.condition, numeric=False),
        Column("Run", lambda r: r.run, numeric=False),
        Column("Test UAR, %", lambda r: with_spread(r.uar, r.uar_fold_std)),
        Column("Difference", lambda r: change(r.difference)),
        Column("95 % interval", lambda r: interval(r.low, r.high)),
        Column("p (Holm)", lambda r: p_value(r.p_holm)),
    )
    note = f"The same arms in each condition. {_PAIRED}, in points; p adjusted over the table after Holm."
    return Table("comparison_by_condition", "Runs side by side, by condition", note, frame, columns)


def _condition_row(one: Findings, first: Findings, name: str) -> dict[str, Any]:
    against = _against(one, first, [name] if name in first.tested else [])
    mean, std = one.in_condition(one.best, name)
    numbers = {key: against[key] for key in ("difference", "low", "high", "p")}
    return {"condition": name, "run": one.run.name, "uar": mean, "uar_fold_std": std} | numbers


def _values(one: Findings) -> dict[str, tuple[float, float]]:
    """UAR and spread over folds of a run's best arm in each of its conditions."""
    return {name: one.in_condition(one.best, name) for name in one.tested} if one.best else {}


def drawings(found: Sequence[Findings]) -> list[Drawn]:
    """The figure of several runs, where at least two have a best arm."""
    lines = [ConditionDots(one.run.name, _values(one), {}) for one in found]
    lines = [line for line in lines if line.scores]
    if len(lines) < 2:
        return []
    caption = (
        "Test UAR of each run's best arm: mean over folds of the mean over seeds (mark), ± spread over folds (bar). "
        "Bars that overlap may still differ: the table pairs the runs fold by fold."
    )
    return [draw("comparison", "Best arms of the runs", caption, lines, _names(found))]
