"""Every loss term against the epoch, as small multiples."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    BLUE,
    MUTED,
    NARROW,
    ORANGE,
    WIDE,
    Drawn,
    canvas,
    grid_on,
    legend_above,
    log_ticks,
    look,
    shorten,
)
from analysis.findings import Findings
from analysis.losses import LossCurve

COLUMNS = 4
#: More panels than this are no figure any more; the terms of the earliest stages are shown.
MOST = 24
#: A term that falls by more than this is drawn on a log scale.
STEEP = 30


def panels(found: Findings) -> dict[tuple[str, str], list[LossCurve]]:
    """The curves by stage and term, in the order in which they came."""
    made: dict[tuple[str, str], list[LossCurve]] = {}
    for curve in found.losses:
        made.setdefault((curve.stage, curve.term), []).append(curve)
    return dict(list(made.items())[:MOST])


def losses(found: Findings) -> Drawn | None:
    """One panel a term: the best arm, and the reference or the paper's defaults where they are another arm."""
    made = panels(found)
    if not made:
        return None
    columns = min(COLUMNS, len(made))
    rows = math.ceil(len(made) / columns)
    arms = list(dict.fromkeys(curve.arm for curve in found.losses))
    stages = len({stage for stage, _ in made})
    with look():
        figure = canvas(WIDE if columns > 2 else NARROW, 0.5 + 1.5 * rows)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, ((stage, term), curves) in zip(grid.flat, made.items(), strict=False):
            _panel(axes, curves, arms)
            axes.set_title(shorten(f"{stage}: {term}" if stages > 1 else term, 27), fontsize=7.5)
        for axes in grid.flat[len(made) :]:
            axes.set_visible(False)
        figure.supxlabel("Epoch of the stage", fontsize=8)
        legend_above(figure, _handles(found, arms), 3)
    caption = (
        "Every term of the objective, unweighted, on the train rows: mean over folds and seeds; band: ± spread over "
        "these. Every panel has its own scale, a logarithmic one where a term falls far."
    )
    return Drawn("losses", "Loss terms", caption, figure)


_COLOURS = (BLUE, ORANGE)


def _panel(axes: Axes, curves: list[LossCurve], arms: list[str]) -> None:
    for curve in curves:
        colour = _COLOURS[arms.index(curve.arm)]
        spread = np.nan_to_num(curve.std)
        axes.fill_between(
            curve.epoch, curve.mean - spread, curve.mean + spread, color=colour, alpha=0.18, linewidth=0, zorder=2
        )
        mark = "o" if len(curve.epoch) < 3 else None
        axes.plot(curve.epoch, curve.mean, color=colour, linewidth=1.3, marker=mark, markersize=3.5, zorder=3)
    low, high = _range(curves)
    if low > 0 and high / low > STEEP:
        axes.set_yscale("log")
        log_ticks(axes.yaxis, low, high)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    grid_on(axes, "y")


def _range(curves: list[LossCurve]) -> tuple[float, float]:
    """Least and greatest value that is drawn, bands included."""
    low = min(float((curve.mean - np.nan_to_num(curve.std)).min()) for curve in curves)
    high = max(float((curve.mean + np.nan_to_num(curve.std)).max()) for curve in curves)
    return low, high


def _handles(found: Findings, arms: list[str]) -> list[Line2D | Patch]:
    words = {found.best: " (chosen)"}
    lines: list[Line2D | Patch] = [
        Line2D([], [], color=_COLOURS[i], label=shorten(found.name(arm), 30) + words.get(arm, ""))
        for i, arm in enumerate(arms)
    ]
    return [*lines, Patch(color=MUTED, alpha=0.3, linewidth=0, label="± spread over folds and seeds")]
