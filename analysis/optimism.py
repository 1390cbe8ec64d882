"""What choosing the best of many flatters: the chosen arm's dev score, corrected for having been chosen.

The best of many noisy scores is high partly by luck. Tsamardinos et al. (Machine Learning 107, 2018) repeat the choice
within bootstrap samples of what it was made on, and score the winner on what was not drawn. Here the units are the
folds' dev scores: coarser than their pooled predictions, and as honest, because dev parts of different folds are what
arms are chosen by. Test takes no part: it was not chosen on, so it needs no correction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import search
from analysis.aggregate import final_rows
from analysis.run import Run
from analysis.statistics import CONFIDENCE

DRAWS = 2000
SEED = 0
#: With fewer folds, or arms to choose from, nothing is corrected.
FEWEST_FOLDS, FEWEST_ARMS = 3, 2


class Optimism(NamedTuple):
    """The chosen arm's dev score and what is left of it.

    Attributes:
        arms: Arms it was chosen from.
        folds: Folds they share.
        dev: Its dev UAR, mean over folds.
        corrected: What an arm chosen like that scores on dev parts that it was not chosen on.
        low: Lower end of the bootstrap's interval at `CONFIDENCE`.
        high: Upper end.
        winners: How often each arm won a draw, as a share, the most frequent first: (arm, share).
    """

    arms: int
    folds: int
    dev: float
    corrected: float
    low: float
    high: float
    winners: tuple[tuple[str, float], ...]


def optimism(run: Run) -> Optimism | None:
    """Correct the choice of the best arm; None where there was no choice, or too few folds to repeat it on."""
    scores = dev_scores(run)
    if len(scores) < FEWEST_ARMS or scores.shape[1] < FEWEST_FOLDS:
        return None
    values = scores.to_numpy()
    chosen, outside = _repeat(values, np.random.default_rng(SEED))
    low, high = np.quantile(outside, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    won = pd.Series(scores.index[chosen]).value_counts(normalize=True)
    return Optimism(
        arms=len(scores),
        folds=scores.shape[1],
        dev=float(values.mean(axis=1).max()),
        corrected=float(outside.mean()),
        low=float(low),
        high=float(high),
        winners=tuple((str(arm), float(share)) for arm, share in won.items()),
    )


def dev_scores(run: Run) -> pd.DataFrame:
    """Dev UAR of every arm that might have been chosen, by fold (mean over seeds and conditions); whole rows only."""
    able = set(run.trials["arm"][search.eligible(run.trials)])
    rows = final_rows(run)
    rows = rows[rows["arm"].isin(able) & (rows["split"] == "dev")]
    table = rows.pivot_table(index="arm", columns="fold", values="uar", observed=True).dropna()
    return table.set_axis(table.index.astype(str))


def _repeat(values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Choose again on drawn folds; which arm won each draw, and its mean over the folds not drawn.

    Args:
        values: Shape (arms, folds).
        rng: Draws.
    """
    folds = values.shape[1]
    drawn = rng.multinomial(folds, np.full(folds, 1 / folds), size=DRAWS)
    drawn = drawn[(drawn == 0).any(axis=1)]
    chosen = np.argmax(values @ drawn.T, axis=0)
    left = drawn == 0
    return chosen, (values[chosen] * left).sum(axis=1) / left.sum(axis=1)
