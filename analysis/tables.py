"""Tables: built once as numbers, written as CSV (raw), LaTeX with booktabs, and HTML cells (formatted)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis import (
    aggregate,
    by_arm,
    by_condition,
    conditions,
    evidence_tables,
    left_out,
    published,
    search_tables,
    speaker_table,
)
from analysis.compare import NOT_COMPARABLE, Comparison, rather
from analysis.findings import Findings
from analysis.table import Column, Table, spread_column
from analysis.words import change, interval, number, p_value, plain_with_spread, settings, share, with_spread

#: How many search arms the page lists.
TOP = 10


def tables(found: Findings) -> list[Table]:
    """The tables a run has something to put in."""
    makers = (
        *(
            best_arms,
            evidence_tables.optimism,
            by_condition.scores,
            by_condition.worth,
            ablation,
            evidence_tables.ablation,
            evidence_tables.factorial,
            baselines,
            evidence_tables.baselines,
            evidence_tables.spread,
            by_condition.published_beside,
            stage_gains,
        ),
        *(sensitivity, search_tables.robust, search_tables.importance, search_tables.surrogate, search_tables.rungs),
        *(folds, recalls, by_arm.recalls, speaker_table.speakers, diagnostics, by_arm.diagnostics),
        *(left_out.failed, left_out.flagged),
    )
    return [table for make in makers if (table := make(found)) is not None]


def best_arms(found: Findings) -> Table | None:
    """The best arms by dev score; test only where it may be seen."""
    if found.top.empty:
        return None
    arms = found.best_and(TOP)
    common = _common(list(arms["changed"]))
    frame = pd.DataFrame([_arm_row(found, trial, common) for trial in arms.itertuples(index=False)])
    columns = [
        Column("Arm", lambda r: r.name + (" (chosen)" if r.chosen else ""), numeric=False),
        Column("Dev UAR, %", lambda r: with_spread(r.dev_uar, r.dev_uar_fold_std)),
        Column("Test UAR, %", lambda r: with_spread(r.test_uar, r.test_uar_fold_std)),
        Column("pooled", lambda r: share(r.test_uar_pooled)),
        Column("Seeds ±", lambda r: share(r.dev_uar_seed_std)),
        Column("Changed", lambda r: r.changed, numeric=False),
    ]
    if (frame["flags"] != "").any():
        columns.insert(-1, Column("Flags", lambda r: r.flags, numeric=False))
    note = (
        "In the order of the dev score. UAR: mean over folds of the mean over seeds ± spread over folds"
        f"{_over(found)}; pooled: from the counts of all folds together; seeds ±: spread between seeds within a fold, "
        "on dev. "
        f"Test is shown only for the arm chosen on dev and for {found.paper_label}. Changed: from the paper's defaults"
    )
    note += f", beside what all of them have: {settings(common)}." if common else "."
    return Table("best_arms", "Best arms", note, frame, tuple(columns))


def _over(found: Findings) -> str:
    """What UAR is a mean over beside, to stand in a note."""
    return f" ({found.over})" if found.several else ""


def _common(changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings that several arms all have."""
    if len(changes) < 2:
        return {}
    return {path: value for path, value in changes[0].items() if all(path in c and c[path] == value for c in changes)}


def _arm_row(found: Findings, trial: Any, common: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "arm": trial.arm,
        "name": str(trial.name),
        "kind": trial.kind,
        "chosen": trial.arm == found.best,
        "dev_score": float(trial.score),
    }
    visible = trial.arm in (found.best, found.paper, found.reference)
    for split in ("dev", "test"):
        for column in ("uar", "uar_fold_std", "uar_seed_std", "uar_pooled", "war", "wf1", "macro_f1"):
            shown = split == "dev" or visible
            row[f"{split}_{column}"] = found.number(trial.arm, column, split) if shown else float("nan")
    own = {path: value for path, value in trial.changed.items() if path not in common}
    return row | {
        "flags": ", ".join(map(str, trial.flags)),
        "changed": settings(own),
        "changed_in_all": settings(common),
    }


def ablation(found: Findings) -> Table | None:
    """What each component is worth, with published values beside where there are any for this corpus."""
    if not found.ablation:
        return None
    frame = pd.DataFrame([_reference_row(found), *(_ablation_row(found, one) for one in found.ablation)])
    columns = [
        Column("Row", lambda r: r.row + (" †" if r.control else ""), numeric=False),
        Column("UAR, %", lambda r: with_spread(r.uar, r.uar_fold_std)),
        Column("Worth, points", lambda r: change(r.difference)),
        Column("95 % interval", lambda r: interval(r.low, r.high)),
        Column("p (Holm)", lambda r: p_value(r.p_holm)),
        Column(
            "Verdict", lambda r: r.verdict + (f" ({r.basis})" if r.basis not in ("", "test") else ""), numeric=False
        ),
    ]
    if frame["published_uar"].notna().any():
        columns.append(Column("Published UAR, %", lambda r: with_spread(r.published_uar, r.published_std, 2)))
    note = (
        "Worth: reference minus the row, paired by fold and seed, so a component helps when it is positive. "
        f"Test UAR{_over(found)}; rows stopped early are compared on dev at the epoch they reached. Intervals and p: "
        "corrected resampled t-test over folds (Nadeau and Bengio 2003), p adjusted over all rows after Holm. † a "
        "control, not a row of the paper."
    )
    sources = sorted(set(frame["published_source"]) - {""})
    if sources:
        note += f" Published: {'; '.join(sources)}, on their own features and folds; not measured here."
        note += " Only where the paper has every one of these conditions." if found.several else ""
    return Table("ablation", "Ablation", note, frame, tuple(columns))


def _reference_row(found: Findings) -> dict[str, Any]:
    arm, nan = found.ablation_parent, float("nan")
    return {
        "arm": arm,
        "row": f"Reference ({found.name(arm)})",
        "control": False,
        "basis": "test",
        "uar": found.number(arm, "uar"),
        "uar_fold_std": found.number(arm, "uar_fold_std"),
        "uar_seed_std": found.number(arm, "uar_seed_std"),
        "difference": nan, "low": nan, "high": nan, "p": nan, "p_holm": nan, "wilcoxon_p": nan,
        "difference_fold_std": nan, "difference_seed_std": nan, "folds": found.number(arm, "folds"),
        "verdict": "",
        **_published(found, None, arm),
    }  # fmt: skip


def _ablation_row(found: Findings, one: Any) -> dict[str, Any]:
    nan, e = float("nan"), one.estimate
    alone = one.verdict == NOT_COMPARABLE
    on_test = one.fold_std if one.basis.startswith("test") else nan
    return {
        "arm": one.arm,
        "row": one.name,
        "control": found.is_control(one.name),
        "basis": one.basis,
        "uar": found.number(one.arm, "uar") if alone else one.uar,
        "uar_fold_std": found.number(one.arm, "uar_fold_std") if alone else on_test,
        "uar_seed_std": found.number(one.arm, "uar_seed_std") if one.basis == "test" else nan,
        "difference": e.difference if e else nan, "low": e.low if e else nan, "high": e.high if e else nan,
        "p": e.p if e else nan, "p_holm": one.p_holm, "wilcoxon_p": e.wilcoxon if e else nan,
        "difference_fold_std": e.fold_std if e else nan, "difference_seed_std": e.seed_std if e else nan,
        "folds": e.folds if e else nan,
        "verdict": f"not comparable: tested with {_tested(found, one.arm)}" if alone else one.verdict,
        **_published(found, one.name, one.arm),
    }  # fmt: skip


def _tested(found: Findings, arm: str) -> str:
    return ", ".join(conditions.tested(found.run, arm))


def _published(found: Findings, name: str | None, arm: str | None) -> dict[str, Any]:
    """The published counterpart of a row's UAR, over the conditions that the arm was tested in."""
    names = conditions.tested(found.run, arm) or found.tested
    one = published.over(published.of_row(found.run, name), names)
    return {"published_uar": one.mean, "published_std": one.std, "published_source": one.source}


def baselines(found: Findings) -> Table | None:
    """Other methods on the same folds, and what the study's own is worth against them."""
    if not found.baselines:
        return None
    frame = pd.DataFrame([_baseline_row(one) for one in found.baselines])
    columns = (
        Column("Baseline", lambda r: r.row, numeric=False),
        Column("UAR, %", lambda r: with_spread(r.uar, r.uar_fold_std)),
        Column(f"{found.name(found.baseline_parent)}, %", lambda r: share(r.own_uar)),
        Column("Difference, points", lambda r: change(r.difference)),
        Column("95 % interval", lambda r: interval(r.low, r.high)),
        Column("p (Holm)", lambda r: p_value(r.p_holm)),
        Column(
            "Verdict", lambda r: r.verdict + (f" ({r.basis})" if r.basis not in ("", "test") else ""), numeric=False
        ),
    )
    parent = found.name(found.baseline_parent)
    note = (
        f"Difference: test UAR of {parent} minus the baseline's, paired by fold and seed, in the test conditions that "
        f"both have; the verdict is on {parent}. Baselines were not searched: their settings are "
        "those of the study. Corrected resampled t-test, p adjusted over the table after Holm."
    )
    return Table("baselines", "Against baselines", note, frame, columns)


def _baseline_row(one: Comparison) -> dict[str, Any]:
    nan, e = float("nan"), one.estimate
    return {
        "arm": one.arm, "row": one.name, "basis": one.basis, "uar": one.uar, "uar_fold_std": one.fold_std,
        "own_uar": one.parent_uar,
        "difference": e.difference if e else nan, "low": e.low if e else nan, "high": e.high if e else nan,
        "p": e.p if e else nan, "p_holm": one.p_holm, "verdict": rather(one.verdict),
    }  # fmt: skip


def stage_gains(found: Findings) -> Table | None:
    """Gain of the last stage inside each arm."""
    if not found.gains:
        return None
    frame = pd.DataFrame(
        {
            "arm": g.arm, "name": g.name, "before": g.before, "after": g.after, "condition": g.condition,
            "uar_before": g.uar_before, "uar_after": g.uar_after, "difference": g.estimate.difference,
            "low": g.estimate.low, "high": g.estimate.high, "p": g.estimate.p, "p_holm": g.p_holm, "verdict": g.verdict,
        }
        for g in found.gains
    )  # fmt: skip
    first = found.gains[0]
    conditions_differ = len({one.condition for one in found.gains}) > 1
    alike = all((one.before, one.after) == (first.before, first.after) for one in found.gains)
    columns = (
        Column("Arm", lambda r: r.name, numeric=False),
        *([Column("Condition", lambda r: r.condition, numeric=False)] if conditions_differ else []),
        *([] if alike else [Column("Stages", lambda r: f"{r.before}, {r.after}", numeric=False)]),
        Column(f"After {first.before}, %" if alike else "Before, %", lambda r: share(r.uar_before)),
        Column(f"After {first.after}, %" if alike else "After, %", lambda r: share(r.uar_after)),
        Column("Gain, points", lambda r: change(r.difference)),
        Column("95 % interval", lambda r: interval(r.low, r.high)),
        *([] if conditions_differ else [Column("p (Holm)", lambda r: p_value(r.p_holm))]),
        Column("Verdict", lambda r: r.verdict, numeric=False),
    )
    note = (
        "Test UAR of one and the same models after the earlier and after the last stage, each at its dev-chosen epoch, "
        "paired by fold and seed. A gain that a control shows too is not owed to what the control leaves out. "
        "Verdict: p of the corrected resampled t-test, adjusted over the table after Holm."
    )
    title = f"What {first.after} adds" if alike else "What the last stage adds"
    return Table("stage_gains", title, note, frame, columns)


def sensitivity(found: Findings) -> Table | None:
    """Every tested value of every parameter."""
    lines = [
        {
            "parameter": curve.parameter, "value": point.value, "reference": point.is_reference, "status": point.status,
            "dev_score": point.dev, "test_uar": point.test, "change": point.change, "change_fold_std": point.fold_std,
            "verdict": point.verdict, "robust_low": (curve.robust or (None, None))[0],
            "robust_high": (curve.robust or (None, None))[1],
        }
        for curve in found.sensitivity
        for point in curve.points
    ]  # fmt: skip
    if not lines:
        return None
    columns = (
        Column("Parameter", lambda r: r.parameter, numeric=False),
        Column("Value", lambda r: number(r.value) + (" *" if r.reference else "")),
        Column("Dev UAR, %", lambda r: share(r.dev_score)),
        Column("Test UAR, %", lambda r: share(r.test_uar)),
        Column("Change, points", lambda r: with_change(r.change, r.change_fold_std, r.reference)),
        Column("Verdict", lambda r: r.verdict if r.status == "done" else r.status, numeric=False),
    )
    note = (
        "One parameter at a time around the reference (*). Change: test UAR minus the reference's, paired by fold and "
        f"seed, ± spread over folds{_over(found)}; the verdict is on that change, adjusted over all values after Holm."
    )
    return Table("sensitivity", "Sensitivity", note, pd.DataFrame(lines).astype({"value": object}), columns)


def with_change(value: float, std: float, reference: bool) -> str:
    """A change with its spread; empty for the reference itself."""
    if reference:
        return ""
    return change(value) if std != std else f"{change(value)} ± {share(std)}"


def folds(found: Findings) -> Table | None:
    """The best arm fold by fold."""
    if found.best is None:
        return None
    frame = aggregate.folds_of(found.run, found.best).reset_index()
    if frame.empty:
        return None
    columns = [
        Column("Fold", lambda r: str(r.fold), numeric=False),
        Column("Dev UAR, %", lambda r: share(r.dev)),
        Column("Test UAR, %", lambda r: with_spread(r.test, r.test_seed_std)),
        Column("Test WAR, %", lambda r: share(r.test_war)),
        Column("Test utterances", lambda r: f"{r.n:,.0f}"),
        Column(
            "Epoch",
            lambda r: f"{r.epoch_low:g}" if r.epoch_low == r.epoch_high else f"{r.epoch_low:g}–{r.epoch_high:g}",
        ),
    ]
    if (frame["absent"] != "").any():
        columns.append(Column("Absent from test", lambda r: r.absent, numeric=False))
    note = f"Mean over seeds; ± spread between seeds{_over(found)}."
    note += " Epoch: chosen on dev within the last stage, range over seeds."
    return Table("folds", f"Folds of {found.name(found.best)}", note, frame, tuple(columns))


def recalls(found: Findings) -> Table | None:
    """Recall by class of the best arm on test, and in each condition where there are several."""
    if found.best is None or not found.confusions:
        return None
    frame = aggregate.recalls(found.run, found.best).reset_index().rename(columns={"class": "label"})
    columns = [
        Column("Class", lambda r: r.label, numeric=False),
        Column("Recall, %", lambda r: with_spread(r.recall, r.recall_fold_std)),
        Column("pooled", lambda r: share(r.recall_pooled)),
        Column("Utterances", lambda r: f"{r.n:,}"),
    ]
    for name in found.tested if found.several else []:
        one = aggregate.recalls(found.run, found.best, condition=name)
        frame[name], frame[f"{name}_fold_std"] = one["recall"].to_numpy(), one["recall_fold_std"].to_numpy()
        columns.append(spread_column(frame, f"{name}, %", name))
    note = "Mean over folds of the mean over seeds ± spread over folds; pooled: from the counts of all folds together"
    note += f"{_over(found)}."
    return Table("recalls", f"Test recall by class of {found.name(found.best)}", note, frame, tuple(columns))


def diagnostics(found: Findings) -> Table | None:
    """What the stages of one arm measured about themselves, in words."""
    if not found.measures:
        return None
    frame = pd.DataFrame(found.measures)
    first = dict(reversed([(one.measure, one.label) for one in found.measures]))
    columns = (
        Column("Measure", lambda r: r.title + (f", {r.label}" if r.label else ""), numeric=False),
        Column("Value", lambda r: plain_with_spread(r.value, r.fold_std)),
        Column("Meaning", lambda r: r.meaning if r.label == first[r.measure] else "", numeric=False),
    )
    note = "Mean over folds of the mean over seeds ± spread over folds. Measured on the finished stages."
    return Table("diagnostics", f"Measured of {found.name(found.measured_arm)}", note, frame, columns)
