"""Learning curves, and what stopping early saved."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    BLUE,
    COLOURS,
    GRID,
    INK,
    MUTED,
    ORANGE,
    RED,
    WIDE,
    Drawn,
    canvas,
    grid_on,
    look,
    shorten,
)
from analysis.findings import Findings
from analysis.run import Run
from analysis.search import Saved
from analysis.words import plural

#: Arms drawn in colour, and at most in grey.
TOP, GREY = 4, 200


class LearningCurve(NamedTuple):
    """Dev UAR of an arm over its classifying epochs; shares in [0, 1].

    Attributes:
        arm: The arm.
        name: Its name.
        budget: Classifying epochs so far, shape (E,).
        mean: Mean over folds of the mean over seeds, shape (E,).
        fold_std: Spread of the fold means, shape (E,); NaN with one fold.
        starts: Budget after which each stage but the first begins, by the stage's name.
    """

    arm: str
    name: str
    budget: np.ndarray
    mean: np.ndarray
    fold_std: np.ndarray
    starts: dict[str, float]


def learning_numbers(run: Run, arm: str) -> LearningCurve | None:
    """The learning curve of one arm; None when it never classified anything."""
    mine = run.curve_places.get(arm, np.array([], dtype=int))
    mine = mine[~np.isnan(run.curve_rows[mine]).all(axis=1)]
    if not len(mine):
        return None
    table, rows = run.curves.iloc[mine], run.curve_rows[mine]
    folds = pd.Index([fold for fold, _ in run.rows])
    means = np.stack([np.nanmean(rows[:, folds == fold], axis=1) for fold in folds.unique()], axis=1)
    budget = table["budget"].to_numpy(float)
    stages = table["stage"].astype(str).to_numpy()
    starts = {str(stages[i]): float(budget[i - 1]) for i in range(1, len(stages)) if stages[i] != stages[i - 1]}
    spread = means.std(axis=1, ddof=1) if means.shape[1] > 1 else np.full(len(means), np.nan)
    return LearningCurve(arm, str(run.arm(arm)["name"]), budget, means.mean(axis=1), spread, starts)


def top_curves(found: Findings) -> list[LearningCurve]:
    """The best arm, the paper's defaults, then the next best on dev."""
    arms = [arm for arm in (found.best, found.paper) if arm]
    arms += [arm for arm in found.top["arm"] if arm not in arms][: TOP - len(arms)]
    curves = (learning_numbers(found.run, arm) for arm in dict.fromkeys(arms))
    return [curve for curve in curves if curve]


def learning(found: Findings) -> Drawn | None:
    """Learning curves of the top arms in colour, of stopped arms in grey."""
    top = top_curves(found)
    stopped = found.run.trials["arm"][found.run.trials["status"] == "stopped"]
    if not top:
        return None
    with look():
        figure = canvas(WIDE, 3.0)
        axes = figure.add_subplot()
        grey = [curve for arm in stopped.head(GREY) if (curve := learning_numbers(found.run, arm))]
        for curve in grey:
            axes.plot(curve.budget, 100 * curve.mean, color=MUTED, alpha=0.45, linewidth=0.8, zorder=2)
            axes.plot(curve.budget[-1:], 100 * curve.mean[-1:], marker="|", color=MUTED, markersize=6, zorder=2)
        for place, curve in enumerate(top):
            _top_line(axes, curve, COLOURS[place], found.best)
        _stage_marks(axes, top[0])
        axes.set_xlabel("Classifying epochs")
        axes.set_ylabel("Dev UAR, %")
        axes.set_xlim(left=0)
        axes.margins(y=0.09)  # room for the stages' names above the curves
        _learning_legend(axes, top, len(stopped), found)
    over = "folds, seeds and conditions" if found.several else "folds and seeds"
    caption = (
        f"Dev UAR, mean over {over}; band: ± spread over folds, for the best arm. Dashed: where the best arm's next "
        "stage begins; stages that classify nothing take no room. Ticks end the curves of stopped arms."
    )
    return Drawn("learning", "Learning curves on dev", caption, figure)


def _top_line(axes: Axes, curve: LearningCurve, colour: str, best: str | None) -> None:
    chosen = curve.arm == best
    axes.plot(curve.budget, 100 * curve.mean, color=colour, linewidth=2.0 if chosen else 1.2, zorder=5 if chosen else 4)
    if len(curve.budget) == 1:
        axes.plot(curve.budget, 100 * curve.mean, color=colour, marker="o", markersize=4)
    if chosen:
        spread = np.nan_to_num(curve.fold_std)
        axes.fill_between(
            curve.budget,
            100 * (curve.mean - spread),
            100 * (curve.mean + spread),
            color=colour,
            alpha=0.13,
            linewidth=0,
        )


def _stage_marks(axes: Axes, curve: LearningCurve) -> None:
    for stage, budget in curve.starts.items():
        axes.axvline(budget, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"{shorten(stage, 16)} →", (budget, 1), xycoords=("data", "axes fraction"),
            xytext=(3, -2), textcoords="offset points", va="top", fontsize=7.5,
        )  # fmt: skip


def _learning_legend(axes: Axes, top: list[LearningCurve], stopped: int, found: Findings) -> None:
    handles = [
        Line2D([], [], color=COLOURS[i], linewidth=2.0 if c.arm == found.best else 1.2, label=_label(c, found))
        for i, c in enumerate(top)
    ]
    if stopped:
        handles.append(Line2D([], [], color=MUTED, alpha=0.6, linewidth=0.8, label=f"stopped ({stopped})"))
    axes.figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 5))


def _label(curve: LearningCurve, found: Findings) -> str:
    if curve.arm == found.best:
        return f"{shorten(curve.name, 24)} (chosen)"
    return shorten(curve.name, 24) + (" (flagged)" if len(found.run.arm(curve.arm)["flags"]) else "")


class Bar(NamedTuple):
    """Epochs of one arm: seen and planned."""

    name: str
    status: str
    seen: int
    planned: int


#: With more arms than this, the order in which they ended is only noise: they are sorted by epochs seen.
MANY = 300


def saved_numbers(run: Run) -> list[Bar]:
    """All arms in the order in which they ended; the longest first when there are more than `MANY`."""
    trials = run.trials.sort_values("finished_order", kind="stable")
    if len(trials) > MANY:
        trials = trials.sort_values(["epochs", "status"], ascending=[False, True], kind="stable")
    columns = zip(trials["name"], trials["status"], trials["epochs"], trials["epochs_planned"], strict=True)
    return [Bar(str(name), str(status), int(seen), int(planned)) for name, status, seen, planned in columns]


_STATUS = {"done": BLUE, "stopped": ORANGE, "failed": RED}


def saved(found: Findings) -> Drawn | None:
    """Arms along, epochs up: what was trained, and what stopping left untrained."""
    bars, total = saved_numbers(found.run), found.saved
    if not total.stopped or total.planned == 0:
        return None
    statuses = np.array([bar.status for bar in bars])
    seen, planned = (np.array([getattr(bar, name) for bar in bars]) for name in ("seen", "planned"))
    with look():
        figure = canvas(WIDE, 2.3)
        axes = figure.add_subplot()
        _bars(axes, planned, GRID, 2)
        for status, colour in _STATUS.items():
            _bars(axes, np.where(statuses == status, seen, 0), colour, 3)
        ordered = "by epochs seen" if len(bars) > MANY else "in the order in which they ended"
        axes.set_xlabel(f"Arms, {ordered}")
        axes.set_ylabel("Classifying epochs")
        axes.set_xlim(0.4, len(bars) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        grid_on(axes, "y")
        handles = [Patch(color=c, label=s) for s, c in _STATUS.items() if (statuses == s).any()]
        handles.append(Patch(color=GRID, label="not trained"))
        figure.legend(handles=handles, loc="outside upper left", ncols=4)
    return Drawn("saved", "What stopping early saved", saved_words(total), figure)


def _bars(axes: Axes, heights: np.ndarray, colour: str, order: int) -> None:
    """Bars, as one outline where there are too many for gaps between them."""
    if len(heights) <= 120:
        axes.bar(np.arange(1, len(heights) + 1), heights, width=0.8, color=colour, linewidth=0, zorder=order)
        return
    starts = np.concatenate([[0], np.flatnonzero(np.diff(heights)) + 1])
    edges = np.append(starts, len(heights)) + 0.5
    axes.stairs(heights[starts], edges, fill=True, color=colour, linewidth=0, zorder=order)


def saved_words(total: Saved) -> str:
    """What stopping saved, in words."""
    text = (
        f"{total.stopped:,} of {plural(total.arms, 'arm')} stopped early: {total.saved:,} of "
        f"{plural(total.planned, 'planned epoch')} "
        f"({100 * total.share:.0f} %) were not needed."
    )
    if total.reused:
        text += f" Stored stages spared another {plural(total.reused, 'epoch')} of training."
    return text
