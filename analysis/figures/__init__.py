"""Figures: numbers first (tested), drawing second."""

from __future__ import annotations

from analysis.figures import (
    arms,
    conditions,
    curves,
    features,
    importance,
    losses,
    parallel,
    projection,
    rungs,
    search,
    sensitivity,
    speakers,
    surrogate,
)
from analysis.figures.style import Drawn
from analysis.findings import Findings

_FIGURES = (
    *(
        arms.best_arms,
        conditions.by_condition,
        conditions.heat_map,
        arms.ablation,
        arms.factorial,
        arms.baselines,
        sensitivity.sensitivity,
        importance.importance,
        surrogate.partial_dependence,
        surrogate.contour,
        search.best_so_far,
        parallel.parallel,
        search.scatter,
        curves.saved,
        rungs.rungs,
    ),
    *(curves.learning, losses.losses, features.confusion, speakers.speakers, features.generation),
)


def figures(found: Findings) -> list[Drawn]:
    """The figures a run has something to draw for."""
    drawn = [one for draw in _FIGURES if (one := draw(found)) is not None]
    return [*drawn, *projection.projections(found)]
