"""Early against final scores: what stopping went by, and what came of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.style import BLUE, INK, MUTED, NARROW, ORANGE, WIDE, Drawn, canvas, legend_above, look
from analysis.findings import Findings
from analysis.rungs import Rung, Rungs
from analysis.rungs_words import SURVIVORS, risked, spearman_words
from analysis.words import plural

COLUMNS = 3


def rungs(found: Findings) -> Drawn | None:
    """One panel a rung: dev UAR there against the final dev score of arms that ran to their end."""
    risk = found.rungs
    if risk is None:
        return None
    panels = [rung for rung in risk.rungs if len(rung.searched.early)]
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with look():
        figure = canvas(WIDE if columns > 1 else NARROW, 0.75 + 2.1 * rows)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, rung in zip(grid.flat, panels, strict=False):
            _panel(axes, rung)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for row in grid:
            row[0].set_ylabel("Final dev score, %")
        figure.supxlabel("Dev UAR at the rung, %", fontsize=8, color=INK)
        legend_above(figure, _handles(panels))
    return Drawn("rungs", "What stopping early risked", _caption(risk), figure)


def _caption(risk: Rungs) -> str:
    return f"{risked(risk)} {SURVIVORS}"


def _panel(axes: Axes, rung: Rung) -> None:
    free, mine = rung.free, rung.searched
    many, best = len(mine.early) > 300, int(np.argmax(mine.final))
    hollow: dict[str, Any] = {"marker": "s", "s": 12, "facecolor": "none", "edgecolor": MUTED, "linewidth": 0.8}
    axes.scatter(100 * free.early, 100 * free.final, **hollow)
    plain: dict[str, Any] = {"color": BLUE, "s": 14, "linewidths": 0, "alpha": 0.4 if many else 0.85}
    axes.scatter(100 * mine.early, 100 * mine.final, rasterized=many, **plain)
    axes.scatter(100 * mine.early[best], 100 * mine.final[best], color=ORANGE, marker="D", s=34, linewidths=0, zorder=4)
    _rug(axes, 100 * rung.halted)
    axes.set_title(f"After {plural(rung.budget, 'epoch')}")
    axes.annotate(
        spearman_words(mine), (0, 1), xycoords="axes fraction", xytext=(2, -1), textcoords="offset points", va="top",
        fontsize=7.5,
    )  # fmt: skip
    axes.margins(y=0.16)
    axes.grid(True)


def _rug(axes: Axes, scores: np.ndarray) -> None:
    """Scores along the lower edge."""
    faint = float(np.clip(30 / max(len(scores), 1), 0.1, 0.8))
    low = np.full(len(scores), 0.03)
    axes.plot(scores, low, "|", color=MUTED, markersize=6, alpha=faint, rasterized=len(scores) > 300,
              transform=axes.get_xaxis_transform())  # fmt: skip


def _handles(panels: list[Rung]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=BLUE, marker="o", markersize=4.5, linestyle="", label="run to the end"),
        Line2D([], [], color=ORANGE, marker="D", markersize=5, linestyle="", label="ended best"),
    ]
    if any(len(rung.halted) for rung in panels):
        handles.append(Line2D([], [], color=MUTED, marker="|", markersize=6, linestyle="", label="stopped here"))
    if any(len(rung.free.early) for rung in panels):
        handles.append(
            Line2D([], [], color=MUTED, marker="s", markersize=4, markerfacecolor="none", linestyle="",
                   label="sensitivity arms: never up for stopping")
        )  # fmt: skip
    return handles
