"""What stopping early risked: do early scores foretell final ones, and might a stopped arm have been the best?

Asynchronous successive halving (Li et al. 2020, MLSys) reads an arm's dev UAR after ``grace_period`` classifying
epochs, ``reduction_factor`` times as many, and so on, and stops it where it is not among the best 1 /
``reduction_factor`` seen there so far. How a stopped arm would have ended is not known. Two things can be said: how
early and final scores agree among arms that did run to their end, and what a straight line through these foretells of
the arms that did not.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis import search
from analysis.run import Run

#: With fewer arms run to their end nothing is said.
FEWEST = 5
#: Resamples of the arms, and draws of how the stopped ones might have ended.
RESAMPLES, DRAWS = 1000, 2000


class Agreement(NamedTuple):
    """How scores at a rung and final scores agree over arms that ran to their end.

    Attributes:
        early: Dev UAR at the rung, shape (N,), in [0, 1].
        final: Final dev scores, shape (N,).
        spearman: Rank correlation; NaN under `FEWEST` arms or where either never varies.
        low: Lower end of its 95 % interval; NaN where the order is the same throughout, which says nothing of it.
        high: Upper end.
        kendall: Kendall's tau-b.
    """

    early: np.ndarray
    final: np.ndarray
    spearman: float
    low: float
    high: float
    kendall: float


class Rung(NamedTuple):
    """One rung.

    Attributes:
        budget: Classifying epochs after which it reads.
        arms: Arms of the search, and the reference, that got there.
        stopped: Those that were stopped there.
        searched: Agreement over those that ran to their end, unflagged.
        free: The same over sensitivity arms, where these were never up for stopping.
        place: Place of the final best among all arms there, from 1; 0 when it is not known.
        kept: In what share of resamples the arm that ended best was among the best 1 / reduction factor there;
            NaN under `FEWEST` arms run to their end.
        halted: Dev UAR of the arms stopped there, shape (stopped,).
    """

    budget: int
    arms: int
    stopped: int
    searched: Agreement
    free: Agreement
    place: int
    kept: float
    halted: np.ndarray


class Regret(NamedTuple):
    """What stopping may have cost.

    Attributes:
        stopped: Arms stopped whose end could be foretold.
        learnt: Arms run to their end that it was foretold from.
        wider: Whether sensitivity arms were among them, the search's own being too few.
        beaten: How many stopped arms are expected to have ended above the best.
        chance: Chance that at least one would have.
        regret: Mean loss of dev score that comes of it, in [0, 1].
        worst: Its 95th percentile.
    """

    stopped: int
    learnt: int
    wider: bool
    beaten: float
    chance: float
    regret: float
    worst: float


class Rungs(NamedTuple):
    """All rungs, and what they risked.

    Attributes:
        factor: The reduction factor.
        rungs: By budget.
        kept: In what share of resamples the arm that ended best would have passed every rung; NaN if unknown.
        regret: None where too few arms ran to their end, or none was stopped.
    """

    factor: float
    rungs: tuple[Rung, ...]
    kept: float
    regret: Regret | None


def budgets(run: Run) -> list[int]:
    """The rungs' budgets below the longest arm; empty where nothing stops arms."""
    scheduler = run.provenance.get("scheduler") or {}
    grace, factor = scheduler.get("grace_period"), scheduler.get("reduction_factor")
    if scheduler.get("kind") != "asha" or not grace or not factor or factor <= 1:
        return []
    longest = run.trials["epochs_planned"][search.candidates(run.trials)].max()
    # As Ray places them: a rung is passed by the first epoch that reaches it.
    steps = (math.ceil(grace * factor**step) for step in itertools.count())
    return list(dict.fromkeys(itertools.takewhile(lambda budget: budget < longest, steps)))


def rungs(run: Run, rng: np.random.Generator) -> Rungs | None:
    """What stopping risked; None where nothing was stopped or no rung lies below the arms' epochs.

    Args:
        run: The run.
        rng: Draws the resamples and how stopped arms might have ended.
    """
    places = budgets(run)
    arms = run.trials[search.candidates(run.trials) & (run.trials["flags"].map(len) == 0)]
    if not places or not (arms["status"] == "stopped").any():
        return None
    early = search.dev_at(run, places)
    mine = early.reindex(arms["arm"]).to_numpy()
    final = arms["score"].where(arms["status"] == "done").to_numpy(float)
    factor = float(run.provenance["scheduler"]["reduction_factor"])
    share, passed = _kept(mine, final, factor, rng)
    ends = _ended_at(arms, mine, places)
    free = _free(run)
    others = early.reindex(free["arm"]).to_numpy(), free["score"].to_numpy(float)
    found = tuple(
        _rung(budget, mine[:, i], final, ends == i, agreement(others[0][:, i], others[1]), float(share[i]))
        for i, budget in enumerate(places)
    )
    return Rungs(factor, found, passed, _regret(mine, final, ends, others, rng))


def _free(run: Run) -> pd.DataFrame:
    """Sensitivity arms, where no rung could stop them, that ran to their end, unflagged.

    They are arms of the search's kind with one value moved. Ablation rows are other systems and say little of it.
    """
    trials = run.trials
    spared = "sensitivity" not in (run.provenance.get("scheduler") or {}).get("applies_to", ["sensitivity"])
    ended = (trials["status"] == "done") & (trials["flags"].map(len) == 0) & trials["score"].notna()
    return trials[ended & (trials["kind"] == "sensitivity") & spared]


def _ended_at(arms: pd.DataFrame, early: np.ndarray, places: list[int]) -> np.ndarray:
    """The last rung that each stopped arm reached, shape (N,); -1 for the others."""
    reached = (~np.isnan(early)).cumsum(axis=1).argmax(axis=1)
    known = (arms["status"] == "stopped").to_numpy() & ~np.isnan(early).all(axis=1)
    return np.where(known, reached, -1)


def _rung(
    budget: int, early: np.ndarray, final: np.ndarray, ended_here: np.ndarray, free: Agreement, kept: float
) -> Rung:
    both = ~np.isnan(early) & ~np.isnan(final)
    best = int(np.nanargmax(final)) if both.any() else -1
    known = best >= 0 and not math.isnan(early[best])
    return Rung(
        budget=budget,
        arms=int((~np.isnan(early)).sum()),
        stopped=int(ended_here.sum()),
        searched=agreement(early, final),
        free=free,
        place=int((early > early[best]).sum()) + 1 if known else 0,
        kept=kept,
        halted=early[ended_here],
    )


def agreement(early: np.ndarray, final: np.ndarray) -> Agreement:
    """Rank correlation of two scores, NaN in either left out.

    The interval is that of Bonett and Wright (2000, Psychometrika): Fisher's z with variance (1 + r^2 / 2) / (n - 3).
    """
    both = ~np.isnan(early) & ~np.isnan(final)
    early, final = early[both], final[both]
    if len(early) < FEWEST or np.ptp(early) == 0 or np.ptp(final) == 0:
        return Agreement(early, final, *[math.nan] * 4)
    r = float(stats.spearmanr(early, final).statistic)
    half = stats.norm.ppf(0.975) * math.sqrt((1 + r**2 / 2) / (len(early) - 3))
    tau = float(stats.kendalltau(early, final).statistic)
    if abs(r) > 1 - 1e-9:
        return Agreement(early, final, r, math.nan, math.nan, tau)
    return Agreement(early, final, r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), tau)


def _kept(early: np.ndarray, final: np.ndarray, factor: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """In what share of resamples the arm that ended best is among the best 1 / factor of each rung, and of all."""
    if (~np.isnan(final)).sum() < FEWEST:
        return np.full(early.shape[1], math.nan), math.nan
    passed = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(final), size=len(final))
        if np.isnan(final[drawn]).all():
            continue
        best, there = drawn[np.nanargmax(final[drawn])], early[drawn]
        passed.append((there > early[best]).sum(axis=0) < (~np.isnan(there)).sum(axis=0) / factor)
    every = np.stack(passed)
    return every.mean(axis=0), float(every.all(axis=1).mean())


def _regret(
    early: np.ndarray,
    final: np.ndarray,
    ends: np.ndarray,
    others: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> Regret | None:
    """Foretell the end of every stopped arm from its score where it was stopped.

    A straight line of final on early score is fitted to the arms that ran to their end; arms are stopped by their
    early score, which shifts no such line (selection on the predictor). How stopped arms might have ended is drawn
    from its predictive distribution under a flat prior: the line's own uncertainty is shared by the draws of a rung.
    """
    done = ~np.isnan(final)
    wider = bool(done.sum() < 2 * FEWEST and len(others[1]))
    known, ended = (np.vstack([early[done], others[0]]), np.r_[final[done], others[1]]) if wider else (
        early[done], final[done])  # fmt: skip
    top, above, stopped, learnt = np.full(DRAWS, -math.inf), np.zeros(DRAWS), 0, 0
    for place in np.unique(ends[ends >= 0]):
        there = ~np.isnan(known[:, place])
        drawn = _foretold(known[there, place], ended[there], early[ends == place, place], rng)
        if drawn is not None and done.any():
            above += (drawn > np.nanmax(final)).sum(axis=1)
            top = np.maximum(top, drawn.max(axis=1))
            stopped, learnt = stopped + drawn.shape[1], max(learnt, int(there.sum()))
    if not stopped:
        return None
    lost = np.clip(top - np.nanmax(final), 0, None)
    return Regret(
        stopped, learnt, wider, float(above.mean()), float((above > 0).mean()), float(lost.mean()),
        float(np.percentile(lost, 95)),
    )  # fmt: skip


def _foretold(x: np.ndarray, y: np.ndarray, at: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Draws of final scores at early scores `at`, shape (DRAWS, len(at)); None with too few arms to fit a line.

    Normal linear regression under the prior 1 / sigma^2 (Gelman et al., Bayesian Data Analysis, section 14.2).
    """
    if len(x) < FEWEST or np.ptp(x) == 0:
        return None
    centre = x.mean()
    design = np.stack([np.ones_like(x), x - centre], axis=1)
    line, residual, *_ = np.linalg.lstsq(design, y, rcond=None)
    squares = float(residual[0]) if len(residual) else 0.0
    sigma = np.sqrt(squares / rng.chisquare(len(x) - 2, DRAWS))
    spread = np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    lines = line + sigma[:, None] * spread * rng.standard_normal((DRAWS, 2))
    noise = sigma[:, None] * rng.standard_normal((DRAWS, len(at)))
    return lines[:, :1] + lines[:, 1:] * (at - centre) + noise
