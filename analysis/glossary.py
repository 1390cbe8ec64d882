"""What the words in headings mean, for readers who meet them for the first time."""

from __future__ import annotations

import re
from collections.abc import Iterable

from analysis.table import Table

#: Word as it stands in a heading (a regular expression) -> the word, and what it means.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
    (r"\bArms?\b", "arm", "one setting under test, trained over all folds and seeds"),
    (r"\bFolds?\b", "fold", "one cut of the corpus into train, dev and test"),
    (r"\bUAR\b", "UAR", "unweighted average recall: the mean of the recalls of all classes, however frequent each is"),
    (r"\bWAR\b", "WAR", "weighted average recall: the share of utterances classified correctly (accuracy)"),
    (r"\bWF1\b", "WF1", "F1 of each class, weighted by how frequent the class is"),
    (r"\bmacro F1\b", "macro F1", "mean of the F1 of all classes"),
    (r"\b[Dd]ev\b", "dev", "the part of each fold that choices are made on: arms, epochs, stops"),
    (r"\b[Tt]est\b", "test", "the part of each fold that no choice has seen"),
    (r"\bpooled\b", "pooled", "computed once from the counts of all folds together, not as a mean over folds"),
    (r"\bSeeds ±", "seeds ±", "spread between seeds within a fold"),
    (r"95 % interval", "95 % interval", "range that would hold the true difference in 95 of 100 such studies"),
    (
        r"\bp \(Holm\)",
        "p (Holm)",
        "how often no true difference would look this large or larger, adjusted over all lines of the table after Holm",
    ),
    (r"\bEffect size g", "effect size g", "the difference in units of its spread over folds (Hedges), with interval"),
    (r"\bBootstrap\b", "bootstrap", "95 % interval from drawing folds or speakers, and seeds, again and again"),
    (r"\bProbably\b", "probably", "chance of being worse, the same within a margin, or better, given the results"),
    (r"\bDetectable\b", "detectable", "the smallest difference that these folds and seeds would be likely to show"),
    (r"\bPower\b", "power", "the chance of seeing a difference of the published size with these folds and seeds"),
    (r"\bBetween (folds|seeds)\b", "between", "standard deviation that is owed to folds, or to seeds, alone"),
    (r"\bpoints\b", "points", "percentage points"),
    (r"\b[Ww]orth\b", "worth", "UAR of the reference minus that of the row: positive when the component helps"),
    (r"\bVerdict\b", "verdict", "what the interval and the adjusted p together allow to say"),
    (r"\bPublished\b", "published", "as the paper prints it, on its own features and folds; not measured here"),
    (r"\bRecall\b", "recall", "share of a class's utterances that were recognised"),
    (r"\bEpoch\b", "epoch", "the epoch that was kept, chosen on dev"),
    (r"\bFlags?\b", "flags", "what a stage found wrong with its own result; a flagged arm cannot be chosen"),
)  # fmt: skip


def explain(heading: str) -> str:
    """What the words of a heading mean; empty where none needs explaining."""
    return "; ".join(f"{word}: {meaning}" for pattern, word, meaning in _MEANINGS if re.search(pattern, heading))


def words(tables: Iterable[Table]) -> list[tuple[str, str]]:
    """(word, meaning) of every word that the headings of some tables use, in a fixed order."""
    headings = " | ".join(column.heading for table in tables for column in table.columns)
    return [(word, meaning) for pattern, word, meaning in _MEANINGS if re.search(pattern, headings)]
