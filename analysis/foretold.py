"""How stopped arms might have ended, drawn many times over from the arms that went on.

An arm is stopped for its score at a rung, which is known: what is missing then is missing for a reason that is seen
(missing at random), and in steps, as who is stopped at one rung has no later score (monotone). So each score is
regressed on the one before it among the arms that have it, rung by rung up to the final one, and drawn for those that
were stopped, each time with another line out of those that the data allow (Rubin 1987, Multiple Imputation for
Nonresponse in Surveys, section 5.4; Little and Rubin 2019, chapter 10). A single line of final on early scores through
the survivors would foretell too much: they have passed all later rungs too.

It supposes straight lines with an equal spread, for arms that began low too; that of all earlier scores the last one
tells what there is to tell; and that a higher score never foretells a lower one later (few arms go on, and lines that
fall would foretell the world of those that began lowest).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

#: With fewer arms that went on than this no line is fitted.
FEWEST = 5
#: Draws, and at most so many drawn scores.
DRAWS, SCORES = 1000, 2_000_000
_NORMAL = NormalDist()


def completed(early: np.ndarray, final: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Final scores of all arms, drawn where they are not known.

    Args:
        early: Scores at the rungs, shape (N, K); NaN from the rung on that an arm did not reach.
        final: Final scores, shape (N,); NaN for arms that were stopped.
        others: Early and final scores of further arms to learn from, shape (M, K + 1).
        rng: Draws.

    Returns:
        Shape (D, N), known scores as they are; NaN for arms without any score. None where too few arms went on to
        learn from.
    """
    table = np.column_stack([early, final])
    there = np.vstack([table, others])
    lines = [_line(there[:, column - 1], there[:, column]) for column in range(1, table.shape[1])]
    known = [line for line in lines if line is not None]
    if len(known) < len(lines):
        return None
    draws = int(np.clip(SCORES // max(len(table), 1), 100, DRAWS))
    return np.stack([_draw(table, known, rng) for _ in range(draws)])


class _Line(NamedTuple):
    """A fitted line: score = height + slope (earlier - centre), with what is left over and how sure it is.

    Attributes:
        centre: Mean of the earlier scores.
        height: Mean of the later ones.
        slope: Of the later on the earlier; 0 where these never vary.
        squares: Sum of squared residuals.
        arms: How many it is fitted to.
        width: Sum of squared deviations of the earlier scores.
    """

    centre: float
    height: float
    slope: float
    squares: float
    arms: int
    width: float

    def draw(self, earlier: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One draw at each earlier score, shape (n,), all from one line.

        Normal linear regression under the prior 1 / sigma^2 on slopes from 0 up (Gelman et al. 2013, Bayesian Data
        Analysis, section 14.2).
        """
        sigma = math.sqrt(self.squares / rng.chisquare(self.arms - 2))
        height = self.height + sigma / math.sqrt(self.arms) * rng.standard_normal()
        slope = self._slope(sigma, rng) if self.width > 0 else 0.0
        return height + slope * (earlier - self.centre) + sigma * rng.standard_normal(len(earlier))

    def _slope(self, sigma: float, rng: np.random.Generator) -> float:
        spread = sigma / math.sqrt(self.width)
        if spread == 0:
            return max(self.slope, 0.0)
        falls = _NORMAL.cdf(-self.slope / spread)
        # Where nearly all of it falls, no draw is told from 1: then it is as flat as it may be.
        place = falls + rng.random() * (1 - falls)
        return max(self.slope + spread * _NORMAL.inv_cdf(place), 0.0) if 0 < place < 1 else 0.0


def _line(earlier: np.ndarray, later: np.ndarray) -> _Line | None:
    known = ~np.isnan(earlier) & ~np.isnan(later)
    x, y = earlier[known], later[known]
    if len(x) < FEWEST:
        return None
    apart = x - x.mean()
    width = float(apart @ apart)
    slope = float(apart @ y) / width if width > 0 else 0.0
    rest = y - y.mean() - slope * apart
    return _Line(float(x.mean()), float(y.mean()), slope, float(rest @ rest), len(x), width)


def _draw(table: np.ndarray, lines: list[_Line], rng: np.random.Generator) -> np.ndarray:
    """Final scores, shape (N,), the missing ones drawn from the first rung on."""
    full = table.copy()
    for column, line in enumerate(lines, start=1):
        missing = np.isnan(full[:, column]) & ~np.isnan(full[:, column - 1])
        if missing.any():
            full[missing, column] = line.draw(full[missing, column - 1], rng)
    return full[:, -1]
