"""Tables by test condition: every arm's scores, what components are worth there, and the paper's numbers beside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis import conditions, published
from analysis.findings import Findings, Shown
from analysis.published import Published
from analysis.statistics import CONFIDENCE
from analysis.table import Column, Table, spread_column
from analysis.words import change, with_spread

#: Group of all conditions: what arms are chosen by.
ALL = "all"


def scores(found: Findings) -> Table | None:
    """Test UAR of the arms shown in every condition, the paper's numbers below each."""
    if not found.several:
        return None
    lines = [line for one in found.shown for line in _lines(found, one)]
    frame = pd.DataFrame(lines)
    groups = [*conditions.groups(found.conditions), ALL]
    columns = (
        Column("Arm", lambda r: r.row + (" †" if r.control else ""), numeric=False),
        *(spread_column(frame, _heading(group), group) for group in groups),
    )
    note = f"Test UAR in %, mean over folds of the mean over seeds ± spread over folds. {group_words(found.conditions)}"
    if frame["control"].any():
        note += " † a control, not a row of the paper."
    return Table("by_condition", "By condition", note + _sources(frame["source"]), frame, columns)


def _heading(group: str) -> str:
    return "mean, all" if group == ALL else conditions.in_words(group)


def group_words(names: Sequence[str]) -> str:
    """What the columns of means are means of."""
    parts = [f"Mean, all: over {', '.join(names)}; arms are chosen by it, on dev."]
    if conditions.MISSING in conditions.groups(names):
        parts.insert(0, f"Mean, some missing: over {', '.join(conditions.missing(names))}.")
    return " ".join(parts)


def _sources(texts: Iterable[str]) -> str:
    sources = sorted(set(texts) - {""})
    return f" Published: {'; '.join(sources)}; on their own features and folds, not measured here." if sources else ""


def _lines(found: Findings, one: Shown) -> list[dict[str, Any]]:
    """A line of ours, and one of the paper's where it has any number on a condition of this run."""
    groups = conditions.groups(found.conditions) | {ALL: found.conditions}
    ours: dict[str, Any] = {"arm": one.arm, "row": one.label, "control": one.control, "published": False, "source": ""}
    for group in groups:
        mean, std = _ours(found, one.arm, group)
        ours |= {group: mean, f"{group}_fold_std": std}
    if not _has_published(found, one):
        return [ours]
    values = published.of_row(found.run, one.row)
    theirs = {group: published.over(values, members) for group, members in groups.items()}
    if not any(value.source for value in theirs.values()):
        return [ours]
    return [ours, _published_line(one, theirs)]


def _has_published(found: Findings, one: Shown) -> bool:
    """Ablation rows have numbers of their own; those of the full model stand beside what rows are measured from."""
    return one.row is not None or one.arm == (found.ablation_parent or found.best)


def _ours(found: Findings, arm: str, group: str) -> tuple[float, float]:
    if group == ALL:
        whole = conditions.tested(found.run, arm) == found.conditions
        return (found.number(arm, "uar"), found.number(arm, "uar_fold_std")) if whole else (np.nan, np.nan)
    return found.in_condition(arm, group)


def _published_line(one: Shown, theirs: dict[str, Published]) -> dict[str, Any]:
    label = f"published: {one.row or 'the full model'}"
    line: dict[str, Any] = {"arm": "", "row": label, "control": False, "published": True}
    line["source"] = "; ".join(dict.fromkeys(value.source for value in theirs.values() if value.source))
    for group, value in theirs.items():
        line |= {group: value.mean, f"{group}_fold_std": value.std}
    return line


def worth(found: Findings) -> Table | None:
    """What each ablated component is worth in every condition."""
    if not found.several or not found.worths:
        return None
    groups = list(conditions.groups(found.conditions))
    rows = [one for one in found.shown if any(w.arm == one.arm for w in found.worths)]
    frame = pd.DataFrame([_worth_line(found, one, groups) for one in rows])
    columns = (
        Column("Row", lambda r: r.row + (" †" if r.control else ""), numeric=False),
        *(Column(conditions.in_words(g), partial(_worth_cell, frame.columns.get_loc(g))) for g in groups),
    )
    note = (
        "In points: test UAR of the reference minus the row's, paired by fold and seed within the condition, so what "
        f"the row lacks helps where it is positive. * p under {1 - CONFIDENCE:.2g}, corrected resampled t-test, "
        "adjusted over the whole table after Holm."
    )
    if frame["control"].any():
        note += " † a control, not a row of the paper."
    return Table("worth_by_condition", "What each component is worth, by condition", note, frame, columns)


def _worth_line(found: Findings, one: Shown, groups: Sequence[str]) -> dict[str, Any]:
    mine = {w.group: w for w in found.worths if w.arm == one.arm}
    line: dict[str, Any] = {"arm": one.arm, "row": one.label, "control": one.control}
    for group in groups:
        e = mine[group].estimate if group in mine else None
        values = (e.difference, mine[group].p_holm, e.low, e.high, e.p) if e else (np.nan,) * 5
        line |= dict(zip((group, *(f"{group}_{k}" for k in ("p_holm", "low", "high", "p"))), values, strict=True))
    return line


def _worth_cell(place: Any, row: Any) -> str:
    """The worth, and a star where its adjusted p, which stands beside it, is small."""
    return change(row[place]) + (" *" if row[place + 1] < 1 - CONFIDENCE else "")


def published_beside(found: Findings) -> Table | None:
    """Every published number on this corpus, metric by metric and condition by condition, and ours beside."""
    lines = [line for one in found.shown for line in _beside(found, one)]
    in_others = found.ablation and not found.several and all(line["metric"] == "uar" for line in lines)
    if not lines or in_others:
        return None
    frame = pd.DataFrame(lines)
    columns = (
        Column("Row", lambda r: r.row, numeric=False),
        Column("Condition", lambda r: r.condition, numeric=False),
        Column("Metric", lambda r: r.metric.upper().replace("MACRO_F1", "macro F1"), numeric=False),
        Column("Published, %", lambda r: with_spread(r.published, r.published_std, 2)),
        Column("Ours, %", lambda r: with_spread(r.ours, r.ours_fold_std)),
        Column("Source", lambda r: r.source, numeric=False),
    )
    note = (
        "Published numbers stand here to be looked at, not to be compared: their features, folds, dev parts and "
        "choice of epoch are their own. Ours: mean over folds of the mean over seeds ± spread over folds, on test."
    )
    return Table("published", "Published numbers beside ours", note, frame, columns)


def _beside(found: Findings, one: Shown) -> list[dict[str, Any]]:
    if not _has_published(found, one):
        return []
    tested = conditions.tested(found.run, one.arm)
    values = [value for value in published.of_row(found.run, one.row) if value.condition in tested]
    numbers = conditions.summary(found.run, [one.arm], tested) if values else pd.DataFrame()
    return [
        {
            "arm": one.arm, "row": one.label, "condition": value.condition, "metric": value.metric,
            "published": value.mean, "published_std": value.std,
            "ours": numbers.loc[(one.arm, value.condition), value.metric],
            "ours_fold_std": numbers.loc[(one.arm, value.condition), f"{value.metric}_fold_std"],
            "source": value.source,
        }
        for value in values
    ]  # fmt: skip
