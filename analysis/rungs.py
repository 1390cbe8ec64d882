"""What stopping early risked: do early scores foretell final ones, and might a stopped arm have been the best?

Asynchronous successive halving (Li et al. 2020, MLSys) reads an arm's dev UAR at some epochs, its rungs, and stops it
where it is not among the best 1 / ``reduction_factor`` seen there so far. How a stopped arm would have ended is not
known. Two things can be said: how early and final scores agree among the arms that did run to their end, and how
likely a stopped arm would have ended above them, by what `foretold` learns from those that went on.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis import search
from analysis.foretold import completed
from analysis.run import Run

#: With fewer arms run to their end nothing is said.
FEWEST = 5
#: Resamples of the arms, and draws of how stopped ones might have ended that ranks are taken of.
RESAMPLES, RANKED = 1000, 200
_Z = float(stats.norm.ppf(0.975))


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


class Whole(NamedTuple):
    """Rank correlation over all arms at a rung, stopped ones as they might have ended; NaN where that is not known.

    Attributes:
        spearman: Mean over draws.
        low: Lower end of its 95 % interval: what arms and draws vary by, after Rubin's rules on Fisher's z.
        high: Upper end.
    """

    spearman: float
    low: float
    high: float


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
        whole: Agreement over all arms there, as estimated.
        lost: Chance that the arm that would have ended best of all was stopped there; NaN if unknown.
        halted: Dev UAR of the arms stopped there, shape (stopped,).
    """

    budget: int
    arms: int
    stopped: int
    searched: Agreement
    free: Agreement
    place: int
    kept: float
    whole: Whole
    lost: float
    halted: np.ndarray


class Regret(NamedTuple):
    """What stopping may have cost.

    Attributes:
        stopped: Arms stopped whose end could be foretold.
        learnt: Arms run to their end, from which among others it was foretold.
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
    """The rungs' budgets below the longest arm; empty where nothing stops arms, or not by their rank.

    Rungs by stage are those of the longest stages; an arm whose stages are shorter met them earlier.
    """
    scheduler = run.provenance.get("scheduler") or {}
    grace, factor = scheduler.get("grace_period"), scheduler.get("reduction_factor")
    if scheduler.get("kind") != "asha" or not grace or not factor or factor <= 1:
        return []
    if scheduler.get("rungs") == "stages":
        return _by_stage(run, grace, factor)
    longest = run.trials["epochs_planned"][search.candidates(run.trials)].max()
    # As Ray places them: a rung is passed by the first epoch that reaches it.
    steps = (math.ceil(grace * factor**step) for step in itertools.count())
    return list(dict.fromkeys(itertools.takewhile(lambda budget: budget < longest, steps)))


def _by_stage(run: Run, grace: int, factor: int) -> list[int]:
    """A stage's end and the share 1 / factor, its square... of it, from the grace period on; not the very end."""
    arms = run.trials["arm"][search.candidates(run.trials)]
    curves = run.curves[run.curves["dev_uar"].notna() & run.curves["arm"].isin(arms)]
    # An arm that skips a stage has its next one early, so stages are ordered by their latest epochs.
    lengths = curves.groupby("stage")[["budget", "epoch"]].max().sort_values("budget")["epoch"]
    places, before = set[int](), 0
    for length in lengths:
        cuts = itertools.takewhile(lambda cut: cut >= grace, (-(-length // factor**level) for level in range(length)))
        places |= {before + int(cut) for cut in cuts}
        before += int(length)
    return sorted(places - {before})


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
    # Runs of before rungs had units compared the last epoch.
    early = (search.best_at if "rungs" in run.provenance["scheduler"] else search.dev_at)(run, places)
    mine = early.reindex(arms["arm"]).to_numpy()
    final = arms["score"].where(arms["status"] == "done").to_numpy(float)
    factor = float(run.provenance["scheduler"]["reduction_factor"])
    free = _free(run)
    others = np.column_stack([early.reindex(free["arm"]).to_numpy(), free["score"]])
    wider = bool((~np.isnan(final)).sum() < 2 * FEWEST and len(others))
    drawn = completed(mine, final, others if wider else others[:0], rng)
    ends = _ended_at(arms, mine)
    share, passed = _kept(mine, final, factor, rng)
    found = tuple(
        Rung(
            budget=budget,
            arms=int((~np.isnan(mine[:, i])).sum()),
            stopped=int((ends == i).sum()),
            searched=agreement(mine[:, i], final),
            free=agreement(others[:, i], others[:, -1]),
            place=_place(mine[:, i], final),
            kept=float(share[i]),
            whole=_whole(mine[:, i], drawn),
            lost=_lost(drawn, final, ends == i),
            halted=mine[ends == i, i],
        )
        for i, budget in enumerate(places)
    )
    learnt = int((~np.isnan(final)).sum()) + (len(others) if wider else 0)
    return Rungs(factor, found, passed, _regret(drawn, final, ends >= 0, learnt, wider))


def _free(run: Run) -> pd.DataFrame:
    """Sensitivity arms, where no rung could stop them, that ran to their end, unflagged.

    They are arms of the search's kind with one value moved. Ablation rows are other systems and say little of it.
    """
    trials = run.trials
    spared = "sensitivity" not in (run.provenance.get("scheduler") or {}).get("applies_to", ["sensitivity"])
    ended = (trials["status"] == "done") & (trials["flags"].map(len) == 0) & trials["score"].notna()
    return trials[ended & (trials["kind"] == "sensitivity") & spared]


def _ended_at(arms: pd.DataFrame, early: np.ndarray) -> np.ndarray:
    """The last rung that each stopped arm reached, shape (N,); -1 for the others."""
    reached = (~np.isnan(early)).cumsum(axis=1).argmax(axis=1)
    known = (arms["status"] == "stopped").to_numpy() & ~np.isnan(early).all(axis=1)
    return np.where(known, reached, -1)


def _place(early: np.ndarray, final: np.ndarray) -> int:
    """Place at a rung, from 1, of the arm that ended best; 0 where it is not known."""
    best = -1 if np.isnan(final).all() else int(np.nanargmax(final))
    return int((early > early[best]).sum()) + 1 if best >= 0 and not math.isnan(early[best]) else 0


def agreement(early: np.ndarray, final: np.ndarray) -> Agreement:
    """Rank correlation of two scores, NaN in either left out.

    The interval is that of Bonett and Wright (2000, Psychometrika): Fisher's z with variance (1 + r^2 / 2) / (n - 3).
    """
    both = ~np.isnan(early) & ~np.isnan(final)
    early, final = early[both], final[both]
    if len(early) < FEWEST or np.ptp(early) == 0 or np.ptp(final) == 0:
        return Agreement(early, final, *[math.nan] * 4)
    r = float(stats.spearmanr(early, final).statistic)
    half = _Z * math.sqrt((1 + r**2 / 2) / (len(early) - 3))
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


def _whole(early: np.ndarray, drawn: np.ndarray | None) -> Whole:
    there = ~np.isnan(early)
    if drawn is None or there.sum() < FEWEST or np.ptp(early[there]) == 0:
        return Whole(math.nan, math.nan, math.nan)
    ranks = stats.rankdata(early[there])
    found = np.array([np.corrcoef(ranks, stats.rankdata(one[there]))[0, 1] for one in drawn[:RANKED]])
    if np.isnan(found).any() or (abs(found) > 1 - 1e-9).any():
        return Whole(float(found.mean()), math.nan, math.nan)
    z = np.arctanh(found)
    within = float(np.mean(1 + found**2 / 2)) / (len(ranks) - 3)
    half = _Z * math.sqrt(within + (1 + 1 / len(z)) * float(z.var(ddof=1)))
    return Whole(float(found.mean()), math.tanh(z.mean() - half), math.tanh(z.mean() + half))


def _lost(drawn: np.ndarray | None, final: np.ndarray, stopped_here: np.ndarray) -> float:
    """Chance that the best of all arms is among some that were stopped."""
    if drawn is None or np.isnan(final).all():
        return math.nan
    return float(stopped_here[np.nanargmax(drawn, axis=1)].mean())


def _regret(
    drawn: np.ndarray | None, final: np.ndarray, stopped: np.ndarray, learnt: int, wider: bool
) -> Regret | None:
    """What the draws say of the stopped arms beside the best of the others."""
    if drawn is None or np.isnan(final).all() or not stopped.any():
        return None
    above = drawn[:, stopped] - np.nanmax(final)
    lost = np.clip(above.max(axis=1), 0, None)
    return Regret(
        stopped=int(stopped.sum()),
        learnt=learnt,
        wider=wider,
        beaten=float((above > 0).sum(axis=1).mean()),
        chance=float((above > 0).any(axis=1).mean()),
        regret=float(lost.mean()),
        worst=float(np.percentile(lost, 95)),
    )
