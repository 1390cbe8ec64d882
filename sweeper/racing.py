"""Racing: an arm is dropped where it is significantly worse than the best one there.

The pairs are dev UAR of the two arms on the same fold with the same seed. Seeds of a fold share its utterances and
training sets of folds overlap, so seeds are averaged, folds are the unit, and their t-test is that of Nadeau and
Bengio (Machine Learning 52, 2003). It is one-sided, and corrected for all it could have said:

- for every rung of the arm, whatever the looks have to do with each other (Bonferroni). A look is no new sample but
  the same folds some epochs later, so the independent increments do not exist that the boundaries of Pocock (1977)
  and O'Brien and Fleming (1979), alpha spending (Lan and DeMets 1983) or a betting martingale would build on;
- for every arm seen at the rung: the best of many looks better than it is (Hsu, Multiple Comparisons, 1996, chapter
  4; by Bonferroni instead of Dunnett's distribution, which wants one variance for all arms).

An arm that is as good as every other is so dropped with a chance of at most ``alpha`` over its whole training.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analysis.statistics import corrected_t
from sweeper.places import Rung

#: With fewer folds nothing is dropped: two differences have one degree of freedom, and say nothing of their spread.
FEWEST_FOLDS = 3


@dataclass
class _Seen:
    """Who was at a rung: all arms, and the best one's dev UAR."""

    arms: set[str] = field(default_factory=set)
    best: np.ndarray | None = None

    def add(self, arm: str, rows: np.ndarray) -> None:
        self.arms.add(arm)
        # Of equal means any; settled by the rows, so that it does not matter who came first.
        if self.best is None or (rows.mean(), *rows) > (self.best.mean(), *self.best):
            self.best = rows


class Race:
    """What a race remembers, and its rule.

    Args:
        alpha: Chance at most with which an arm as good as every other may be dropped.
        folds: Number of folds.
        ratio: Size of the dev part over that of the train part.
    """

    def __init__(self, alpha: float, folds: int, ratio: float) -> None:
        self._alpha, self._folds, self._ratio = alpha, folds, ratio
        self._rungs: dict[Rung, _Seen] = {}

    def stops(self, arm: str, rung: Rung, rows: np.ndarray, looks: int) -> bool:
        """Whether an arm is dropped at a rung; it is remembered there, and not judged there again.

        Args:
            arm: Its id.
            rung: The rung.
            rows: Its dev UAR by fold and seed, seeds inside folds, shape (folds * seeds,).
            looks: How many rungs the arm has in all.
        """
        seen = self._rungs.setdefault(rung, _Seen())
        if arm in seen.arms:
            return False
        rows = np.asarray(rows, dtype=np.float64)
        best, rivals = seen.best, len(seen.arms)
        seen.add(arm, rows)
        return best is not None and self.p_value(best - rows) < self.threshold(rivals, looks)

    def threshold(self, rivals: int, looks: int) -> float:
        """Below what p an arm is dropped, with so many rivals at the rung and so many rungs in all."""
        return self._alpha / (rivals * looks)

    def p_value(self, differences: np.ndarray) -> float:
        """One-sided p of what an arm lacks to another, by fold and seed; 1 where folds do not differ or are too few."""
        folds = np.reshape(differences, (self._folds, -1)).mean(axis=1)
        if self._folds < FEWEST_FOLDS or folds.mean() <= 0 or np.ptp(folds) == 0:
            return 1.0
        return corrected_t(folds, self._ratio)[0] / 2
