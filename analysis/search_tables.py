"""Tables of what the search teaches about its parameters, and of what stopping early risked."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis import sensitivity
from analysis.findings import Findings
from analysis.response_words import knowledge, left_out, scores_of
from analysis.rungs import Rung
from analysis.rungs_words import FORETOLD, SURVIVORS, coefficient, risked
from analysis.sensitivity import TOLERANCE
from analysis.surrogate import FOLDS, Tried
from analysis.table import Column, Table
from analysis.words import number, plural, share


def surrogate(found: Findings) -> Table | None:
    """Cross-validated error of every model tried, or why there is none."""
    if found.response is None:
        return None
    frame = pd.DataFrame([line for tried in found.response.tried for line in _errors(tried)])
    columns = (
        Column("Fitted to", lambda r: r.scores, numeric=False),
        Column("Arms", lambda r: f"{r.arms:,}"),
        Column("Model", lambda r: r.model or "—", numeric=False),
        Column("R²", lambda r: coefficient(r.r2), help="1 minus squared error over that of the arms' mean score"),
        Column("at least", lambda r: coefficient(r.r2_low), help="one-sided 95 % limit over resamples of the arms"),
        Column("Error, points", lambda r: share(r.rmse), help="root mean squared error of held-out arms"),
        Column("Rank correlation", lambda r: coefficient(r.rank), help="Spearman, of foretold and seen scores"),
        Column("What it knows", lambda r: r.knows, numeric=False),
    )
    note = (
        f"Models of dev score over the searched parameters; errors are those of arms held out in {FOLDS}-fold "
        "cross-validation, repeated. Only a model that foretells held-out arms better than their mean, beyond luck, is "
        f"drawn. {left_out(found.response.tried[0].sample)}"
    ).strip()
    if len(found.response.tried) > 1:
        note += " All arms have a dev UAR at the first rung; it speaks of early training only."
    return Table("surrogate", "What a model of the search knows", note, frame, columns)


def _errors(tried: Tried) -> list[dict[str, Any]]:
    """A line a model, the one kept first; a line without one where there are too few arms."""
    nan = math.nan
    at = "final score" if tried.sample.budget is None else f"dev UAR after {tried.sample.budget} epochs"
    common = {"scores": at, "budget": tried.sample.budget, "arms": len(tried.sample.score), "repeats": tried.repeats}
    if not tried.errors:
        empty = {"model": "", "r2": nan, "r2_low": nan, "rmse": nan, "rank": nan}
        return [{**common, **empty, "knows": knowledge(tried)}]
    words = [knowledge(tried), *[""] * (len(tried.errors) - 1)]
    return [{**common, **error._asdict(), "knows": text} for error, text in zip(tried.errors, words, strict=True)]


def importance(found: Findings) -> Table | None:
    """Importance of every searched parameter by both estimators."""
    response = found.response
    if response is None or response.importances is None:
        return None
    important = response.importances
    frame = pd.DataFrame(
        {
            "parameter": one.parameter,
            **{f"fanova_{name}": value for name, value in one.fanova._asdict().items()},
            **{f"ped_anova_{name}": value for name, value in one.ped._asdict().items()},
        }
        for one in important.found
    )
    columns = (
        Column("Parameter", lambda r: r.parameter, numeric=False),
        Column("fANOVA, %", lambda r: share(r.fanova_share)),
        Column("95 % range", lambda r: f"{share(r.fanova_low)} to {share(r.fanova_high)}", help=_RANGE),
        Column("PED-ANOVA, %", lambda r: share(r.ped_anova_share)),
        Column("95 % range", lambda r: f"{share(r.ped_anova_low)} to {share(r.ped_anova_high)}", help=_RANGE),
    )
    note = (
        f"From {scores_of(response.shown.sample)}. fANOVA (Hutter et al. 2014): share of the variance of a forest's "
        "predictions over the searched ranges that the parameter has alone; the rest "
        f"({share(important.interactions, 0)} %) are interactions, or noise. PED-ANOVA (Watanabe et al. "
        f"2023): share of what tells the best {important.best} arms from all. Ranges are of resampled arms: that "
        "forests of few arms give weaker parameters too little is not in them. By chance, with shuffled scores, one "
        f"parameter in twenty gets {share(important.fanova_chance, 0)} % or {share(important.ped_chance, 0)} %."
    )
    if not response.shown.knows:
        note += f" Not to be relied on: the surrogate {knowledge(response.shown)}."
    return Table("importance", "Importance of the searched parameters", note, frame, columns)


_RANGE = "middle 95 % over resampled arms"


def robust(found: Findings) -> Table | None:
    """How far each probed parameter can be moved from the reference's value."""
    curves = [curve for curve in found.sensitivity if len(curve.points) > 1]
    if not curves:
        return None
    frame = pd.DataFrame(
        [{**sensitivity.reach(curve)._asdict(), **_importances(found, curve.parameter)} for curve in curves]
    )
    frame = frame.astype({"reference": object, "robust_low": object, "robust_high": object})
    columns = [
        Column("Parameter", lambda r: r.parameter, numeric=False),
        Column("Reference", lambda r: number(r.reference)),
        Column("Tested", lambda r: ", ".join(number(value) for value in r.tested), numeric=False),
        Column("Spread, points", lambda r: share(r.spread), help="largest minus smallest mean test UAR"),
        Column("Robust", _range, numeric=False, help="no tested value in it lost more than the tolerance"),
        Column("Down to, ×", lambda r: _factor(r.factor_low), help="lower end over the reference's value"),
        Column("Up to, ×", lambda r: _factor(r.factor_high), help="upper end over the reference's value"),
    ]
    note = (
        f"One parameter at a time around the reference. Robust: around its own value, no tested value lost more than "
        f"{100 * TOLERANCE:g} point of mean test UAR; what lies between two tested values was not tested. "
        "≤ and ≥: as far as was tested. A mean may lose less than that by luck: the table above has what is sure."
    )
    if frame["fanova"].notna().any():
        columns += [
            Column("fANOVA, %", lambda r: share(r.fanova), help="importance in the search, on dev"),
            Column("PED-ANOVA, %", lambda r: share(r.ped_anova), help="importance in the search, on dev"),
        ]
        note += f" fANOVA, PED-ANOVA: importance over the search's ranges, from {_scores(found)}; — where not searched."
    return Table("robust", "How far each parameter can be moved", note, frame, tuple(columns))


def _scores(found: Findings) -> str:
    return scores_of(found.response.shown.sample) if found.response else ""


def _importances(found: Findings, path: str) -> dict[str, float]:
    response = found.response
    known = response.importances.found if response and response.importances and response.shown.knows else ()
    one = next((each for each in known if each.parameter == path), None)
    return {"fanova": one.fanova.share if one else math.nan, "ped_anova": one.ped.share if one else math.nan}


def _range(row: Any) -> str:
    if row.robust_low is None:
        return "—"
    low = ("≤ " if row.open_low else "") + number(row.robust_low)
    return f"{low} to {'≥ ' if row.open_high else ''}{number(row.robust_high)}"


def _factor(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.3g}"


def rungs(found: Findings) -> Table | None:
    """How early scores agree with final ones at every rung."""
    risk = found.rungs
    if risk is None:
        return None
    frame = pd.DataFrame([_rung(rung) for rung in risk.rungs])
    columns = [
        Column("Rung, epochs", lambda r: f"{r.budget:,}"),
        Column("Arms", lambda r: f"{r.arms:,}"),
        Column("Stopped", lambda r: f"{r.stopped:,}"),
        Column("Run to the end", lambda r: f"{r.ended:,}"),
        Column("Spearman", lambda r: _ranged(r.spearman, r.low, r.high), help="early and final score of survivors"),
        Column("Kendall", lambda r: coefficient(r.kendall), help="Kendall's tau-b of the same"),
        Column("all arms, foretold", lambda r: _ranged(r.whole, r.whole_low, r.whole_high), help="Spearman over all"),
        Column("Place of the best", lambda r: f"{r.place:,}" if r.place else "—", help="among all arms there"),
        Column("Best kept, %", lambda r: share(r.kept, 0), help="resamples in which the best survivor is kept"),
        Column("Best lost, %", lambda r: share(r.lost, 0), help="chance that the best of all was stopped there"),
    ]
    if frame["free"].any():
        columns.insert(7, Column("never up for stopping", lambda r: _free(r.free_spearman, r.free), help="Spearman"))
    note = (
        "Dev UAR at each rung against the final dev score, over arms of the search and the reference that ran to their "
        "end; Spearman's rank correlation with its 95 % interval (Bonett and Wright 2000). Best kept: resamples of the "
        f"arms in which the one that ended best is among the best 1/{risk.factor:g} of all arms at the "
        f"rung{_passed(risk.kept)}. {SURVIVORS} {FORETOLD} {risked(risk)}"
    )
    return Table("rungs", "What stopping early risked", note, frame, tuple(columns))


def _rung(rung: Rung) -> dict[str, float]:
    mine, free, whole = rung.searched, rung.free, rung.whole
    return {
        "budget": rung.budget, "arms": rung.arms, "stopped": rung.stopped, "ended": len(mine.early),
        "spearman": mine.spearman, "low": mine.low, "high": mine.high, "kendall": mine.kendall,
        "whole": whole.spearman, "whole_low": whole.low, "whole_high": whole.high,
        "free": len(free.early), "free_spearman": free.spearman, "free_kendall": free.kendall,
        "place": rung.place, "kept": rung.kept, "lost": rung.lost,
    }  # fmt: skip


def _free(spearman: float, arms: int) -> str:
    return "—" if math.isnan(spearman) else f"{coefficient(spearman)} ({plural(arms, 'arm')})"


def _passed(kept: float) -> str:
    return "" if math.isnan(kept) else f"; at every rung in {100 * kept:.0f} %"


def _ranged(value: float, low: float, high: float) -> str:
    ends = "" if math.isnan(low) else f" ({coefficient(low)} to {coefficient(high)})"
    return coefficient(value) + ends
