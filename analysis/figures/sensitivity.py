"""Sensitivity curves as small multiples."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    NARROW,
    ORANGE,
    RED,
    WIDE,
    Drawn,
    canvas,
    grid_on,
    legend_above,
    look,
    shorten,
)
from analysis.findings import Findings
from analysis.sensitivity import TOLERANCE, Curve, Point
from analysis.words import change, number, share

COLUMNS = 3
_SEEDS = "± spread over seeds"


def sensitivity(found: Findings) -> Drawn | None:
    """One panel a parameter: paired change of test UAR against the reference."""
    curves = [curve for curve in found.sensitivity if len(curve.points) > 1]
    if not curves:
        return None
    columns = min(COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    with look():
        figure = canvas(WIDE if columns > 1 else NARROW, 0.55 + 1.95 * rows)
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, curve in zip(panels.flat, curves, strict=False):
            _panel(axes, curve)
        for axes in panels.flat[len(curves) :]:
            axes.set_visible(False)
        figure.supylabel("Change of test UAR, points", fontsize=8, color=INK)
        _legend(figure, curves)
    caption = (
        f"Change of test UAR against the reference ({found.name(found.reference)}, test UAR "
        f"{share(found.number(found.reference, 'uar'))} %), paired by fold and seed; band: ± spread over folds; "
        f"{_seeds_words(curves)}thin lines: folds. "
        f"Shaded: robust range, in which no tested value lost more than {100 * TOLERANCE:g} point of the mean."
    )
    return Drawn("sensitivity", "Sensitivity, one parameter at a time", caption, figure)


def _seeded(curves: list[Curve]) -> bool:
    """Whether there is a spread over seeds to show."""
    return any(point.seed_std > 0 for curve in curves for point in curve.points)


def _seeds_words(curves: list[Curve]) -> str:
    return "dashed: ± spread between seeds within a fold; " if _seeded(curves) else ""


def _panel(axes: Axes, curve: Curve) -> None:
    done = [point for point in curve.points if not math.isnan(point.change)]
    x = np.array([point.position for point in done])
    y = 100 * np.array([point.change for point in done])
    folds, seeds = (100 * np.nan_to_num([getattr(point, name) for point in done]) for name in ("fold_std", "seed_std"))
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
    _robust(axes, curve)
    for fold in range(min((len(point.fold_changes) for point in done), default=0)):
        values = [100 * point.fold_changes[fold] for point in done]
        axes.plot(x, values, color=BLUE, alpha=0.18, linewidth=0.7, zorder=2)
    axes.fill_between(x, y - folds, y + folds, color=BLUE, alpha=0.14, linewidth=0, zorder=2)
    for edge in (y - seeds, y + seeds) if seeds.any() else ():
        axes.plot(x, edge, color=GREEN, linewidth=1, linestyle=(0, (4, 2)), zorder=3)
    axes.plot(x, y, color=BLUE, marker="o", markersize=3.6, zorder=4)
    own = next(point for point in curve.points if point.is_reference)
    axes.plot([own.position], [0], marker="D", markersize=5.5, color=ORANGE, linestyle="", zorder=5)
    _stopped(axes, [point for point in curve.points if math.isnan(point.change)])
    _ticks(axes, curve.points)
    axes.set_title(shorten(curve.parameter, 30))
    axes.yaxis.set_major_formatter(lambda value, _: change(value / 100))
    grid_on(axes, "y")


def _robust(axes: Axes, curve: Curve) -> None:
    if curve.robust is None:
        return
    place = {point.value: point.position for point in curve.points}
    low, high = (place[end] for end in curve.robust)
    if low < high:
        axes.axvspan(low, high, color=MUTED, alpha=0.1, linewidth=0, zorder=0)


def _stopped(axes: Axes, points: list[Point]) -> None:
    places = [point.position for point in points]
    axes.plot(
        places,
        [0.05] * len(places),
        marker="x",
        color=RED,
        linestyle="",
        markersize=5,
        transform=axes.get_xaxis_transform(),
    )


def _ticks(axes: Axes, points: tuple[Point, ...]) -> None:
    """A tick at every tested value; labels that would touch are left out, the reference's own among the first."""
    span = max(points[-1].position - points[0].position, 1e-9)
    labels: list[str] = []
    last = -math.inf
    for point in points:
        text = shorten(number(point.value), 9)
        room = (0.03 + 0.025 * len(text)) * span
        crowded = point.position - last < room
        labels.append("" if crowded or (point.is_reference and len(text) > 4) else text)
        last = last if not labels[-1] else point.position
    axes.set_xticks([point.position for point in points], labels)
    axes.set_xlim(points[0].position - 0.07 * span, points[-1].position + 0.07 * span)


def _legend(figure: Figure, curves: list[Curve]) -> None:
    handles: list[Artist] = [
        Line2D([], [], color=BLUE, marker="o", markersize=3.6, label="mean over folds"),
        Patch(color=BLUE, alpha=0.14, linewidth=0, label="± spread over folds"),
        *([Line2D([], [], color=GREEN, linewidth=1, linestyle=(0, (4, 2)), label=_SEEDS)] if _seeded(curves) else []),
        Line2D([], [], color=ORANGE, marker="D", linestyle="", markersize=5.5, label="reference"),
    ]
    if any(math.isnan(point.change) for curve in curves for point in curve.points):
        handles.append(Line2D([], [], color=RED, marker="x", linestyle="", label="stopped or failed"))
    legend_above(figure, handles, len(handles))
