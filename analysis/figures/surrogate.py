"""What a surrogate fitted to the search's arms says of one parameter and of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.figures.style import (
    BLUE,
    INK,
    MUTED,
    NARROW,
    ORANGE,
    SURFACE,
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
from analysis.response import Response
from analysis.response_words import error_words, left_out, scores_of
from analysis.space import Axis, Sample
from analysis.surrogate import Pair, Partial
from analysis.words import number, plural

COLUMNS = 4
#: At most so many parameters are drawn, the most important ones.
MOST = 12
#: Colours from low to high, even in lightness and told apart by colour-blind readers.
MAP = "viridis"


def shown_partials(response: Response) -> list[Partial]:
    """The dependences that are drawn, the most important parameter first."""
    order = [one.parameter for one in response.importances.found] if response.importances else []
    return sorted(response.partials, key=lambda one: order.index(one.axis.path))[:MOST]


def partial_dependence(found: Findings) -> Drawn | None:
    """One panel a parameter: the dev score that the surrogate foretells, with its band; nothing where it knows none."""
    if found.response is None or not found.response.partials:
        return None
    panels = shown_partials(found.response)
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with look():
        figure = canvas(WIDE if columns > 2 else NARROW, 0.6 + 1.7 * rows)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _panel(axes, panel, found.response.shown.sample, found)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        figure.supylabel(_foretold(found.response), fontsize=8, color=INK)
        legend_above(figure, _handles(found), 3)
    return Drawn("partial_dependence", "What the surrogate says of each parameter", _caption(found.response), figure)


def _foretold(response: Response) -> str:
    """What is foretold, to stand along an axis."""
    budget = response.shown.sample.budget
    return "Foretold dev score, % UAR" if budget is None else f"Foretold dev UAR after {plural(budget, 'epoch')}, %"


def _caption(response: Response) -> str:
    sample = response.shown.sample
    text = (
        f"Fitted to {scores_of(sample)}. Line: mean foretold score when all arms are moved to the value (partial "
        "dependence); band: ± 2 standard deviations over refits on resampled arms; ticks: values that arms had. "
        f"{error_words(response.shown)} {left_out(sample)}"
    ).strip()
    more = len(response.partials) - MOST
    return text + (f" {more} less important parameters are not drawn." if more > 0 else "")


def _panel(axes: Axes, panel: Partial, sample: Sample, found: Findings) -> None:
    x, mean, band = panel.axis.values(panel.places), 100 * panel.mean, 200 * panel.std
    if panel.axis.levels:
        axes.errorbar(x, mean, band, color=BLUE, marker="o", markersize=4, linestyle="", elinewidth=1.4)
    else:
        axes.fill_between(x, mean - band, mean + band, color=BLUE, alpha=0.15, linewidth=0)
        axes.plot(x, mean, color=BLUE)
    places = sample.places[:, [axis.path for axis in sample.axes].index(panel.axis.path)]
    _rug(axes, panel.axis.values(places), _chosen(found, panel.axis))
    _scale(axes, panel.axis, "x")
    axes.set_title(shorten(panel.axis.path, 24))
    grid_on(axes, "y")


def _chosen(found: Findings, axis: Axis) -> np.ndarray:
    """The chosen arm's value of a parameter, shape (1,); (0,) where it has none inside the range."""
    place = axis.places([found.run.arm(found.best)["config"].get(axis.path)]) if found.best else np.zeros(0)
    return axis.values(place[~np.isnan(place)])


def _rug(axes: Axes, values: np.ndarray, chosen: np.ndarray) -> None:
    """Where arms were, along the lower edge; the chosen one as a diamond."""
    faint = float(np.clip(30 / len(values), 0.15, 0.8))
    low: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "linestyle": ""}
    axes.plot(values, np.full(len(values), 0.03), marker="|", color=MUTED, alpha=faint, markersize=5, zorder=1, **low)
    if len(chosen):  # the layout takes nothing, drawn unclipped, for something endless
        axes.plot(chosen, [0.03], marker="D", color=ORANGE, markersize=4.5, clip_on=False, zorder=5, **low)


def _scale(axes: Axes, axis: Axis, which: str) -> None:
    """Scale, ends and ticks of a parameter along an axis of the drawing."""
    side = getattr(axes, f"{which}axis")
    set_limits = getattr(axes, f"set_{which}lim")
    if axis.options:
        side.set_ticks(range(len(axis.options)), [shorten(number(option), 10) for option in axis.options])
        set_limits(-0.5, len(axis.options) - 0.5)
    elif axis.log:
        getattr(axes, f"set_{which}scale")("log")
        log_ticks(side, axis.low, axis.high)
        if axis.high / axis.low > 30:  # the drawings are narrow: powers of ten, and not all where there are many
            side.set_major_locator(LogLocator(numticks=4))
        set_limits(axis.low, axis.high)
    elif axis.levels:
        side.set_major_locator(MaxNLocator(8, integer=True))
        set_limits(axis.low - 0.5, axis.high + 0.5)
    else:
        set_limits(axis.low, axis.high)


def _handles(found: Findings) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=BLUE, label="foretold"),
        Patch(color=BLUE, alpha=0.15, linewidth=0, label="± 2 standard deviations"),
    ]
    if found.best:
        handles.append(Line2D([], [], color=ORANGE, marker="D", markersize=4.5, linestyle="", label="chosen arm"))
    return handles


def contour(found: Findings) -> Drawn | None:
    """The foretold score over pairs of the most important parameters; nothing where the surrogate knows none."""
    if found.response is None or not found.response.pairs:
        return None
    pairs = found.response.pairs
    score = 100 * np.concatenate([pair.mean.ravel() for pair in pairs])
    levels = np.asarray(MaxNLocator(12).tick_values(score.min(), max(score.max(), score.min() + 0.1)))
    with look():
        figure = canvas(WIDE if len(pairs) > 1 else NARROW, 2.9)
        panels = figure.subplots(1, len(pairs), squeeze=False)[0]
        for axes, pair in zip(panels, pairs, strict=True):
            filled = _map(axes, pair, levels)
            _arms(axes, pair, found.response.shown.sample, found)
        _colour_bar(figure, filled, panels, _foretold(found.response))
        legend_above(figure, _point_handles(found), 2)
    caption = (
        f"Dev score foretold by the surrogate over two parameters at a time, the others as the arms have them. "
        f"Dots: arms; where there are none, colours are a guess. {error_words(found.response.shown)}"
    )
    return Drawn("contour", "What the surrogate says of pairs of parameters", caption, figure)


def _map(axes: Axes, pair: Pair, levels: np.ndarray) -> object:
    x, y = (axis.values(places) for axis, places in zip((pair.first, pair.second), pair.places, strict=True))
    if pair.first.levels or pair.second.levels:
        filled: object = axes.pcolormesh(
            x, y, 100 * pair.mean, cmap=MAP, norm=Normalize(levels[0], levels[-1]), shading="nearest", rasterized=True
        )
    else:
        filled = axes.contourf(x, y, 100 * pair.mean, levels=levels, cmap=MAP)
    for axis, which in ((pair.first, "x"), (pair.second, "y")):
        _scale(axes, axis, which)
        getattr(axes, f"set_{which}label")(shorten(axis.path, 26))
    axes.grid(False)
    return filled


def _arms(axes: Axes, pair: Pair, sample: Sample, found: Findings) -> None:
    paths = [axis.path for axis in sample.axes]
    x, y = (axis.values(sample.places[:, paths.index(axis.path)]) for axis in (pair.first, pair.second))
    size = 12 if len(x) < 150 else 5
    axes.scatter(x, y, s=size, color="#ffffff", edgecolor="#1b1b1d", linewidth=0.5, alpha=0.85)
    best = [_chosen(found, axis) for axis in (pair.first, pair.second)]
    if all(map(len, best)):
        mark: dict[str, Any] = {"marker": "D", "color": ORANGE, "edgecolor": "#1b1b1d", "clip_on": False, "zorder": 5}
        axes.scatter(best[0], best[1], s=42, linewidth=0.8, **mark)


def _colour_bar(figure: Figure, filled: object, panels: Sequence[Axes], text: str) -> None:
    bar = figure.colorbar(filled, ax=list(panels), pad=0.02, aspect=28)  # type: ignore[arg-type]
    bar.set_label(text)
    bar.outline.set_visible(False)
    bar.ax.grid(False)


def _point_handles(found: Findings) -> list[Line2D]:
    arm = {"markerfacecolor": SURFACE, "markeredgecolor": INK, "markeredgewidth": 0.5, "linestyle": ""}
    handles = [Line2D([], [], marker="o", markersize=4, label="arm", **arm)]  # type: ignore[arg-type]
    if found.best:
        handles.append(Line2D([], [], color=ORANGE, marker="D", markersize=5, linestyle="", label="chosen arm"))
    return handles
