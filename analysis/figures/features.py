"""What the best arm confuses, and what its generator made."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from analysis.figures.style import BLUE, MUTED, ORANGE, WIDE, Drawn, canvas, grid_on, look, shorten
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
    classes = [shorten(name, 14) for name in found.run.classes]
    columns = min(len(found.confusions), 3 if len(classes) <= 5 else 2)
    rows = -(-len(found.confusions) // columns)
    with look():
        figure = canvas(*_size(len(classes), rows, columns))
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(found.confusions) :]:
            axes.set_visible(False)
        for index, (axes, (name, counts)) in enumerate(zip(grid.flat, found.confusions.items(), strict=False)):
            image = _matrix(axes, counts, repeats, classes, first=index % columns == 0)
            if len(found.confusions) > 1:
                axes.set_title(name)
        bar = figure.colorbar(image, ax=grid, shrink=0.8 / rows, label="% of the true class")
        bar.outline.set_visible(False)
    seeds = f"; counts are means over {repeats} seeds" if repeats > 1 else ""
    each = ", in each condition" if len(found.confusions) > 1 else ""
    caption = f"Test utterances of {found.name(found.best)}, all folds together{each}{seeds}."
    return Drawn("confusion", "Confusion on test", caption, figure)


def _size(classes: int, rows: int, columns: int) -> tuple[float, float]:
    """Width and height: a matrix alone has room, several share the page's width."""
    one = max(2.6, 0.62 * classes + 1.3)
    if columns == 1:
        return min(one + 0.7, WIDE), min(one, WIDE * 0.9)
    # What is left beside the names, the bar and between the matrices; above it a title, below it names.
    return WIDE, rows * min(one + 0.3, (WIDE - 1.5) / columns + 0.92)


def _matrix(axes: Axes, counts: np.ndarray, repeats: int, classes: list[str], *, first: bool) -> AxesImage:
    percent = row_percent(counts)
    image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    _cells(axes, percent, counts / repeats)
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes if first else [""] * len(classes))
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True" if first else "")
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _cells(axes: Axes, percent: np.ndarray, counts: np.ndarray) -> None:
    size = 7.5 if len(percent) <= 6 else 6.2
    for truth, predicted in np.ndindex(*percent.shape):
        value = percent[truth, predicted]
        colour = "#ffffff" if value > 55 else "#1c1c1e"
        text = "no\nutterances" if np.isnan(value) else f"{value:.0f} %\n{counts[truth, predicted]:,.0f}"
        axes.text(predicted, truth, text, ha="center", va="center", fontsize=size, color=colour, linespacing=1.25)


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
