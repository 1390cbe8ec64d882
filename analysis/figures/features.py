"""What the best arm confuses, and what its generator made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from analysis.figures.style import (
    BLUE,
    MUTED,
    NARROW,
    ORANGE,
    SURFACE,
    WIDE,
    Drawn,
    canvas,
    grid_on,
    ink_on,
    look,
    shorten,
)
from analysis.findings import Findings


def row_percent(counts: np.ndarray) -> np.ndarray:
    """Counts as percent of each true class, shape (C, C); NaN where a class has no utterance."""
    totals = counts.sum(axis=1, keepdims=True).astype(float)
    return 100 * counts / np.where(totals > 0, totals, np.nan)


def confusion(found: Findings) -> Drawn | None:
    """Confusion matrices of the best arm on test, one a condition: percent of each true class, and utterances."""
    if not found.confusions:
        return None
    repeats = max(int(found.number(found.best, "seeds")), 1)
    names = [shorten(name, 14) for name in found.run.classes]
    shape = _shape(names, len(found.confusions))
    with look():
        figure = canvas(shape.width, shape.height)
        grid = list(figure.subplots(shape.rows, shape.columns, squeeze=False).flat)
        for index, (axes, (title, counts)) in enumerate(zip(grid, found.confusions.items(), strict=False)):
            _matrix(axes, counts, repeats, shape.cell)
            _names(axes, names, shape, index, len(found.confusions))
            axes.set_title(title if len(found.confusions) > 1 else "")
        for axes in grid[len(found.confusions) :]:
            axes.set_visible(False)
    seeds = f", means over {repeats} seeds" if repeats > 1 else ""
    each = ", in each condition" if len(found.confusions) > 1 else ""
    caption = (
        f"Test utterances of {found.name(found.best)}, all folds together{each}: percent of the true class, which the "
        f"shade shows, and below it how many{seeds}."
    )
    return Drawn("confusion", "Confusion on test", caption, figure)


class Shape(NamedTuple):
    """Panels of the confusion figure, and its measures in inches; `cell` is the side of one cell."""

    rows: int
    columns: int
    width: float
    height: float
    cell: float


def _shape(names: Sequence[str], matrices: int) -> Shape:
    """One matrix fills a column of a paper, or both where it has many classes; several stand side by side."""
    columns = min(matrices, 3 if len(names) <= 5 else 2)
    rows = -(-matrices // columns)
    width = NARROW if matrices == 1 and len(names) <= 5 else WIDE
    beside = _LETTER * max(map(len, names)) + 0.4
    side = min((width - beside - 0.12 * columns) / columns, 5.4)
    under = _LETTER * max(map(len, names)) * (0.6 if _slanted(names, side / len(names)) else 0) + 0.5
    return Shape(rows, columns, width, rows * (side + (0.28 if matrices > 1 else 0.05)) + under, side / len(names))


#: Width of a letter of a class's name.
_LETTER = 0.068


def _slanted(names: Sequence[str], cell: float) -> bool:
    """Whether names are too long to stand side by side under their columns."""
    return _LETTER * max(map(len, names)) > cell


def _names(axes: Axes, names: list[str], shape: Shape, index: int, matrices: int) -> None:
    """Class names: left of the first matrix of a row, under the last of a column."""
    first, last = index % shape.columns == 0, index + shape.columns >= matrices
    places = np.arange(len(names)) + 0.5
    slant: dict[str, Any] = (
        {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if _slanted(names, shape.cell) else {}
    )
    axes.set_xticks(places, names if last else [""] * len(names), **slant)
    axes.set_yticks(places, names if first else [""] * len(names))
    axes.set_xlabel("Predicted" if last else "")
    axes.set_ylabel("True" if first else "")


def _matrix(axes: Axes, counts: np.ndarray, repeats: int, cell: float) -> None:
    percent = row_percent(counts)
    # Outlines rather than a picture: sharp at any size, and cells apart on light and on dark.
    axes.pcolormesh(np.ma.masked_invalid(percent), cmap=_SHADES, vmin=0, vmax=100, edgecolor=SURFACE, linewidth=1)
    axes.set_ylim(len(counts), 0)
    axes.set_aspect("equal")
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for truth, predicted in np.ndindex(*percent.shape):
        if np.isnan(percent[truth, predicted]):
            continue
        _cell(axes, truth, predicted, float(percent[truth, predicted]), float(counts[truth, predicted] / repeats), cell)
    for truth in np.flatnonzero(counts.sum(axis=1) == 0):
        axes.text(len(counts) / 2, truth + 0.5, "no utterances", ha="center", va="center", color=MUTED, fontsize=7.5)


_SHADES = mpl.colormaps["Blues"]


def _cell(axes: Axes, truth: int, predicted: int, percent: float, count: float, cell: float) -> None:
    """Percent over the count, in ink that stands out from the shade."""
    size = float(np.clip(15 * cell, 5.2, 8.5))
    place: dict[str, Any] = {"x": predicted + 0.5, "ha": "center", "color": ink_on(_SHADES(percent / 100))}
    axes.text(y=truth + 0.47, s=f"{percent:.0f} %", va="bottom", fontsize=size, **place)
    axes.text(y=truth + 0.55, s=f"{count:,.0f}", va="top", fontsize=0.86 * size, **place)


def generation(found: Findings) -> Drawn | None:
    """Recall of real and generated features by class, beside the spread ratio."""
    table = found.generation_recalls
    if table.empty:
        return None
    ratios = [m for m in found.measures if m.measure in ("spread_ratio", "norm_ratio")]
    with look():
        figure = canvas(WIDE, 2.5)
        widths = [3, 1] if ratios else [1]
        panels = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        _recall_bars(panels[0], table)
        if ratios:
            _ratio_bars(panels[1], ratios)
        handles = [Patch(color=BLUE, label="real"), Patch(color=ORANGE, label="generated")]
        panels[0].legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    caption = (
        f"{found.name(found.measured_arm)}. Left: recall of the frozen classifier by class; near 100 % for "
        "every generated "
        "class means prototypes rather than hard examples. Right: 1 is like the real features. Bars: spread over folds."
    )
    return Drawn("generation", "Quality of generated features", caption, figure)


def _recall_bars(axes: Axes, table: object) -> None:
    frame = table  # a data frame indexed by class
    place = np.arange(len(frame))  # type: ignore[arg-type]
    for shift, kind, colour in ((-0.19, "real", BLUE), (0.19, "generated", ORANGE)):
        values, spread = (100 * frame[column].to_numpy(float) for column in (kind, f"{kind}_std"))  # type: ignore[index]
        axes.bar(place + shift, values, width=0.36, color=colour, linewidth=0, zorder=2)
        axes.errorbar(
            place + shift, values, yerr=np.nan_to_num(spread), fmt="none", ecolor=MUTED, elinewidth=1.1, zorder=3
        )
    axes.set_xticks(place, [shorten(name, 12) for name in frame.index])  # type: ignore[attr-defined]
    axes.set_ylim(0, 105)
    axes.set_ylabel("Recall, %")
    grid_on(axes, "y")


def _ratio_bars(axes: Axes, ratios: list) -> None:
    place = np.arange(len(ratios))
    axes.bar(place, [one.value for one in ratios], width=0.5, color=ORANGE, linewidth=0, zorder=2)
    spread = np.nan_to_num([one.fold_std for one in ratios])
    axes.errorbar(place, [one.value for one in ratios], yerr=spread, fmt="none", ecolor=MUTED, elinewidth=1.1, zorder=3)
    axes.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    axes.set_xticks(place, [one.title.replace(" ", "\n") for one in ratios])
    axes.set_xlim(-0.6, len(ratios) - 0.4)
    axes.set_ylabel("Generated / real")
    grid_on(axes, "y")
