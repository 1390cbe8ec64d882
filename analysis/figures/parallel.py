"""Parallel coordinates: every arm of the search as one line over its parameters, coloured by its dev score."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import search, space
from analysis.figures.style import INK, MUTED, ORANGE, SURFACE, WIDE, Drawn, canvas, look, shorten
from analysis.findings import SEED, Findings
from analysis.space import Axis
from analysis.words import number

#: Lines drawn: of more arms a fixed draw, the best `KEPT` always among them.
MOST, KEPT = 1000, 100
#: With fewer arms or axes it is no picture; with more axes than these no label could be read.
FEWEST, FEWEST_AXES, MOST_AXES = 5, 2, 10
MAP = "viridis"


class Lines(NamedTuple):
    """The lines.

    Attributes:
        axes: The parameters drawn, the dev score not among them.
        places: Shape (N, P), in [0, 1] along each parameter's range.
        score: Dev score, shape (N,), in [0, 1].
        done: Whether the arm ran to its end, shape (N,).
        best: Whether it is the arm chosen, shape (N,).
        found: Arms there were.
        more: Parameters that are left out.
    """

    axes: tuple[Axis, ...]
    places: np.ndarray
    score: np.ndarray
    done: np.ndarray
    best: np.ndarray
    found: int
    more: int


def numbers(found: Findings) -> Lines | None:
    """The arms that have a score and lie inside the ranges, by score; None where that is no picture."""
    trials = found.run.trials
    trials = trials[search.candidates(trials) & trials["score"].notna() & (trials["flags"].map(len) == 0)]
    axes = _drawn(found)
    if len(trials) < FEWEST or len(axes) < FEWEST_AXES:
        return None
    places = space.places_of(axes, trials["config"])
    trials, places = trials[~np.isnan(places).any(axis=1)], places[~np.isnan(places).any(axis=1)]
    order = np.argsort(trials["score"].to_numpy(), kind="stable")
    if len(order) > MOST:
        rng = np.random.default_rng(SEED)
        rest = np.sort(rng.choice(len(order) - KEPT, MOST - KEPT, replace=False))
        order = np.r_[order[rest], order[-KEPT:]]
    drawn = trials.iloc[order]
    return Lines(
        axes=tuple(axes),
        places=places[order],
        score=drawn["score"].to_numpy(float),
        done=(drawn["status"] == "done").to_numpy(),
        best=(drawn["arm"] == found.best).to_numpy(),
        found=len(trials),
        more=len(_moved(found)) - len(axes),
    )


def _moved(found: Findings) -> list[Axis]:
    """Parameters that took more than one value."""
    trials = found.run.trials
    configs = trials["config"][search.candidates(trials)]
    return [axis for axis in space.axes(found.run) if len({str(c.get(axis.path)) for c in configs}) > 1]


def _drawn(found: Findings) -> list[Axis]:
    """The parameters that are drawn, in the order of the search space; the most important where there are many."""
    axes = _moved(found)
    if len(axes) <= MOST_AXES or found.response is None or found.response.importances is None:
        return axes[:MOST_AXES]
    order = [one.parameter for one in found.response.importances.found][:MOST_AXES]
    return [axis for axis in axes if axis.path in order]


def parallel(found: Findings) -> Drawn | None:
    """A line an arm, the better ones above; stopped arms in grey and without a score, as theirs is of another epoch."""
    lines = numbers(found)
    if lines is None or not lines.done.any():
        return None
    scored = 100 * lines.score[lines.done]
    colours = Normalize(np.percentile(scored, 2), max(scored.max(), np.percentile(scored, 2) + 0.1))
    ends = scored.min(), max(scored.max(), scored.min() + 0.1)
    with look():
        figure = canvas(WIDE, 3.1)
        axes = figure.add_subplot()
        _lines(axes, lines, colours, ends)
        _scales(axes, lines, ends)
        _legend(figure, axes, lines, colours)
    return Drawn("parallel", "The search, arm by arm", _caption(lines), figure)


def _caption(lines: Lines) -> str:
    text = "Each line is an arm; an axis is a searched parameter on its own scale, the last one the dev score."
    if not lines.done.all():
        text += " Grey: stopped early, and so without a final score."
    if lines.found > len(lines.score):
        text += f" Drawn: the best {KEPT} of {lines.found:,} arms and {len(lines.score) - KEPT} drawn from the others."
    return text + (f" {lines.more} less important parameters are left out." if lines.more > 0 else "")


def _lines(axes: Axes, lines: Lines, colours: Normalize, ends: tuple[float, float]) -> None:
    score = np.where(lines.done, 100 * lines.score, np.nan)
    heights = np.column_stack([lines.places, (score - ends[0]) / (ends[1] - ends[0])])
    x = np.arange(heights.shape[1], dtype=float)
    paths: Any = np.stack([np.broadcast_to(x, heights.shape), heights], axis=-1)
    alpha = float(np.clip(60 / len(heights), 0.12, 0.8))
    plain = {"linewidths": 0.9, "capstyle": "round"}
    stopped, done = ~lines.done, lines.done & ~lines.best
    axes.add_collection(LineCollection(paths[stopped, :-1], color=MUTED, alpha=alpha / 2, zorder=1, **plain))
    axes.add_collection(
        LineCollection(paths[done], array=100 * lines.score[done], cmap=MAP, norm=colours,
                       alpha=max(alpha, 0.3), zorder=2, **plain)
    )  # fmt: skip
    axes.add_collection(LineCollection(paths[lines.best], color=ORANGE, linewidths=2.4, zorder=4))


def _scales(axes: Axes, lines: Lines, ends: tuple[float, float]) -> None:
    """An axis at each parameter, with a few of its values beside it."""
    last = len(lines.axes)
    for place, axis in enumerate(lines.axes):
        axes.axvline(place, color=INK, linewidth=0.8, zorder=3)
        for height, text in _labels(axis):
            _label(axes, place, height, text)
    axes.axvline(last, color=INK, linewidth=0.8, zorder=3)
    for height in (0.0, 0.5, 1.0):
        _label(axes, last, height, f"{ends[0] + height * (ends[1] - ends[0]):.1f}")
    names = [*(_broken(axis.path) for axis in lines.axes), "dev score,\n% UAR"]
    axes.set_xticks(range(last + 1), names)
    axes.tick_params(axis="x", length=0, pad=6, labelsize=7.5 if last < 8 else 6.5)
    axes.set_yticks([])
    axes.set_xlim(-0.03 * last, 1.06 * last)
    axes.set_ylim(-0.04, 1.04)
    axes.spines[:].set_visible(False)
    axes.grid(False)


def _broken(path: str) -> str:
    """A path on two lines: section, field."""
    section, _, name = path.rpartition(".")
    return f"{shorten(section, 14)}\n{shorten(name, 14)}" if section else shorten(name, 14)


def _labels(axis: Axis) -> list[tuple[float, str]]:
    """(place, text) of some values of a parameter."""
    if axis.options:
        places = axis.grid(0)
        return [(place, shorten(number(option), 8)) for place, option in zip(places, axis.options, strict=True)]
    places = axis.grid(3) if axis.levels is None or axis.levels > 5 else axis.grid(0)
    return [(place, f"{value:.3g}") for place, value in zip(places, axis.values(places), strict=True)]


def _label(axes: Axes, place: float, height: float, text: str) -> None:
    axes.annotate(
        text, (place, height), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6.5, zorder=5,
        bbox={"boxstyle": "square,pad=0.12", "facecolor": SURFACE, "edgecolor": "none", "alpha": 0.75},
    )  # fmt: skip


def _legend(figure: Figure, axes: Axes, lines: Lines, colours: Normalize) -> None:
    bar = figure.colorbar(ScalarMappable(colours, MAP), ax=axes, pad=0.01, aspect=30, extend="min")
    bar.set_label("Dev score, % UAR")
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    handles = [Line2D([], [], color=ORANGE, linewidth=2.4, label="chosen arm")] if lines.best.any() else []
    if not lines.done.all():
        handles.append(Line2D([], [], color=MUTED, alpha=0.6, linewidth=0.9, label="stopped early"))
    if handles:
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
