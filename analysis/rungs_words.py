"""What is said of rungs, and of what stopping at them risked."""

from __future__ import annotations

import math

from analysis.rungs import FEWEST, Agreement, Regret, Rungs
from analysis.words import plural, share


def coefficient(value: float) -> str:
    """A correlation to two places, with a minus sign; an em dash when NaN."""
    return "—" if math.isnan(value) else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def spearman_words(found: Agreement) -> str:
    """Rank correlation with its interval, in a line."""
    if math.isnan(found.spearman):
        return f"{plural(len(found.early), 'arm')}: too few to tell" if len(found.early) < FEWEST else "no spread"
    ends = "" if math.isnan(found.low) else f" ({coefficient(found.low)} to {coefficient(found.high)})"
    return f"rank correlation {coefficient(found.spearman)}{ends}"


def risked(found: Rungs) -> str:
    """What stopping is estimated to have cost."""
    if found.regret is None:
        return "Too few arms went on to say what stopping may have cost."
    return _regret(found.regret)


def _regret(one: Regret) -> str:
    extra = ", sensitivity arms among them" if one.wider else ""
    return (
        f"Foretold from the arms that went on ({one.learnt:,} to the end{extra}), {_count(one.beaten)} of "
        f"{plural(one.stopped, 'stopped arm')} would have ended above the best on average; the chance that any would "
        f"have is {percent(one.chance)}, the loss to be expected {share(one.regret)} points of dev score (one time in "
        f"twenty more than {share(one.worst)})."
    )


def percent(chance: float) -> str:
    """A chance in percent; never 0 or 100, which no estimate can know."""
    return "under 1 %" if chance < 0.005 else "over 99 %" if chance > 0.995 else f"{100 * chance:.0f} %"


def _count(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


#: What is not known.
SURVIVORS = (
    "How a stopped arm would have ended is not known: only survivors are seen, and as these all began well, early and "
    "final scores agree less among them than over all arms."
)

#: How it is foretold.
FORETOLD = (
    "Foretold: each score from the one before it by a straight line through the arms that went on, drawn many times "
    "(multiple imputation); with few such arms it errs towards more risk than there is."
)
