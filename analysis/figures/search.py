"""How the search went: its best so far, and where in each range the scores lie."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from analysis import search
from analysis.figures.style import (
    BLUE,
    MUTED,
    NARROW,
    ORANGE,
    RED,
    WIDE,
    Drawn,
    canvas,
    grid_on,
    legend_above,
    log_ticks,
    look,
    shorten,
)
from analysis.figures.tips import tip
from analysis.findings import Findings
from analysis.words import number, share

COLUMNS = 4
#: Under this many arms a search is no picture.
FEWEST = 3


class Scatter(NamedTuple):
    """Scores of all arms over one searched parameter.

    Attributes:
        parameter: Path of the config field.
        log: Whether the axis is logarithmic.
        options: Texts of the options where the values are no numbers (x is then their index), else empty.
        x: Values, shape (N,).
        score: Dev scores, shape (N,), in [0, 1].
        group: ``done``, ``stopped``, ``flagged`` or ``best``, shape (N,).
        names: The arms, shape (N,).
    """

    parameter: str
    log: bool
    options: tuple[str, ...]
    x: np.ndarray
    score: np.ndarray
    group: np.ndarray
    names: np.ndarray


def scatter_numbers(found: Findings) -> list[Scatter]:
    """A scatter for each searched parameter that took more than one value."""
    trials = found.run.trials
    arms = trials[trials["kind"].isin(["search", "reference"]) & trials["score"].notna()]
    groups = np.array([_group(found, trial) for trial in arms.itertuples(index=False)])
    ranges = found.run.provenance.get("parameters") or {}
    made = (_scatter(path, space, arms, groups) for path, space in ranges.items())
    return [one for one in made if one and len(one.x) >= FEWEST]


def _group(found: Findings, trial: Any) -> str:
    if trial.arm == found.best:
        return "best"
    return "flagged" if len(trial.flags) else str(trial.status)


def _scatter(path: str, space: dict[str, Any], arms: Any, groups: np.ndarray) -> Scatter | None:
    values = [config.get(path) for config in arms["config"]]
    there = np.array([value is not None for value in values])
    kept = [value for value in values if value is not None]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in kept)
    options = () if numeric else tuple(sorted({number(value) for value in kept}))
    x = np.array([float(v) if numeric else options.index(number(v)) for v in kept], dtype=float)
    if len(np.unique(x)) < 2:
        return None
    log = numeric and bool(space.get("log")) and bool((x > 0).all())
    names = arms["name"].to_numpy(str)[there]
    return Scatter(path, log, options, x, arms["score"].to_numpy(float)[there], groups[there], names)


_MARKS: dict[str, dict[str, Any]] = {
    "stopped": {"marker": "o", "s": 14, "facecolor": "none", "edgecolor": MUTED, "linewidth": 0.8},
    "done": {"marker": "o", "s": 16, "color": BLUE, "linewidths": 0},
    "flagged": {"marker": "x", "s": 18, "color": RED, "linewidth": 1.1},
    "best": {"marker": "D", "s": 34, "color": ORANGE, "linewidths": 0},
}


def scatter(found: Findings) -> Drawn | None:
    """Dev score over each searched parameter."""
    panels = scatter_numbers(found)
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with look():
        figure = canvas(WIDE if columns > 1 else NARROW, 0.5 + 1.7 * rows)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _panel(axes, panel)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for row in grid:
            row[0].set_ylabel("Dev score, % UAR")
        there = set(panels[0].group)
        handles = [_handle(name) for name in _MARKS if name in there]
        legend_above(figure, handles)
    caption = "Each point is an arm of the search. Stopped arms stand at the score they had when they were stopped."
    return Drawn("search", "Where the search found its scores", caption, figure)


def _says(panel: Scatter, place: int) -> str:
    value = panel.options[int(panel.x[place])] if panel.options else number(float(panel.x[place]))
    return f"{panel.names[place]}: {panel.parameter} = {value}, dev {share(float(panel.score[place]))} %"


def _panel(axes: Axes, panel: Scatter) -> None:
    for name, style in _MARKS.items():
        mine = panel.group == name
        alpha = 0.8 if mine.sum() < 300 else 0.3
        dots = axes.scatter(
            panel.x[mine],
            100 * panel.score[mine],
            rasterized=mine.sum() > 500,
            alpha=1 if name == "best" else alpha,
            **style,
        )
        tip(dots, [_says(panel, int(place)) for place in np.flatnonzero(mine)])
    if panel.log:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, panel.x.min(), panel.x.max())
        if panel.x.max() / panel.x.min() > 30:  # narrow as the panels are, powers of ten have room, and not all of many
            axes.xaxis.set_major_locator(LogLocator(numticks=4))
    if panel.options:
        axes.set_xticks(range(len(panel.options)), [shorten(option, 10) for option in panel.options])
        axes.set_xlim(-0.5, len(panel.options) - 0.5)
    axes.set_title(shorten(panel.parameter, 24))
    grid_on(axes, "y")


_NAMES = {"best": "chosen", "done": "done", "stopped": "stopped early", "flagged": "flagged"}


def _handle(name: str) -> Line2D:
    style = _MARKS[name]
    colour = style.get("color", MUTED)
    hollow = style.get("facecolor") == "none"
    return Line2D(
        [], [], linestyle="", marker=style["marker"], color=colour, markersize=5,
        markerfacecolor="none" if hollow else colour, label=_NAMES[name],
    )  # fmt: skip


def best_so_far(found: Findings) -> Drawn | None:
    """Dev score of every arm against the number of arms, and against time where it is known, and the best so far."""
    table = search.best_so_far(found.run)
    if len(table) < FEWEST or table["best"].isna().all():
        return None
    timed = bool(table["hours"].notna().any() and np.ptp(table["hours"].dropna()) > 0)
    with look():
        figure = canvas(WIDE, 2.4)
        panels = figure.subplots(1, 2 if timed else 1, sharey=True, squeeze=False)[0]
        _progress(panels[0], table, table["order"])
        panels[0].set_xlabel("Arms of the search, in the order in which they ended")
        panels[0].set_ylabel("Dev score, % UAR")
        panels[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        if timed:
            unit, size = _unit(float(table["hours"].max()))
            _progress(panels[1], table, table["hours"] / size)
            panels[1].set_xlabel(f"{unit} since the first arm began")
            panels[1].set_xlim(left=0)
        handles = [_handle(name) for name, mine in _states(table).items() if mine.any()]
        handles.append(Line2D([], [], color=ORANGE, label="best so far"))
        legend_above(figure, handles)
    caption = "The line follows the best arm that may be chosen: run to the end and unflagged."
    if timed:
        caption += " Time is on the clock, pauses and other arms of the run included."
    return Drawn("best_so_far", "Best so far", caption, figure)


def _unit(hours: float) -> tuple[str, float]:
    """A unit in which so many hours are a few, and its length in hours."""
    return ("Days", 24.0) if hours > 72 else ("Hours", 1.0) if hours > 2 else ("Minutes", 1 / 60)


def _states(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The arms by how they are marked, in the order in which they are drawn."""
    flagged, done = table["flagged"], table["status"] == "done"
    return {"stopped": ~done & ~flagged, "done": done & ~flagged, "flagged": flagged}


def _progress(axes: Axes, table: pd.DataFrame, x: pd.Series) -> None:
    for name, mine in _states(table).items():
        faint = 1.0 if len(table) < 500 else 0.4
        mine = mine & table["score"].notna()
        dots = axes.scatter(x[mine], 100 * table["score"][mine], rasterized=faint < 1, alpha=faint, **_MARKS[name])
        tip(
            dots,
            [
                f"{arm}: dev {share(score)} %"
                for arm, score in zip(table["name"][mine], table["score"][mine], strict=True)
            ],
        )
    axes.step(x, 100 * table["best"], where="post", color=ORANGE, zorder=3 if len(table) > 500 else 1)
    grid_on(axes, "y")
