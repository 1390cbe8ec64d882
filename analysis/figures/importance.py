"""How much each searched parameter matters, by two estimators."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.style import BLUE, MUTED, ORANGE, WIDE, Drawn, canvas, grid_on, look, shorten
from analysis.figures.tips import tip
from analysis.findings import Findings
from analysis.importance import Estimated, Importances
from analysis.response_words import scores_of
from analysis.space import Sample
from analysis.words import share

#: At most so many parameters are drawn, the most important ones.
MOST = 20
_DASHED = (0, (2, 2))


def importance(found: Findings) -> Drawn | None:
    """Dots with intervals, parameter by parameter; nothing where the search teaches nothing."""
    response = found.response
    if response is None or response.importances is None or not response.shown.knows:
        return None
    important = response.importances
    rows = important.found[:MOST]
    with look():
        figure = canvas(WIDE, 0.85 + 0.3 * len(rows))
        axes = figure.add_subplot()
        for estimator, colour, marker, shift in (("fanova", BLUE, "o", -0.15), ("ped", ORANGE, "s", 0.15)):
            named = [(row.parameter, getattr(row, estimator)) for row in rows]
            _dots(axes, named, colour, marker, shift)
            axes.axvline(100 * getattr(important, f"{estimator}_chance"), color=colour, linewidth=1, linestyle=_DASHED)
        axes.set_yticks(range(len(rows)), [shorten(row.parameter, 30) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("Importance, %")
        grid_on(axes, "x")
        figure.legend(handles=_handles(), loc="outside upper left", ncols=3)
    return Drawn("importance", "Which parameters matter", _caption(response.shown.sample, important), figure)


def _dots(axes: Axes, named: list[tuple[str, Estimated]], colour: str, marker: str, shift: float) -> None:
    places = np.arange(len(named)) + shift
    low, high, middle = (100 * np.array([getattr(one, end) for _, one in named]) for end in ("low", "high", "share"))
    axes.hlines(places, low, high, color=colour, linewidth=1.4)
    dots = axes.scatter(middle, places, color=colour, marker=marker, s=22, zorder=3)
    tip(dots, [f"{name}: {share(one.share)} % ({share(one.low)} to {share(one.high)})" for name, one in named])


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=BLUE, marker="o", markersize=5, label="fANOVA"),
        Line2D([], [], color=ORANGE, marker="s", markersize=5, label="PED-ANOVA"),
        Line2D([], [], color=MUTED, linestyle=_DASHED, linewidth=1, label="reached by chance"),
    ]


def _caption(sample: Sample, important: Importances) -> str:
    text = (
        f"From {scores_of(sample)}. fANOVA: share of the variance of a forest's predictions over the searched ranges "
        f"that the parameter has alone; {share(important.interactions, 0)} % are interactions, or noise. "
        f"PED-ANOVA: share of what tells the best {important.best} arms from all. Lines: 95 % intervals over resampled "
        "arms. Dashed: what an estimator gives one parameter in twenty when scores are shuffled."
    )
    more = len(important.found) - MOST
    return text + (f" {more} less important parameters are in the table only." if more > 0 else "")
