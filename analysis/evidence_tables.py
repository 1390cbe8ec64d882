"""Tables of how sure the numbers are: evidence on comparisons, factorial effects, the choice, where spread is from."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis import statistics
from analysis.evidence import Evidence
from analysis.factorial import Effect
from analysis.findings import Findings
from analysis.statistics import POWER, ROPE, Interval
from analysis.table import Column, Table
from analysis.words import change, interval, p_value, share, with_spread

_ROPE = f"{100 * ROPE:g} point"


def ablation(found: Findings) -> Table | None:
    """Evidence on every ablation row that was compared on test."""
    return _evidence("evidence", "How sure the ablation is", "Row", found.evidence)


def baselines(found: Findings) -> Table | None:
    """Evidence on the difference to every baseline."""
    return _evidence("evidence_baselines", "How sure the baselines are", "Baseline", found.baseline_evidence)


def _evidence(key: str, title: str, heading: str, evidence: list[Evidence]) -> Table | None:
    if not evidence:
        return None
    frame = pd.DataFrame([_evidence_row(one) for one in evidence])
    columns = [
        Column(heading, lambda r: r.row, numeric=False),
        Column("Effect size g", lambda r: _sized(r.effect, r.effect_low, r.effect_high)),
        Column("Bootstrap, points", lambda r: interval(r.bootstrap_low, r.bootstrap_high)),
        Column("Probably worse", lambda r: _percent(r.probably_worse)),
        Column("the same", lambda r: _percent(r.probably_same)),
        Column("better", lambda r: _percent(r.probably_better)),
        Column("Detectable, points", lambda r: share(r.detectable, 1)),
    ]
    if frame["published_difference"].notna().any():
        columns += [
            Column("Published, points", lambda r: change(r.published_difference)),
            Column("Power for it", lambda r: _percent(r.power)),
            Column("Folds for it", _folds),
        ]
    return Table(key, title, _evidence_note(evidence, frame), frame, tuple(columns))


def _evidence_row(one: Evidence) -> dict[str, Any]:
    return {
        "arm": one.arm, "row": one.name, "difference": one.estimate.difference,
        "effect": one.effect.value, "effect_low": one.effect.low, "effect_high": one.effect.high,
        "bootstrap": one.bootstrap.value, "bootstrap_low": one.bootstrap.low, "bootstrap_high": one.bootstrap.high,
        "bootstrap_unit": one.unit, "bootstrap_units": one.units, "wilcoxon_p": one.estimate.wilcoxon,
        "probably_worse": one.posterior.below, "probably_same": one.posterior.inside,
        "probably_better": one.posterior.above,
        "between_folds": one.between_folds, "between_seeds": one.between_seeds,
        "detectable": one.detectable, "published_difference": one.published, "power": one.power,
        "folds": one.estimate.folds, "seeds": one.estimate.seeds,
        "folds_needed": one.folds_needed, "folds_needed_with_many_seeds": one.folds_needed_at_best,
    }  # fmt: skip


def _evidence_note(evidence: list[Evidence], frame: pd.DataFrame) -> str:
    first = evidence[0]
    note = (
        "Of the reference minus the row, on test. Effect size: mean over folds in units of its spread over folds, "
        f"Hedges' g with its 95 % interval. Bootstrap: 95 % interval of the mean over {first.units} {first.unit}, "
        f"{first.unit} drawn first, seeds within them, widened for few of them (Hesterberg 2015). Probably: Bayesian "
        f"correlated t-test (Corani and Benavoli 2015) of the difference being below, within or above ± {_ROPE}. "
        f"Detectable: the smallest difference that these folds and seeds see with a chance of {100 * POWER:g} %, at "
        "p < 0.05 before Holm's adjustment."
    )
    if frame["published_difference"].notna().any():
        note += (
            " Published: the paper's full model minus its row; power for it: the chance of seeing that much here; "
            f"folds for it: how many such groups of speakers, with as many seeds, would see it with {100 * POWER:g} %."
        )
    return note


def _sized(value: float, low: float, high: float) -> str:
    return "—" if math.isnan(value) else f"{_signed(value)} ({_signed(low)} to {_signed(high)})"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−") if round(value, 1) else "0.0"


def _percent(probability: float) -> str:
    """A probability in whole percent, never quite 0 or 100."""
    if math.isnan(probability):
        return "—"
    return "< 1 %" if probability < 0.01 else "> 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def _folds(row: Any) -> str:
    if math.isnan(row.published_difference):
        return "—"
    return f"> {statistics.MOST_FOLDS}" if math.isnan(row.folds_needed or math.nan) else f"{row.folds_needed:.0f}"


def factorial(found: Findings) -> Table | None:
    """Main effects and interactions of the factorial design."""
    if found.design is None:
        return None
    frame = pd.DataFrame([_effect_row(one) for one in found.effects])
    columns = (
        Column("Left out", lambda r: r.effect, numeric=False),
        Column("Effect", lambda r: r.kind, numeric=False),
        Column("Worth, points", lambda r: change(r.difference)),
        Column("95 % interval", lambda r: interval(r.low, r.high)),
        Column("p (Holm)", lambda r: p_value(r.p_holm)),
        Column("Verdict", lambda r: r.verdict, numeric=False),
    )
    arms = len(found.design.cells)
    note = (
        f"All {arms} combinations of {len(found.design.factors)} rows. A main effect is what a component is worth, "
        "averaged over all states of the others; an interaction is what one is worth while the other is there, minus "
        "what it is worth while the other is left out: where it is negative, they stand in for each other. Test UAR, "
        "paired by fold and seed; corrected resampled t-test, p adjusted over the table after Holm."
    )
    return Table("factorial", "Components in every combination", note, frame, columns)


def _effect_row(one: Effect) -> dict[str, Any]:
    e, order = one.estimate, len(one.factors)
    return {
        "effect": " × ".join(one.factors),
        "kind": "main effect" if order == 1 else "interaction" if order == 2 else f"interaction of {order}",
        "difference": e.difference, "low": e.low, "high": e.high, "p": e.p, "p_holm": one.p_holm,
        "folds": e.folds, "seeds": e.seeds, "verdict": one.verdict,
    }  # fmt: skip


def optimism(found: Findings) -> Table | None:
    """The chosen arm's dev score as it stands, corrected for the choice, and on test."""
    corrected = found.optimism
    if corrected is None:
        return None
    test = Interval(found.number(found.best, "uar"), math.nan, math.nan)
    lines = (
        ("Dev UAR of the chosen arm", Interval(corrected.dev, math.nan, math.nan), "what it was chosen by"),
        (
            "Dev UAR, corrected for the choice",
            Interval(corrected.corrected, corrected.low, corrected.high),
            f"chosen again on drawn folds, scored on the others; the same arm won {100 * _again(found):.0f} % of draws",
        ),
        ("Test UAR of the chosen arm", test, "took no part in the choice: nothing to correct"),
    )
    frame = pd.DataFrame(
        [{"what": what, "uar": i.value, "low": i.low, "high": i.high, "how": h} for what, i, h in lines]
    )
    columns = (
        Column("What", lambda r: r.what, numeric=False),
        Column("UAR, %", lambda r: share(r.uar)),
        Column("95 % interval", lambda r: "—" if math.isnan(r.low) else f"{share(r.low)} to {share(r.high)}"),
        Column("", lambda r: r.how, numeric=False),
    )
    note = (
        f"Chosen from {corrected.arms} arms. The best of many scores is high partly by luck: the choice is repeated on "
        "bootstrap samples of the folds, and the winner scored on the folds not drawn (after Tsamardinos et al. 2018, "
        "with fold scores in place of predictions). What dev is above test beyond that is owed to choosing epochs on "
        "dev, and to dev and test speakers being different ones."
    )
    return Table("optimism", "What choosing the best flatters", note, frame, columns)


def _again(found: Findings) -> float:
    assert found.optimism is not None
    return dict(found.optimism.winners).get(str(found.best), 0.0)


def spread(found: Findings) -> Table | None:
    """Where the spread of the arms shown comes from: folds or seeds; and every way to take their mean."""
    shown = [one for one in found.shown if found.number(one.arm, "folds") > 1]
    if not shown:
        return None
    frame = pd.DataFrame([_spread_row(found, one.arm, one.label) for one in shown])
    columns = (
        Column("Arm", lambda r: r.row, numeric=False),
        Column("UAR, %, mean of folds", lambda r: with_spread(r.uar, r.uar_fold_std)),
        Column("pooled", lambda r: share(r.uar_pooled)),
        Column("WAR, %", lambda r: with_spread(r.war, r.war_fold_std)),
        Column("Between folds", lambda r: share(r.between_folds, 2)),
        Column("Between seeds", lambda r: share(r.between_seeds, 2)),
        Column("Owed to seeds", lambda r: _percent(r.seed_share)),
    )
    note = (
        "On test. Mean of folds: mean over folds of the mean over seeds ± spread of these over folds; pooled: from the "
        "counts of all folds and seeds together. Between folds and between seeds: standard deviations of the two "
        "variance components, in points, the seeds' part taken out of the folds'; owed to seeds: their share of the "
        "variance of one fold's and seed's score."
    )
    return Table("spread", "Where spread comes from", note, frame, columns)


def _spread_row(found: Findings, arm: str, label: str) -> dict[str, Any]:
    number = {name: found.number(arm, name) for name in ("uar", "uar_fold_std", "uar_seed_std", "uar_pooled")}
    number |= {name: found.number(arm, name) for name in ("war", "war_fold_std", "folds", "seeds", "n")}
    seeds = number.pop("uar_seed_std")
    folds = statistics.fold_component(number["uar_fold_std"], seeds, int(number["seeds"]))
    total = folds**2 + seeds**2
    components = {"between_folds": folds, "between_seeds": seeds, "seed_share": seeds**2 / total if total else math.nan}
    return {"arm": arm, "row": label, **number, **components}
