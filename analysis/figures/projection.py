"""Kept feature vectors in the plane: all kinds together, then each by class."""

from __future__ import annotations

import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import FIXED, MUTED, ORANGE, WIDE, Drawn, canvas, look, shorten
from analysis.findings import Findings
from analysis.projection import Projection

#: Colours and marks of kinds; those of two kinds are told apart from the colours of classes by their marks.
_KINDS = ((FIXED[0], "o"), (ORANGE, "^"), (FIXED[2], "s"), (FIXED[3], "D"), (FIXED[4], "v"), (FIXED[5], "P"))


def projections(found: Findings) -> list[Drawn]:
    """A figure for each of `Findings.projections`; one of another arm is named after it."""
    first = found.projections[0].arm if found.projections else None
    return [_draw(found, one, compared=one.arm != first) for one in found.projections]


def _draw(found: Findings, one: Projection, *, compared: bool) -> Drawn:
    parts = ["tsne", *([one.figure] if one.figure else []), *(["compared"] if compared else [])]
    key = re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower())
    title = title_of(one) + (f", {found.name(one.arm)}" if compared else "")
    caption = (
        f"t-SNE of features of {found.name(one.arm)}, {one.fold}, seed {one.seed}; {_listed(one.order)} were "
        "projected together. Distances between clusters mean little."
    )
    return Drawn(key, title, caption, _figure(found, one))


def title_of(one: Projection) -> str:
    """What a figure shows: ``Real and generated features``, ``Audio: true and recovered features``."""
    words = f"{_listed(one.order)} features"
    return f"{_capital(one.figure)}: {words}" if one.figure else _capital(words)


def _listed(kinds: list[str]) -> str:
    return f"{', '.join(kinds[:-1])} and {kinds[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def layout(kinds: int) -> tuple[int, int]:
    """Rows and columns of panels for all kinds together and each by itself."""
    panels = kinds + 1
    columns = panels if panels <= 3 else 2 if panels == 4 else 3
    return -(-panels // columns), columns


def _figure(found: Findings, one: Projection) -> Figure:
    kinds = one.order
    rows, columns = layout(len(kinds))
    with look():
        figure = canvas(WIDE, 0.45 + 2.4 * rows * (3 / columns))
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        together, *single = _places(panels, len(kinds))
        _together(together, one)
        # The later kinds are what a stage made of the first: they stand beside the mixture.
        for axes, kind in zip(single, kinds[::-1] if len(kinds) == 2 else kinds, strict=True):
            _by_class(axes, one, kind, found.run.classes)
        for axes in panels.flat:
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            axes.spines[:].set_visible(True)
        _legends(figure, one, found.run.classes)
    return figure


def _places(panels: np.ndarray, kinds: int) -> list[Axes]:
    """The panels in use: with four kinds and six places, two pairs of kinds right of the mixture."""
    flat = list(panels.flat)
    used = [flat[0], flat[1], flat[2], flat[4], flat[5]] if (kinds, len(flat)) == (4, 6) else flat[: kinds + 1]
    for axes in flat:
        axes.set_visible(axes in used)
    return used


def _legends(figure: Figure, one: Projection, classes: tuple[str, ...]) -> None:
    kinds = [_dot(*_KINDS[i % len(_KINDS)], kind) for i, kind in enumerate(one.order)]
    figure.legend(handles=kinds, loc="outside lower left", ncols=2, handletextpad=0.1)
    names = [_dot(_colour(i), "o", shorten(name, 16)) for i, name in enumerate(classes)]
    names += [_dot(MUTED, "o", "no label")] if (one.labels == "").any() else []
    columns = len(names) if len(names) <= 5 else (len(names) + 1) // 2
    figure.legend(handles=names, loc="outside lower right", ncols=columns, handletextpad=0.1, columnspacing=0.9)


def _colour(index: int) -> str:
    return FIXED[index % len(FIXED)]


def _dot(colour: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, color=colour, markersize=4.5, label=label)


def _together(axes: Axes, one: Projection) -> None:
    for index, kind in enumerate(one.order):
        colour, marker = _KINDS[index % len(_KINDS)]
        _scatter(axes, one.points[one.kinds == kind], colour, 0.6, marker)
    axes.set_title("Both" if len(one.order) == 2 else "All")


def _by_class(axes: Axes, one: Projection, kind: str, classes: tuple[str, ...]) -> None:
    mine = one.kinds == kind
    _scatter(axes, one.points[mine & ~np.isin(one.labels, classes)], MUTED, 0.4)
    for index, name in enumerate(classes):
        _scatter(axes, one.points[mine & (one.labels == name)], _colour(index), 0.75)
    axes.set_title(_capital(kind))


def _scatter(axes: Axes, points: np.ndarray, colour: str, alpha: float, marker: str = "o") -> None:
    axes.scatter(
        points[:, 0], points[:, 1], s=7, color=colour, marker=marker, alpha=alpha, linewidths=0, rasterized=True
    )
