"""Tables: built once as numbers, written as CSV (raw), LaTeX with booktabs, and HTML cells (formatted)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from analysis import aggregate
from analysis.findings import Findings
from analysis.words import change, interval, number, p_value, settings, share, with_spread

#: How many search arms the page lists.
TOP = 10


class Column(NamedTuple):
    """A printed column: heading, the text of a row, and whether it holds numbers."""

    heading: str
    text: Callable[[Any], str]
    numeric: bool = True


class Table(NamedTuple):
    """A table.

    Attributes:
        key: File name without ending.
        title: What it shows.
        note: How its numbers were taken.
        frame: The numbers, one row a line; what the CSV holds.
        columns: What is printed of it.
    """

    key: str
    title: str
    note: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]

    def cells(self) -> list[list[str]]:
        """The printed text, row by row."""
        return [[c.text(row) for c in self.columns] for row in self.frame.itertuples(index=False)]


def tables(found: Findings) -> list[Table]:
    """The tables a run has something to put in."""
    makers = (best_arms, ablation, stage_gains, sensitivity, folds, recalls, generation_quality)
    return [table for make in makers if (table := make(found)) is not None]


def best_arms(found: Findings) -> Table | None:
    """The best arms by dev score; test only where it may be seen."""
    if found.top.empty:
        return None
    arms = found.top.head(TOP)
    if found.paper and found.paper not in set(arms["arm"]):
        arms = pd.concat([arms, found.top[found.top["arm"] == found.paper]])
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
        "In the order of the dev score. UAR: mean over folds of the mean over seeds ± spread over folds; "
        "pooled: from the counts of all folds together; seeds ±: spread between seeds within a fold, on dev. "
        f"Test is shown only for the arm chosen on dev and for {found.paper_label}. Changed: from the paper's defaults"
    )
    note += f", beside what all of them have: {settings(common)}." if common else "."
    return Table("best_arms", "Best arms", note, frame, tuple(columns))


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
        Column("Verdict", lambda r: r.verdict + (f" ({r.basis})" if r.basis.startswith("dev") else ""), numeric=False),
    ]
    if frame["published_uar"].notna().any():
        columns.append(Column("Published UAR, %", lambda r: with_spread(r.published_uar, r.published_std, 2)))
    note = (
        "Worth: reference minus the row, paired by fold and seed, so a component helps when it is positive. "
        "Test UAR; rows stopped early are compared on dev at the epoch they reached. Intervals and p: corrected "
        "resampled t-test over folds (Nadeau and Bengio 2003), p adjusted over all rows after Holm. † a control, "
        "not a row of the paper."
    )
    sources = sorted(set(frame["published_source"]) - {""})
    if sources:
        note += f" Published: {'; '.join(sources)}, on their own features and folds; not measured here."
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
        **published(found, found.run.provenance.get("published")),
    }  # fmt: skip


def _ablation_row(found: Findings, one: Any) -> dict[str, Any]:
    nan, e, on_test = float("nan"), one.estimate, one.basis == "test"
    facts = (found.run.provenance.get("ablation") or {}).get(one.name, {})
    return {
        "arm": one.arm,
        "row": one.name,
        "control": found.is_control(one.name),
        "basis": one.basis,
        "uar": one.uar,
        "uar_fold_std": found.number(one.arm, "uar_fold_std") if on_test else nan,
        "uar_seed_std": found.number(one.arm, "uar_seed_std") if on_test else nan,
        "difference": e.difference if e else nan, "low": e.low if e else nan, "high": e.high if e else nan,
        "p": e.p if e else nan, "p_holm": one.p_holm, "wilcoxon_p": e.wilcoxon if e else nan,
        "difference_fold_std": e.fold_std if e else nan, "difference_seed_std": e.seed_std if e else nan,
        "folds": e.folds if e else nan,
        "verdict": one.verdict,
        **published(found, facts.get("published")),
    }  # fmt: skip


def published(found: Findings, values: Any) -> dict[str, Any]:
    """The published UAR on this run's corpus and condition, if any of `values` is one."""
    corpus = _plain(found.run.provenance["corpus"].get("name", ""))
    for value in values or ():
        fits = _plain(value["corpus"]) == corpus and value["metric"] == "uar"
        if fits and value.get("condition", "audio") in found.conditions:
            std = value.get("std")
            return {
                "published_uar": float(value["mean"]),
                "published_std": float("nan") if std is None else float(std),
                "published_source": str(value["source"]),
            }
    return {"published_uar": float("nan"), "published_std": float("nan"), "published_source": ""}


def _plain(name: Any) -> str:
    return "".join(letter for letter in str(name).lower() if letter.isalnum())


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
    columns = (
        Column("Arm", lambda r: r.name, numeric=False),
        Column(f"After {first.before}, %", lambda r: share(r.uar_before)),
        Column(f"After {first.after}, %", lambda r: share(r.uar_after)),
        Column("Gain, points", lambda r: change(r.difference)),
        Column("95 % interval", lambda r: interval(r.low, r.high)),
        Column("p (Holm)", lambda r: p_value(r.p_holm)),
        Column("Verdict", lambda r: r.verdict, numeric=False),
    )
    note = (
        "Test UAR of one and the same models after the earlier and after the last stage, each at its dev-chosen epoch, "
        "paired by fold and seed. A gain that a control shows too is not owed to what the control leaves out."
    )
    return Table("stage_gains", f"What {first.after} adds", note, frame, columns)


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
        "seed, ± spread over folds; the verdict is on that change, adjusted over all values after Holm."
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
    note = "Mean over seeds; ± spread between seeds. Epoch: chosen on dev within the last stage, range over seeds."
    return Table("folds", f"Folds of {found.name(found.best)}", note, frame, tuple(columns))


def recalls(found: Findings) -> Table | None:
    """Recall by class of the best arm on test."""
    if found.best is None or found.confusion is None:
        return None
    frame = aggregate.recalls(found.run, found.best).reset_index().rename(columns={"class": "label"})
    columns = (
        Column("Class", lambda r: r.label, numeric=False),
        Column("Recall, %", lambda r: with_spread(r.recall, r.recall_fold_std)),
        Column("pooled", lambda r: share(r.recall_pooled)),
        Column("Utterances", lambda r: f"{r.n:,}"),
    )
    note = "Mean over folds of the mean over seeds ± spread over folds; pooled: from the counts of all folds together."
    return Table("recalls", f"Test recall by class of {found.name(found.best)}", note, frame, columns)


def generation_quality(found: Findings) -> Table | None:
    """Measures of generated features and their recall by class."""
    lines = [
        {"measure": m.measure, "title": m.title, "meaning": m.meaning, "value": m.value, "fold_std": m.fold_std}
        for m in found.generation_measures
    ]
    for row in found.generation_recalls.reset_index().itertuples(index=False):
        label = row[0]
        for kind in ("real", "generated"):
            lines.append(
                {
                    "measure": f"recall_{kind}",
                    "title": f"Recall of {kind} {label}",
                    "meaning": f"share of {kind} features that the frozen classifier calls {label}",
                    "value": getattr(row, kind),
                    "fold_std": getattr(row, f"{kind}_std"),
                }
            )
    if not lines:
        return None
    columns = (
        Column("Measure", lambda r: r.title, numeric=False),
        Column("Value", lambda r: f"{r.value:.3f}" + ("" if r.fold_std != r.fold_std else f" ± {r.fold_std:.3f}")),
        Column("Meaning", lambda r: r.meaning, numeric=False),
    )
    title = f"Generated features of {found.name(found.generation_arm)}"
    return Table(
        "generation", title, "Mean over folds of the mean over seeds ± spread over folds.", pd.DataFrame(lines), columns
    )
