"""Arms by test condition: a line an arm, a dot a condition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.conditions import groups, in_words, tested
from analysis.figures.style import COLOURS, INK, MUTED, SURFACE, WIDE, Drawn, canvas, grid_on, ink_on, look, wrap
from analysis.figures.tips import tip
from analysis.findings import Findings
from analysis.published import of_row, over
from analysis.words import with_spread

#: Marks of the conditions, besides their colours.
MARKS = "osD^vP*X"


class ConditionDots(NamedTuple):
    """One line: test UAR of an arm in every condition, shares in [0, 1].

    Attributes:
        label: The arm.
        scores: Condition -> (mean over folds, spread over folds); the spread may be NaN.
        published: Condition -> the paper's number, where it has one.
    """

    label: str
    scores: Mapping[str, tuple[float, float]]
    published: Mapping[str, float]


def numbers(found: Findings) -> list[ConditionDots]:
    """The arms shown, each in the conditions it was tested in."""
    lines = []
    for one in found.shown:
        values = {name: found.in_condition(one.arm, name) for name in tested(found.run, one.arm)}
        ours = one.row is not None or one.arm == (found.ablation_parent or found.best)
        theirs = {name: over(of_row(found.run, one.row), [name]).mean for name in values} if ours else {}
        theirs = {name: value for name, value in theirs.items() if not math.isnan(value)}
        lines.append(ConditionDots(one.label + (" †" if one.control else ""), values, theirs))
    return [line for line in lines if line.scores]


def by_condition(found: Findings) -> Drawn | None:
    """The arms shown by condition; nothing where there is but one."""
    if not found.several:
        return None
    caption = (
        "Test UAR of every arm in every condition: mean over folds of the mean over seeds (mark), ± spread over folds "
        "(bar). † control."
    )
    lines = numbers(found)
    if any(line.published for line in lines):
        caption += " Hollow: published, on the paper's own features and folds."
    return draw("by_condition", "Test UAR by condition", caption, lines, found.conditions)


def heat_map(found: Findings) -> Drawn | None:
    """The arms shown by condition as a map of numbers; nothing with one arm, or where nothing is missing."""
    if not found.several or len(table := heat_map_numbers(found)) < 2:
        return None
    with look():
        figure = canvas(WIDE, 0.9 + 0.27 * len(table))
        axes = figure.add_subplot()
        sns.heatmap(
            100 * table, ax=axes, cmap="crest", annot=True, fmt=".1f", annot_kws={"fontsize": 7}, cbar=False,
            linewidths=1, linecolor=SURFACE,
        )  # fmt: skip
        shades = axes.collections[0].get_facecolor()
        for text in axes.texts:
            column, row = (int(part) for part in text.get_position())
            text.set_color(ink_on(shades[row * table.shape[1] + column]))
        axes.set_xticklabels([wrap(in_words(name), 12) for name in table.columns], rotation=0)
        axes.set_yticklabels([wrap(name, 36, 2) for name in table.index], rotation=0)
        axes.set(xlabel="", ylabel="")
        axes.grid(False)
        axes.tick_params(length=0)
    caption = (
        "Test UAR, %, mean over folds of the mean over seeds; the darker the higher. Blank: not tested in that "
        "condition. † control."
    )
    return Drawn("heat_map", "Every arm in every condition", caption, figure)


def heat_map_numbers(found: Findings) -> pd.DataFrame:
    """Test UAR of the arms shown, one row an arm, by condition and with the mean over those that miss something."""
    whole = found.conditions[-1]
    names = [*(name for name in groups(found.conditions) if name != whole), whole]
    lines = {
        one.label + (" †" if one.control else ""): [found.in_condition(one.arm, name)[0] for name in names]
        for one in found.shown
    }
    return pd.DataFrame.from_dict(lines, orient="index", columns=names).dropna(how="all")


def draw(key: str, title: str, caption: str, lines: Sequence[ConditionDots], names: Sequence[str]) -> Drawn:
    """Lines of any arms, with the conditions' marks one below the other."""
    step = 0.62 / max(len(names) - 1, 1)
    with look():
        figure = canvas(WIDE, 0.85 + (0.2 + 0.11 * len(names)) * len(lines))
        axes = figure.add_subplot()
        for place, line in enumerate(lines):
            if place % 2:
                axes.axhspan(place - 0.5, place + 0.5, color=MUTED, alpha=0.07, linewidth=0, zorder=0)
            for index, name in enumerate(names):
                _dot(axes, line, name, place - 0.31 + step * index if len(names) > 1 else place, index)
        axes.set_yticks(range(len(lines)), [wrap(line.label, 34, 2) for line in lines])
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("Test UAR, %")
        grid_on(axes, "x")
        figure.legend(handles=_handles(lines, names), loc="outside upper left", ncols=5)
    return Drawn(key, title, caption, figure)


def colour_of(index: int) -> str:
    """Colour of a condition by its place."""
    return COLOURS[index % len(COLOURS)]


def _dot(axes: Axes, line: ConditionDots, name: str, height: float, index: int) -> None:
    colour, mark = colour_of(index), MARKS[index % len(MARKS)]
    if name in line.scores:
        mean, std = line.scores[name]
        ends = 100 * (mean + np.nan_to_num(std) * np.array([-1, 1]))
        axes.plot(ends, [height, height], color=colour, linewidth=1.3, alpha=0.65, zorder=3)
        (dot,) = axes.plot([100 * mean], [height], marker=mark, markersize=4.6, color=colour, linestyle="", zorder=4)
        tip(dot, f"{line.label}, {name}: {with_spread(mean, std)} %")
    if name in line.published:
        axes.plot(
            [100 * line.published[name]], [height], marker=mark, markersize=4.6, color=colour,
            markerfacecolor=SURFACE, linestyle="", zorder=5,
        )  # fmt: skip


def _handles(lines: Sequence[ConditionDots], names: Sequence[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="", marker=MARKS[i % len(MARKS)], markersize=4.6, color=colour_of(i), label=name)
        for i, name in enumerate(names)
    ]
    if any(line.published for line in lines):
        handles.append(
            Line2D(
                [], [], linestyle="", marker="o", markersize=4.6, color=INK, markerfacecolor=SURFACE, label="published"
            )
        )
    return handles
