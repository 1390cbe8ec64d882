"""What the best arm confuses, and what its generator made."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures.style import BLUE, FIXED, MUTED, ORANGE, WIDE, Drawn, canvas, grid_on, look, shorten
from analysis.findings import Findings
from analysis.projection import Projection


def row_percent(counts: np.ndarray) -> np.ndarray:
    """Counts as percent of each true class, shape (C, C); NaN where a class has no utterance."""
    totals = counts.sum(axis=1, keepdims=True).astype(float)
    return 100 * counts / np.where(totals > 0, totals, np.nan)


def confusion(found: Findings) -> Drawn | None:
    """Confusion matrix of the best arm on test: percent of each true class, and utterances."""
    counts = found.confusion
    if counts is None:
        return None
    repeats = max(int(found.number(found.best, "seeds")), 1)
    percent, classes = row_percent(counts), [shorten(name, 14) for name in found.run.classes]
    size = max(2.6, 0.62 * len(classes) + 1.3)
    with look():
        figure = canvas(min(size + 0.7, WIDE), min(size, WIDE * 0.9))
        axes = figure.add_subplot()
        image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
        _cells(axes, percent, counts / repeats)
        axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xlabel("Predicted")
        axes.set_ylabel("True")
        axes.grid(False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=axes, shrink=0.8, label="% of the true class")
        bar.outline.set_visible(False)
    seeds = f"; counts are means over {repeats} seeds" if repeats > 1 else ""
    caption = f"Test utterances of {found.name(found.best)}, all folds together{seeds}."
    return Drawn("confusion", "Confusion on test", caption, figure)


def _cells(axes: Axes, percent: np.ndarray, counts: np.ndarray) -> None:
    size = 7.5 if len(percent) <= 6 else 6.2
    for truth, predicted in np.ndindex(*percent.shape):
        value = percent[truth, predicted]
        colour = "#ffffff" if value > 55 else "#1c1c1e"
        text = "no\nutterances" if np.isnan(value) else f"{value:.0f} %\n{counts[truth, predicted]:,.0f}"
        axes.text(predicted, truth, text, ha="center", va="center", fontsize=size, color=colour, linespacing=1.25)


def tsne(found: Findings) -> Drawn | None:
    """Three panels: real and generated together, generated, real, as fig. 2 of Ahn et al. 2025."""
    one = found.projection
    if one is None:
        return None
    with look():
        figure = canvas(WIDE, 2.85)
        panels = figure.subplots(1, 3, sharex=True, sharey=True)
        _together(panels[0], one)
        for axes, kind in zip(panels[1:], ("generated", "real"), strict=True):
            _by_class(axes, one, kind, found.run.classes)
        for axes in panels:
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            axes.spines[:].set_visible(True)
        handles = [_dot(FIXED[0], "real"), _dot(ORANGE, "generated", "^")]
        figure.legend(handles=handles, loc="outside lower left", ncols=2, handletextpad=0.1)
        classes = [_dot(_colour(i), shorten(name, 16)) for i, name in enumerate(found.run.classes)]
        columns = len(classes) if len(classes) <= 5 else (len(classes) + 1) // 2
        figure.legend(handles=classes, loc="outside lower right", ncols=columns, handletextpad=0.1, columnspacing=0.9)
    caption = (
        f"t-SNE of features of {found.name(one.arm)}, {one.fold}, seed {one.seed}; real and generated were "
        "projected together. "
        "Distances between clusters mean little."
    )
    return Drawn("tsne", "Real and generated features", caption, figure)


def _colour(index: int) -> str:
    return FIXED[index % len(FIXED)]


def _dot(colour: str, label: str, marker: str = "o") -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, color=colour, markersize=4.5, label=label)


def _together(axes: Axes, one: Projection) -> None:
    for kind, colour, marker in (("real", FIXED[0], "o"), ("generated", ORANGE, "^")):
        points = one.points[one.kinds == kind]
        axes.scatter(
            points[:, 0], points[:, 1], s=7, color=colour, marker=marker, alpha=0.6, linewidths=0, rasterized=True
        )
    axes.set_title("Both")


def _by_class(axes: Axes, one: Projection, kind: str, classes: tuple[str, ...]) -> None:
    for index, name in enumerate(classes):
        points = one.points[(one.kinds == kind) & (one.labels == name)]
        axes.scatter(points[:, 0], points[:, 1], s=7, color=_colour(index), alpha=0.75, linewidths=0, rasterized=True)
    axes.set_title(kind.capitalize())


def generation(found: Findings) -> Drawn | None:
    """Recall of real and generated features by class, beside the spread ratio."""
    table = found.generation_recalls
    if table.empty:
        return None
    ratios = [m for m in found.generation_measures if m.measure in ("spread_ratio", "norm_ratio")]
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
        f"{found.name(found.generation_arm)}. Left: recall of the frozen classifier by class; near 100 % for "
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
