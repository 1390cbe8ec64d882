"""Numbers in words: formats, the headline, the protocol, what the ablation shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.compare import HELPS, HURTS, Comparison, rather, seen_alone
from analysis.findings import Findings
from analysis.search import eligible

MINUS = "\N{MINUS SIGN}"


def share(value: float, digits: int = 1) -> str:
    """A share as percent, as papers print UAR: 0.6034 is ``60.3``; an em dash when NaN."""
    return "—" if math.isnan(value) else f"{100 * value:.{digits}f}"


def change(value: float, digits: int = 1) -> str:
    """A difference of shares in points, with its sign: -0.012 is ``−1.2``."""
    if math.isnan(value):
        return "—"
    text = f"{100 * value:+.{digits}f}"
    return text.replace("-", MINUS) if float(text) else f"{0:.{digits}f}"


def with_spread(mean: float, std: float, digits: int = 1) -> str:
    """Mean and spread in percent: ``60.3 ± 2.5``; without the spread when it is NaN."""
    return share(mean, digits) if math.isnan(std) else f"{share(mean, digits)} ± {share(std, digits)}"


def plain_with_spread(mean: float, std: float) -> str:
    """Mean and spread of what is no share: ``0.412 ± 0.020``; without the spread when it is NaN."""
    if math.isnan(mean):
        return "—"
    form = ".1e" if 0 < abs(mean) < 0.0005 else ".3f" if abs(mean) < 10 else ".1f"
    return f"{mean:{form}}" + ("" if math.isnan(std) else f" ± {std:{form}}")


def interval(low: float, high: float) -> str:
    """An interval in points; an em dash when NaN."""
    return "—" if math.isnan(low) else f"{change(low)} to {change(high)}"


def p_value(p: float) -> str:
    """A p-value to three places."""
    if math.isnan(p):
        return "—"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: Any) -> str:
    """A config value as a reader would write it: four significant digits, no trailing zeros."""
    if isinstance(value, int) or not isinstance(value, float):
        return str(value)
    return f"{value:.4g}"


def settings(changed: Mapping[str, Any]) -> str:
    """Changed config fields on one line."""
    return ", ".join(f"{path} = {number(value)}" for path, value in changed.items()) or "nothing changed"


def duration(seconds: float) -> str:
    """Seconds as days, hours, minutes, seconds: the two largest."""
    if math.isnan(seconds):
        return "—"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def plural(count: int, noun: str) -> str:
    """``1 arm``, ``2 arms``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def headline(found: Findings) -> list[str]:
    """The answer of the run in a few sentences; the first is the shortest."""
    run = found.run
    if found.best is None:
        failed = int((run.trials["status"] == "failed").sum())
        over = "No arm ran to its end" if run.finished else "No arm is finished yet"
        return [f"{over}: {plural(len(run.trials), 'arm')} begun, {failed} failed."]
    arm, test = run.arm(found.best), found.number(found.best, "uar")
    sure = "The best arm" if run.finished else "The best arm so far"
    sentences = [
        f"{sure} is {arm['name']}, with a test UAR of {_with_spread(found, found.best, 'test')} %"
        if not math.isnan(test)
        else f"{sure} is {arm['name']}; it has no test numbers yet."
    ]
    chosen = int(eligible(run.trials).sum())
    folds = int(found.number(found.best, "folds", "dev"))
    seeds = int(found.number(found.best, "seeds", "dev"))
    over = f", {found.over}" if found.several else ""
    sentences[0] = sentences[0].rstrip(".") + f" (mean ± spread over {plural(folds, 'fold')}{over})."
    sentences.append(
        f"It was chosen on dev (UAR {_with_spread(found, found.best, 'dev')} %) from {plural(chosen, 'arm')} "
        f"run to the end; {plural(folds, 'fold')} × {plural(seeds, 'seed')} each. Test took no part in the choice."
    )
    return [*sentences, *_by_condition(found), *_against_paper(found), *_ablation(found), *_baselines(found)]


def _by_condition(found: Findings) -> list[str]:
    """The best arm in each condition."""
    if not found.several:
        return []
    parts = [
        f"{with_spread(*found.in_condition(found.best, name))} % with {name.replace('+', ' and ')}"
        for name in found.tested
    ]
    return [f"By condition it reaches {', '.join(parts)}."]


def _ablation(found: Findings) -> list[str]:
    """How many ablation rows lose, gain or show nothing, and which."""
    compared = [one for one in found.ablation if one.estimate]
    if not compared:
        return []
    parts = []
    for verdict, verb in ((HELPS, "lose"), (HURTS, "gain")):
        names = [one.name for one in compared if one.verdict == verdict]
        if names:
            parts.append(f"{len(names)} {verb} UAR beyond chance ({'; '.join(names)})")
    silent = [one for one in compared if one.verdict not in (HELPS, HURTS)]
    alone = [one.name for one in silent if one.estimate and seen_alone(one.estimate)]
    if alone:
        parts.append(f"{len(alone)} differ only as long as they are looked at alone ({'; '.join(alone)})")
    if len(silent) > len(alone):
        parts.append(f"{len(silent) - len(alone)} cannot be told from no change")
    return [f"Of {plural(len(compared), 'ablation row')} compared, {', '.join(parts)}."]


def _baselines(found: Findings) -> list[str]:
    """What the method is worth against each baseline."""
    compared = [one for one in found.baselines if one.estimate]
    parts = [
        f"{change(one.estimate.difference)} points from {one.name} ({_rather(one)})" for one in compared if one.estimate
    ]
    arm = found.name(found.baseline_parent)
    return [f"Against baselines on the same folds, {arm} differs by {'; '.join(parts)}."] if parts else []


def _rather(one: Comparison) -> str:
    return rather(one.verdict) + ("" if one.basis == "test" else f", {one.basis}")


def _with_spread(found: Findings, arm: str, split: str) -> str:
    return with_spread(found.number(arm, "uar", split), found.number(arm, "uar_fold_std", split))


def _against_paper(found: Findings) -> list[str]:
    if found.paper is None:
        return []
    if found.paper == found.best:
        alone = found.run.trials["kind"].ne("search").all()
        return [] if alone else [f"These are {found.paper_label}: nothing that was searched scored higher on dev."]
    comparison = found.best_against_paper
    label = found.paper_label[0].upper() + found.paper_label[1:]
    sentence = f"{label} reach {_with_spread(found, found.paper, 'test')} % on test."
    if comparison is None:
        return [sentence]
    gain = f"The best arm's difference from them is {change(comparison.difference)} points"
    if not math.isnan(comparison.low):
        gain += f" (95 % interval {interval(comparison.low, comparison.high)})"
    words = {"helps": "more than chance between folds", "hurts": "a loss beyond chance between folds"}
    return [sentence, f"{gain}: {words.get(found.best_verdict, found.best_verdict)}."]
