"""How sure a comparison is, beyond its p: effect size, bootstrap, posterior, and what the study could have seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import by_speaker, compare, conditions, published, statistics
from analysis.compare import Comparison, Estimate
from analysis.run import Run
from analysis.statistics import Interval, Posterior

#: Seed of the bootstrap's draws, so that a report made twice is the same.
SEED = 0


class Evidence(NamedTuple):
    """What can be said of one comparison on test.

    Attributes:
        arm: The arm.
        name: Its name.
        estimate: The paired difference.
        effect: The difference in units of its spread over folds (Hedges' g).
        bootstrap: Mean difference over units, hierarchical bootstrap: units, then seeds.
        unit: What was drawn first: ``speakers`` where the run counted them, else ``folds``.
        units: How many.
        posterior: How probable the difference is below, inside and above the region of practical equivalence.
        between_folds: Spread of the difference between folds that seeds do not explain.
        between_seeds: Spread of the difference between seeds within a fold; NaN with one seed.
        detectable: The smallest difference that a study of these folds and seeds sees with a chance of
            `statistics.POWER`.
        published: The paper's difference between the same two rows; NaN where it has none on this corpus.
        power: Chance of seeing that difference here.
        folds_needed: Folds, of like groups of speakers and with the same seeds, that see it with a chance of
            `statistics.POWER`; None where too many are needed, or there is nothing to see.
        folds_needed_at_best: The same with so many seeds that they add nothing.
    """

    arm: str
    name: str
    estimate: Estimate
    effect: Interval
    bootstrap: Interval
    unit: str
    units: int
    posterior: Posterior
    between_folds: float
    between_seeds: float
    detectable: float
    published: float
    power: float
    folds_needed: int | None
    folds_needed_at_best: int | None


def of(run: Run, compared: list[Comparison], parent: str | None) -> list[Evidence]:
    """Evidence on every comparison that was made on test over enough folds.

    Args:
        run: The run.
        compared: Ablation rows or baselines, each as reference minus row.
        parent: The reference.
    """
    ratio, speakers = compare.size_ratio(run), by_speaker.values_of(run, parent or "")["uar"]
    kept = [(one, one.estimate) for one in compared if one.basis.startswith("test") and one.estimate]
    return [_evidence(run, one, each, speakers, ratio) for one, each in kept if each.folds >= compare.MIN_FOLDS]


def _evidence(run: Run, one: Comparison, found: Estimate, reference: pd.Series, ratio: float) -> Evidence:
    """Evidence on one comparison; ``reference`` is the UAR of the reference's test speakers."""
    differences = np.array(found.fold_differences)
    units, unit = _units(run, one, found, reference)
    gain = _published_gain(run, one)
    component = statistics.fold_component(found.fold_std, found.seed_std, found.seeds)
    needed = [statistics.folds_needed(gain, spread, found.folds, ratio) for spread in (found.fold_std, component)]
    return Evidence(
        arm=one.arm,
        name=one.name,
        estimate=found,
        effect=statistics.effect_size(differences, ratio),
        bootstrap=statistics.bootstrap(units, np.random.default_rng(SEED)),
        unit=unit,
        units=len(units),
        posterior=statistics.posterior(differences, ratio),
        between_folds=component,
        between_seeds=found.seed_std,
        detectable=statistics.detectable(found.fold_std, found.folds, ratio),
        published=gain,
        power=float("nan") if np.isnan(gain) else statistics.power(gain, found.fold_std, found.folds, ratio),
        folds_needed=needed[0],
        folds_needed_at_best=needed[1],
    )


def _units(run: Run, one: Comparison, found: Estimate, reference: pd.Series) -> tuple[np.ndarray, str]:
    """Differences by unit and seed: of test speakers where both arms were counted by speaker, else of folds."""
    if one.basis == "test":
        mine = by_speaker.values_of(run, one.arm)["uar"]
        if len(mine) and mine.index.equals(reference.index):
            wide = (reference - mine).rename("uar").reset_index()
            wide = wide.pivot_table(index=["fold", "speaker"], columns="seed", values="uar", observed=True)
            return wide.to_numpy(), "speakers"
    return np.array(found.rows), "folds"


def _published_gain(run: Run, one: Comparison) -> float:
    """The paper's full model minus its row, in the test conditions that ours was tested in; NaN if it has no such."""
    tested = conditions.tested(run, one.arm)
    row = published.over(published.of_row(run, one.name), tested)
    full = published.over(published.of_row(run, None), tested)
    return full.mean - row.mean if one.basis == "test" else float("nan")
