"""What is said of the arms that importance and surrogate were learnt from, and of what they know."""

from __future__ import annotations

from analysis.space import MOST, Sample
from analysis.surrogate import FEWEST, FOLDS, Error, Tried
from analysis.words import plural, share


def scores_of(sample: Sample) -> str:
    """Which scores of which arms, to stand in a sentence."""
    arms = plural(len(sample.score), "arm") + (f" drawn from {sample.found:,}" if sample.found > MOST else "")
    if sample.budget is None:
        return f"the dev scores of the {arms} run to their end"
    epochs = plural(sample.budget, "classifying epoch")
    return f"the dev UAR of {arms} after {epochs} (first rung, stopped arms included: it speaks of early training only)"


def left_out(sample: Sample) -> str:
    """Which arms are not among them and why; empty where all are."""
    parts = []
    if sample.stopped:
        parts.append(
            f"{plural(sample.stopped, 'arm')} stopped early, with a score of an earlier epoch. As such arms began low, "
            "what is bad looks less bad than it is"
        )
    if sample.outside:
        parts.append(f"{plural(sample.outside, 'arm')} with a value outside of the ranges")
    return f"Left out: {'; '.join(parts)}." if parts else ""


def knowledge(tried: Tried) -> str:
    """What the best model of a sample knows, in a sentence."""
    if not tried.errors:
        return f"too few arms ({len(tried.sample.score)}; {FEWEST} are needed): nothing is known"
    if tried.knows:
        return f"foretells arms it has not seen (R² {_r2(tried.errors[0])})"
    r2 = _r2(tried.errors[0])
    if tried.errors[0].r2 > 0:
        how = f"held-out arms are foretold better than by their mean (R² {r2}), but luck may do that"
        return f"knows nothing that is sure: {how}"
    return f"knows nothing: held-out arms are foretold no better than by their mean (R² {r2})"


def error_words(tried: Tried) -> str:
    """The cross-validated error of the model that is shown, in a sentence."""
    best = tried.errors[0]
    return (
        f"Surrogate: {best.model}; {FOLDS}-fold cross-validation, {tried.repeats} times: R² {_r2(best)} "
        f"(one-sided 95 % limit {best.r2_low:.2f}), error {share(best.rmse)} points, rank correlation {best.rank:.2f}."
    )


def _r2(error: Error) -> str:
    return f"{error.r2:.2f}".replace("-", "\N{MINUS SIGN}")
