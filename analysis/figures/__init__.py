"""Figures: numbers first (tested), drawing second."""

from __future__ import annotations

from analysis.figures import arms, curves, features, search, sensitivity
from analysis.figures.style import Drawn
from analysis.findings import Findings

_FIGURES = (
    *(arms.best_arms, arms.ablation, sensitivity.sensitivity, search.best_so_far, search.scatter),
    *(curves.learning, curves.saved, features.confusion, features.generation, features.tsne),
)


def figures(found: Findings) -> list[Drawn]:
    """The figures a run has something to draw for."""
    return [drawn for draw in _FIGURES if (drawn := draw(found)) is not None]
