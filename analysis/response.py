"""What the arms of a search teach about its parameters: importance, and a surrogate with its error.

The scores of arms that ran to their end come first. Where they teach nothing, as stopping left too few of them, the dev
UAR at the first rung is tried too: all arms have one, at one and the same epoch, and none is missing for having scored
low there. It speaks of early training only, and is called so wherever it is shown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis import rungs
from analysis.importance import Importances, importances
from analysis.run import Run
from analysis.space import sample
from analysis.surrogate import Pair, Partial, Tried, dependence, tried

#: With fewer arms of the search nobody would ask.
FEWEST = 5


class Response(NamedTuple):
    """What the scores teach.

    Attributes:
        tried: Whole arms first; then all arms at the first rung, where that was tried.
        shown: That of them whose numbers follow: one that knows something where there is one.
        importances: None where there are too few arms.
        partials: By parameter; empty where nothing is known.
        pairs: Of the most important parameters; empty where nothing is known.
    """

    tried: tuple[Tried, ...]
    shown: Tried
    importances: Importances | None
    partials: tuple[Partial, ...]
    pairs: tuple[Pair, ...]


def response(run: Run, rng: np.random.Generator) -> Response | None:
    """Learn from whole arms, or, where these teach nothing and some were stopped, from all arms at the first rung.

    Args:
        run: The run.
        rng: Draws arms where there are many, resamples and folds, and seeds the models.

    Returns:
        None where fewer than `FEWEST` arms were searched.
    """
    found = _tried(run, rng)
    if not found:
        return None
    shown = found[-1] if found[-1].knows else found[0]
    important = importances(shown.sample, rng)
    order = [one.parameter for one in important.found] if important else []
    asked = dependence(shown.sample, shown.errors[0].model, order, rng) if shown.knows else ((), ())
    return Response(tuple(found), shown, important, *asked)


def _tried(run: Run, rng: np.random.Generator) -> list[Tried]:
    whole, first = sample(run, rng), rungs.budgets(run)[:1]
    if (run.trials["kind"] == "search").sum() < FEWEST:
        return []
    found = [tried(whole, rng)]
    if not found[0].knows and whole.stopped and first:
        found.append(tried(sample(run, rng, budget=first[0]), rng))
    return found
