"""Best arms, ablation rows and stages as dots with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import aggregate
from analysis.compare import HELPS, HURTS, Comparison, rather
from analysis.figures.style import (
    BAD,
    BLUE,
    GOOD,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    RED,
    SURFACE,
    WIDE,
    Drawn,
    canvas,
    grid_on,
    look,
    shorten,
    wrap,
)
from analysis.figures.tips import tip
from analysis.findings import Findings
from analysis.words import change, interval, share, with_spread

#: Arms in the figure of the best.
MOST = 12


class ArmDots(NamedTuple):
    """One line of the best-arms figure: dev UAR of every fold (mean over seeds), in [0, 1]."""

    name: str
    chosen: bool
    paper: bool
    flagged: bool
    mean: float
    fold_std: float
    folds: tuple[float, ...]
    test: float


class ForestLine(NamedTuple):
    """One line of the ablation forest plot; the worth is a share, positive when the component helps."""

    name: str
    control: bool
    status: str
    verdict: str
    basis: str
    worth: float
    low: float
    high: float
    folds: tuple[float, ...]


def best_arms_numbers(found: Findings) -> list[ArmDots]:
    """The best arms by dev score, the chosen one and the paper's defaults; test only for these two."""
    arms = found.best_and(MOST)["arm"].tolist()
    rows = aggregate.final_rows(found.run)
    rows = rows[rows["arm"].isin(arms) & (rows["split"] == "dev")]
    means = rows.groupby(["arm", "fold"], observed=True)["uar"].mean()
    return [
        ArmDots(
            name=found.name(arm),
            chosen=arm == found.best,
            paper=arm == found.paper,
            flagged=bool(len(found.run.arm(arm)["flags"])),
            mean=found.number(arm, "uar", "dev"),
            fold_std=found.number(arm, "uar_fold_std", "dev"),
            folds=tuple(means.loc[arm].to_numpy()),
            test=found.number(arm, "uar") if arm in (found.best, found.paper) else math.nan,
        )
        for arm in arms
        if (arm, "dev") in found.summary.index
    ]


def best_arms(found: Findings) -> Drawn | None:
    """Dot, interval and fold dots of the best arms on dev; a diamond for test where it may be shown."""
    lines = best_arms_numbers(found)
    if not lines:
        return None
    with look():
        figure = canvas(WIDE, 0.9 + 0.33 * len(lines))
        axes = figure.add_subplot()
        for place, line in enumerate(lines):
            _arm_line(axes, place, line)
        axes.set_yticks(range(len(lines)), [_arm_label(line) for line in lines])
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.set_xlabel("UAR, %")
        grid_on(axes, "x")
        _legend_best(axes, lines)
    caption = (
        "Dev UAR of each arm: mean over folds (dot), spread over folds (bar), every fold (small dots). Orange: "
        f"test UAR, shown only for the arm chosen on dev and for {found.paper_label}."
    )
    return Drawn("best_arms", "Best arms on dev", caption, figure)


def _arm_label(line: ArmDots) -> str:
    marks = [word for word, on in (("chosen", line.chosen), ("flagged", line.flagged)) if on]
    return wrap(line.name, 34, 1) + (f" ({', '.join(marks)})" if marks else "")


def _arm_line(axes: Axes, place: int, line: ArmDots) -> None:
    colour = MUTED if line.flagged else BLUE
    jitter = np.linspace(-0.16, 0.16, len(line.folds)) if len(line.folds) > 1 else np.zeros(1)
    axes.scatter(100 * np.array(line.folds), place + jitter, s=7, color=colour, alpha=0.45, linewidths=0, zorder=2)
    if not math.isnan(line.fold_std):
        ends = [100 * (line.mean - line.fold_std), 100 * (line.mean + line.fold_std)]
        axes.plot(ends, [place, place], color=colour, linewidth=1.6, zorder=3)
    face = colour if line.chosen else SURFACE
    dot = axes.scatter(100 * line.mean, place, s=34, facecolor=face, edgecolor=colour, linewidth=1.5, zorder=4)
    tip(dot, f"{line.name}: dev {with_spread(line.mean, line.fold_std)} %")
    if not math.isnan(line.test):
        dot = axes.scatter(100 * line.test, place + 0.24, s=24, marker="D", color=ORANGE, linewidths=0, zorder=5)
        tip(dot, f"{line.name}: test {share(line.test)} %")


def _legend_best(axes: Axes, lines: list[ArmDots]) -> None:
    axes.scatter([], [], s=34, facecolor=SURFACE, edgecolor=BLUE, linewidth=1.5, label="dev, mean ± spread over folds")
    axes.scatter([], [], s=7, color=BLUE, alpha=0.45, label="dev, one fold")
    if any(not math.isnan(line.test) for line in lines):
        axes.scatter([], [], s=24, marker="D", color=ORANGE, linewidths=0, label="test, mean")
    axes.figure.legend(loc="outside upper left", ncols=3)


def forest_numbers(found: Findings, compared: Sequence[Comparison] | None = None) -> list[ForestLine]:
    """Ablation rows, or other comparisons, as far as they could be made, in the table's order."""
    return [
        ForestLine(
            name=one.name,
            control=found.is_control(one.name),
            status=one.status,
            verdict=one.verdict,
            basis=one.basis,
            worth=one.estimate.difference,
            low=one.estimate.low,
            high=one.estimate.high,
            folds=one.estimate.fold_differences,
        )
        for one in (found.ablation if compared is None else compared)
        if one.estimate
    ]


_DOTS = (
    "Dot: mean over folds of the paired difference; bar: 95 % interval of the corrected resampled t-test; small dots: "
    "folds."
)


def ablation(found: Findings) -> Drawn | None:
    """Forest plot: what each component is worth, with its interval, folds and verdict."""
    lines = forest_numbers(found)
    if not lines:
        return None
    caption = (
        f"Reference: {found.name(found.ablation_parent)}, test UAR "
        f"{share(found.number(found.ablation_parent, 'uar'))} %. {_DOTS} "
        "Hollow: stopped early, compared on dev at the epoch it reached. † control."
    )
    label = "What the component is worth: UAR of the reference minus the row, points"
    return Drawn("ablation", "What each component is worth", caption, _forest(lines, label, str))


def baselines(found: Findings) -> Drawn | None:
    """Forest plot: what the method is worth against each baseline."""
    lines = forest_numbers(found, found.baselines)
    if not lines:
        return None
    arm = found.name(found.baseline_parent)
    caption = f"{arm} and each baseline on the same folds, in the test conditions that both have. {_DOTS}"
    label = f"UAR of {shorten(arm, 30)} minus the baseline's, points"
    return Drawn("baselines", "Against baselines", caption, _forest(lines, label, rather))


def factorial(found: Findings) -> Drawn | None:
    """Forest plot: main effects and interactions of the factorial design."""
    lines = [
        ForestLine(
            name=" × ".join(one.factors),
            control=False,
            status="done",
            verdict=one.verdict,
            basis="test",
            worth=one.estimate.difference,
            low=one.estimate.low,
            high=one.estimate.high,
            folds=one.estimate.fold_differences,
        )
        for one in found.effects
    ]
    if not lines:
        return None
    caption = (
        "Main effects: what a component is worth, averaged over all states of the others. A × B: what A is worth while "
        f"B is there, minus what it is worth without B. {_DOTS}"
    )
    return Drawn("factorial", "Components in every combination", caption, _forest(lines, "Test UAR, points", str))


def _forest(lines: Sequence[ForestLine], label: str, words: Callable[[str], str]) -> Figure:
    with look():
        figure = canvas(WIDE, 0.95 + 0.42 * len(lines))
        axes = figure.add_subplot()
        axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
        for place, line in enumerate(lines):
            _forest_line(axes, place, line, words(line.verdict))
        axes.set_yticks(range(len(lines)), [_forest_label(line) for line in lines])
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.set_xlabel(label)
        axes.xaxis.set_major_formatter(lambda value, _: change(value / 100))
        grid_on(axes, "x")
    return figure


def _forest_label(line: ForestLine) -> str:
    return wrap(line.name + (" †" if line.control else ""), 34, 2)


#: Colours of words beside marks of a colour.
_WORDS = {GREEN: GOOD, RED: BAD}


def verdict_colour(verdict: str) -> str:
    """Green helps, red hurts, grey for the rest."""
    return {HELPS: GREEN, HURTS: RED}.get(verdict, MUTED)


def _forest_line(axes: Axes, place: int, line: ForestLine, verdict: str) -> None:
    colour = verdict_colour(line.verdict)
    jitter = np.linspace(-0.14, 0.14, len(line.folds)) if len(line.folds) > 1 else np.zeros(1)
    axes.scatter(100 * np.array(line.folds), place + jitter, s=7, color=colour, alpha=0.5, linewidths=0, zorder=2)
    if not math.isnan(line.low):
        axes.plot([100 * line.low, 100 * line.high], [place, place], color=colour, linewidth=1.8, zorder=3)
    face = colour if line.status == "done" else SURFACE
    dot = axes.scatter(100 * line.worth, place, s=36, facecolor=face, edgecolor=colour, linewidth=1.5, zorder=4)
    tip(dot, f"{line.name}: {change(line.worth)} points, 95 % interval {interval(line.low, line.high)}; {verdict}")
    text = verdict + (f"\n{line.basis}" if line.basis != "test" else "")
    axes.annotate(
        text, (1.0, place), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
        va="center", fontsize=7.5, color=_WORDS.get(colour, INK), annotation_clip=False,
    )  # fmt: skip
